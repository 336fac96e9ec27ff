"""Clips per processor second of feature caching: ours against the naive way, as ratios within one run.

The naive way, found in most repositories: one process per clip, which loads the encoder, decodes the raw file at its
full size into memory, and then resizes. Ours: clips are normalised once (constant rate, short side 256), and a job
loads the encoder once and reads normalised clips. No network runs in either, so decoding and start-up are what is
measured. Normalising is paid once for all kinds of features, so the ratio is printed without it and with it.

Needs the published clips (some two minutes; processor time is counted, so other programs hardly disturb the ratios)::

    CAFA_SHARED=FOLDER python -m benchmarks.caching

On a GPU, the encoders at full size with deterministic weights, float16 (not run: no GPU at hand)::

    CAFA_SHARED=FOLDER python -m benchmarks.caching --size full --device cuda --workers 14 --clips 256 --batch 8

prints clips per second of the clock and the GPU's utilisation (``nvidia-smi``, twice a second).
"""

import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from cafa.common.files import write_json
from cafa.data.ingest import RootFolder, ingest_shard
from cafa.data.manifest import SCHEMA
from cafa.features.encode import EncodeSettings, encode_shard
from cafa.features.from_video import video_encoding
from cafa.media.container import open_media
from cafa.media.normalise import NormaliseSettings
from cafa.models.encoders.synchformer import FRAMES, SQUASHED, SynchformerFeatures
from cafa.models.encoders.synchformer_network import SynchformerVisual

SIZES: dict[str, dict[str, int]] = {"tiny": {"width": 8, "depth": 1, "heads": 1, "patch": 56}, "full": {}}


def make_encoder(size: str, device: str) -> SynchformerFeatures:
    """AV-CLIP's network with weights that are the same every time; float16 at full size on a GPU."""
    torch.manual_seed(0)
    network = SynchformerVisual(**SIZES[size])
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return SynchformerFeatures(network, "0" * 64, device=device, half=device != "cpu", segments_per_pass=27)


class Free:
    """Stands where the encoder does and costs nothing: what is left is reading."""

    def __init__(self, encoder: SynchformerFeatures) -> None:
        self.kind, self.shape, self.encoder, self.reader = "av_clip", (1, 1), {"name": "free"}, encoder.reader

    def encode(self, clips: list[np.ndarray]) -> np.ndarray:
        """The mean of every clip."""
        return np.stack([[[clip[::25].mean()]] for clip in clips])


def naive(path: Path) -> None:
    """What one process does for one clip, from the raw file: full size in memory, then resized."""
    make_encoder("tiny", "cpu")
    with open_media(path) as media:
        pictures = [frame.to_ndarray(format="rgb24") for frame, _ in media.frames(media.stream("video"), start=0)]
    chosen = np.linspace(0, len(pictures) - 1, FRAMES).astype(int)
    frames = torch.from_numpy(np.stack([pictures[place] for place in chosen])).permute(0, 3, 1, 2)
    small = [functional.interpolate(f[None].float(), SQUASHED, mode="bilinear", antialias=True) for f in frames]
    print(float(torch.cat(small).mean()))


def used() -> float:
    """Processor seconds of this process and of those it has waited for."""
    return sum(
        u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def manifest_of(shared: Path, count: int | None) -> pd.DataFrame:
    """The published clips of 10 s, repeated up to `count` rows."""
    entries = [e for e in csv.DictReader((shared / "clips" / "clips.csv").open()) if float(e["seconds"]) == 10]
    rows = [
        {
            "clip_id": f"clip{k}",
            "uri": entries[k % len(entries)]["path"],
            "start": 0.0,
            "duration": 10.0,
            "label": "x",
            "caption": "x",
            "split": "test",
            "licence": "x",
            "line": k,
        }
        for k in range(count or len(entries))
    ]
    return pd.DataFrame(rows)[SCHEMA.names]


class Utilisation(threading.Thread):
    """Mean utilisation of the GPU in per cent, as `nvidia-smi` says."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: list[float] = []
        self.over = threading.Event()

    def run(self) -> None:
        """Look twice a second."""
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not self.over.wait(0.5):
            self.seen.append(float(subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]))


def cache(
    folder: Path, name: str, encoder: Any, manifest: pd.DataFrame, settings: EncodeSettings
) -> tuple[float, float]:
    """Write features of all clips; returns processor and clock seconds."""
    processor, clock = used(), time.perf_counter()
    counts = encode_shard(
        [video_encoding(encoder, folder / "clips", settings)],
        manifest,
        folder / "ledger.parquet",
        (0, 1),
        {"av_clip": folder / f"{name}.arrow"},
        folder / f"{name}.ledger.parquet",
        settings=settings,
    )
    if counts["ok"] != len(manifest):
        raise SystemExit(f"not all clips were encoded: {counts}")
    return used() - processor, time.perf_counter() - clock


def compare(shared: Path, folder: Path) -> dict[str, float]:
    """Both ways on the processor, in processor seconds per clip."""
    manifest = manifest_of(shared, None)
    begun = used()
    ingest_shard(
        manifest,
        RootFolder(shared / "clips"),
        shard=0,
        shards=1,
        settings=NormaliseSettings(),
        output_folder=folder / "clips",
        ledger=folder / "ledger.parquet",
    )
    normalising = (used() - begun) / len(manifest)
    encoder = make_encoder("tiny", "cpu")
    settings = EncodeSettings(workers=0, batch_size=4)
    reading = cache(folder, "free", Free(encoder), manifest, settings)[0] / len(manifest)
    begun = used()
    for path in manifest["uri"]:
        words = [sys.executable, "-m", "benchmarks.caching", "--naive", str(shared / "clips" / path)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    alone = (used() - begun) / len(manifest)
    return {
        "clips": len(manifest),
        "naive_seconds": alone,
        "reading_seconds": reading,
        "normalising_seconds": normalising,
        "ratio": alone / reading,
        "ratio_with_normalising_for_one_kind": alone / (reading + normalising),
        "ratio_with_normalising_for_four_kinds": 4 * alone / (4 * reading + normalising),
    }


def throughput(
    shared: Path, folder: Path, size: str, device: str, clips: int, workers: int, batch: int
) -> dict[str, Any]:
    """Clips per second of the clock of one job, and the GPU's utilisation."""
    sources, manifest = manifest_of(shared, None), manifest_of(shared, clips)
    ingest_shard(
        sources,
        RootFolder(shared / "clips"),
        shard=0,
        shards=1,
        settings=NormaliseSettings(),
        output_folder=folder / "clips",
        ledger=folder / "few.parquet",
        workers=workers,
    )
    ledger = pd.read_parquet(folder / "few.parquet")
    for k in range(len(sources), clips):
        for end in (".mp4", ".flac"):
            os.link(folder / "clips" / f"clip{k % len(sources)}{end}", folder / "clips" / f"clip{k}{end}")
    repeated = ledger.iloc[[k % len(ledger) for k in range(clips)]].assign(clip_id=manifest["clip_id"].to_numpy())
    repeated.to_parquet(folder / "ledger.parquet", index=False)
    encoder = make_encoder(size, device)
    encoder.encode([np.zeros((FRAMES, *SQUASHED, 3), np.uint8)])  # kernels are chosen on the first pass
    settings = EncodeSettings(workers=workers, batch_size=batch)
    watch = Utilisation()
    if device != "cpu":
        watch.start()
    clock = cache(folder, "features", encoder, manifest, settings)[1]
    watch.over.set()
    return {
        "clips": clips,
        "seconds": clock,
        "clips_per_second": clips / clock,
        "gpu_utilisation": float(np.mean(watch.seen)) if watch.seen else None,
        "peak_gpu_bytes": torch.cuda.max_memory_allocated() if device != "cpu" else None,
    }


@click.command()
@click.option("--shared", envvar="CAFA_SHARED", type=click.Path(path_type=Path, exists=True))
@click.option("--size", type=click.Choice(sorted(SIZES)), default="tiny")
@click.option("--device", default="cpu")
@click.option("--clips", default=0, help="measure clips per second over so many; 0: compare the two ways")
@click.option("--workers", default=2)
@click.option("--batch", default=4)
@click.option("--naive", "naive_path", type=click.Path(path_type=Path), hidden=True)
@click.option("--output", type=click.Path(path_type=Path), help="JSON file of the figures")
def main(
    shared: Path | None,
    size: str,
    device: str,
    clips: int,
    workers: int,
    batch: int,
    naive_path: Path | None,
    output: Path | None,
) -> None:
    """Compare, or measure one job."""
    torch.set_num_threads(1)
    if naive_path is not None:
        return naive(naive_path)
    if shared is None:
        raise SystemExit("give --shared or CAFA_SHARED: the folder of published clips")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if clips:
            figures: dict[str, Any] = throughput(shared, folder, size, device, clips, workers, batch)
        else:
            figures = compare(shared, folder)
    click.echo(json.dumps(figures, indent=1))
    if output is not None:
        write_json(output, figures)


if __name__ == "__main__":
    main()
