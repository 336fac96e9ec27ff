"""Seconds of feature caching per clip: ours against the naive way, as ratios within one round.

The naive way, found in most repositories: one process per clip, which loads the encoder, decodes the raw file at its
full size into memory, and then resizes. Ours: clips are normalised once (constant rate, short side 256), and a job
loads the encoder once and reads normalised clips. No network runs in either, so decoding and start-up are what is
measured. Normalising is paid once for all kinds of features, so there are ratios without it and with it. A turn is
one clip of 10 s (a job of ours reads it several times, so that its start counts for little, as in jobs of hundreds of
clips)::

    python -m benchmarks.caching

makes its clips (1280x720, 30 frames per second), the same for everybody; with CAFA_SHARED=FOLDER (or --shared) those
published ones of 10 s that are there are measured as well, each in a round of its own. Some three minutes for each.

On a GPU (not run here), the encoders at full size with deterministic weights, float16: clips per second of the clock
and the GPU's utilisation (``nvidia-smi``, twice a second) of one job over 256 clips, with 14 workers in batches of
8::

    python -m benchmarks.caching --size full --device cuda
"""

import csv
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from benchmarks.report import Comparison, Report, clock_of, finish, options, row, row_of, seconds_of
from benchmarks.rounds import Turn, Way, apart, measure, peak_memory_mb
from cafa.data.ingest import RootFolder, ingest_shard
from cafa.data.manifest import SCHEMA
from cafa.features.encode import EncodeSettings, encode_shard
from cafa.features.from_video import video_encoding
from cafa.media.container import open_media
from cafa.media.normalise import NormaliseSettings
from cafa.models.encoders.synchformer import FRAMES, SQUASHED, SynchformerFeatures
from cafa.models.encoders.synchformer_network import SynchformerVisual
from tests.written_video import write_video_of

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"width": 8, "depth": 1, "heads": 1, "patch": 56},
    "reduced": {"width": 8, "depth": 1, "heads": 1, "patch": 56},
    "full": {},
}
SECONDS, RATE, FPS = 10.0, 44_100, 30


@dataclass(frozen=True)
class Setting:
    """What is measured: clips of how many lines, how often a job of ours reads each, its workers and batch."""

    size: str = "reduced"
    device: str = "cpu"
    lines: int = 720
    clips: int = 2
    times: int = 8
    workers: int = 0
    batch: int = 4


DEFAULTS = {
    "tiny": Setting("tiny", lines=90, clips=1, times=2),
    "reduced": Setting(),
    "full": Setting("full", clips=4, times=64, workers=14, batch=8),
}
NAIVE, READING, NORMALISING = "naive", "reading a normalised clip", "normalising a clip"


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
    """What one process does for one clip, from the raw file: full size in memory, then resized. Prints its memory."""
    make_encoder("tiny", "cpu")
    with open_media(path) as media:
        pictures = [frame.to_ndarray(format="rgb24") for frame, _ in media.frames(media.stream("video"), start=0)]
    chosen = np.linspace(0, len(pictures) - 1, FRAMES).astype(int)
    frames = torch.from_numpy(np.stack([pictures[place] for place in chosen])).permute(0, 3, 1, 2)
    small = [functional.interpolate(f[None].float(), SQUASHED, mode="bilinear", antialias=True) for f in frames]
    if not torch.isfinite(torch.cat(small)).all():
        raise click.ClickException("no pictures")
    click.echo(peak_memory_mb())


def make_clip(path: Path, number: int, lines: int) -> None:
    """A clip of 10 s: soft shapes that move, grain, and noise; of 720 lines at 1.7 Mbit/s, as clips of the web have."""
    generator = np.random.default_rng(number)
    height, width = lines, lines * 16 // 9
    place = np.stack(np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij"))
    waves = generator.uniform(2, 20, (6, 2)), generator.uniform(0, 2 * np.pi, 6)
    shapes = sum(np.sin(np.tensordot(wave, place, 1) + phase) for wave, phase in zip(*waves, strict=True))
    picture = np.stack([np.roll(shapes, 40 * channel, axis=1) for channel in range(3)], axis=-1)
    picture = np.clip(128 + 20 * picture, 0, 250).astype(np.uint8)
    grains = generator.integers(0, 6, (5, *picture.shape), dtype=np.uint8)
    moved = (
        np.roll(picture, (index, 3 * index), axis=(0, 1)) + grains[index % len(grains)]
        for index in range(round(FPS * SECONDS))
    )
    sound = 0.1 * generator.standard_normal((2, round(RATE * SECONDS)))
    options = {"preset": "veryfast", "threads": "1"}
    write_video_of(path, moved, FPS, (sound, RATE), options, round(1_700_000 * (lines / 720) ** 2))


def published_clips(shared: Path) -> list[Path]:
    """The published clips of 10 s."""
    with (shared / "clips" / "clips.csv").open() as file:
        return [
            shared / "clips" / entry["path"] for entry in csv.DictReader(file) if float(entry["seconds"]) == SECONDS
        ]


def manifest_of(paths: Sequence[Path]) -> pd.DataFrame:
    """A row for every path, which may be there several times."""
    common = {"start": 0.0, "duration": SECONDS, "label": "x", "caption": "x", "split": "test", "licence": "x"}
    rows = [{"clip_id": f"clip{k}", "uri": path.name, "line": k, **common} for k, path in enumerate(paths)]
    return pd.DataFrame(rows)[SCHEMA.names]


def normalise(paths: Sequence[Path], folder: Path, workers: int) -> pd.DataFrame:
    """Normalise clips, all of one folder, as the stage does; returns the ledger."""
    ledger = folder / "ingested.parquet"
    ingest_shard(
        manifest_of(paths),
        RootFolder(paths[0].parent),
        shard=0,
        shards=1,
        settings=NormaliseSettings(),
        output_folder=folder / "clips",
        ledger=ledger,
        workers=workers,
    )
    found = pd.read_parquet(ledger)
    if not (found["status"] == "ok").all():
        raise click.ClickException(f"not all clips were normalised: {found['status'].tolist()}")
    return found


def normalise_repeated(paths: Sequence[Path], times: int, folder: Path, workers: int = 0) -> pd.DataFrame:
    """Normalised clips, each there so many times by links; returns the manifest of all."""
    found = normalise(paths, folder, workers)
    repeated = manifest_of([paths[k % len(paths)] for k in range(times * len(paths))])
    for k in range(len(paths), len(repeated)):
        for end in (".mp4", ".flac"):
            os.link(folder / "clips" / f"clip{k % len(paths)}{end}", folder / "clips" / f"clip{k}{end}")
    rows = found.iloc[[k % len(found) for k in range(len(repeated))]]
    rows.assign(clip_id=repeated["clip_id"].to_numpy()).to_parquet(folder / "ledger.parquet", index=False)
    return repeated


def cache(folder: Path, encoder: Any, manifest: pd.DataFrame, settings: EncodeSettings) -> None:
    """Write features of all clips of a manifest."""
    with tempfile.TemporaryDirectory() as name:
        counts = encode_shard(
            [video_encoding(encoder, folder / "clips", settings)],
            manifest,
            folder / "ledger.parquet",
            (0, 1),
            {"av_clip": Path(name) / "features.arrow"},
            Path(name) / "ledger.parquet",
            settings=settings,
        )
    if counts["ok"] != len(manifest):
        raise click.ClickException(f"not all clips were encoded: {counts}")


def naive_in_turns(paths: Sequence[Path], turns: Iterator[Turn]) -> None:
    """A process for one clip in each turn; there is nothing in it to warm up."""
    for turn in turns:
        if turn.warms_up:
            continue
        words = [sys.executable, "-m", "benchmarks.caching", "--naive", str(clip_of(paths, turn))]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        turn.memory_mb = float(done.stdout)


def clip_of(paths: Sequence[Path], turn: Turn) -> Path:
    """The clip of a turn: another one in each round, the same for all ways."""
    return paths[turn.number % len(paths)]


def normalise_in_turns(paths: Sequence[Path], turns: Iterator[Turn]) -> None:
    """One clip normalised in each turn."""
    for turn in turns:
        with tempfile.TemporaryDirectory() as name:
            normalise([clip_of(paths, turn)], Path(name), workers=0)


def read_in_turns(paths: Sequence[Path], setting: Setting, turns: Iterator[Turn]) -> None:
    """A job that reads one normalised clip several times in each turn."""
    encoder = Free(make_encoder(setting.size, "cpu"))
    settings = EncodeSettings(workers=0, batch_size=setting.batch)
    with tempfile.TemporaryDirectory() as name:
        prepared: dict[Path, tuple[Path, pd.DataFrame]] = {}
        for path in dict.fromkeys(paths):
            (folder := Path(name) / str(len(prepared))).mkdir()
            prepared[path] = folder, normalise_repeated([path], setting.times, folder)
        for turn in turns:
            folder, manifest = prepared[clip_of(paths, turn)]
            cache(folder, encoder, manifest, settings)


def compare(paths: Sequence[Path], setting: Setting, whose: str, rounds: int) -> Comparison:
    """The naive way and the two parts of ours, in turns."""
    ways = [
        Way(NAIVE, partial(naive_in_turns, paths)),
        Way(READING, partial(read_in_turns, paths, setting), setting.times),
        Way(NORMALISING, partial(normalise_in_turns, paths)),
    ]
    taken = measure(ways, rounds)
    peer, reading, normalising = (seconds_of(way, taken[way.name], "processor") for way in ways)
    rows = [row(way, taken[way.name], peer, "processor") for way in ways]
    for kinds, words, goal in ((1, "one kind", "6 times"), (4, "four kinds", "15 times")):
        shared = [read + once / kinds for read, once in zip(reading, normalising, strict=True)]
        rows.append(row_of(f"ours for {words}: reading, and normalising shared by {kinds}", shared, peer, goal))
    return Comparison(
        title=f"A kind of features of a clip of 10 s, without the network ({whose})",
        compared_with="a process for each clip, which loads the encoder and decodes the raw file at its full size",
        unit="clip and kind",
        clock="processor",
        rows=tuple(rows),
        note="The last two are sums of the measured ones, by round.",
    )


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


def job_in_turns(folder: Path, manifest: pd.DataFrame, setting: Setting, turns: Iterator[Turn]) -> None:
    """A job with the encoder over all clips in each turn; the value is the GPU's utilisation."""
    encoder = make_encoder(setting.size, setting.device)
    settings = EncodeSettings(workers=setting.workers, batch_size=setting.batch)
    for turn in turns:
        if turn.warms_up:  # kernels are chosen on the first pass
            encoder.encode([np.zeros((FRAMES, *SQUASHED, 3), np.uint8)])
            continue
        watch = Utilisation()
        if setting.device != "cpu":
            watch.start()
        cache(folder, encoder, manifest, settings)
        watch.over.set()
        turn.value = float(np.mean(watch.seen)) if watch.seen else None


def throughput(paths: Sequence[Path], setting: Setting, rounds: int) -> Comparison:
    """One job, encoder included; there is no second way."""
    clock = clock_of(setting.device)
    with tempfile.TemporaryDirectory() as name:
        manifest = apart(partial(normalise_repeated, paths, setting.times, Path(name), setting.workers))
        way = Way("one job", partial(job_in_turns, Path(name), manifest, setting), len(manifest))
        taken = measure([way], rounds, setting.device)[way.name]
    seconds = seconds_of(way, taken, clock)
    made = row(way, taken, seconds, clock)
    seen = [turn.value for turn in taken if turn.value is not None]
    figures = {"clips per second": 1 / made.median_seconds}
    figures |= {"GPU utilisation, %": float(np.median(seen))} if seen else {}
    return Comparison(
        title=f"A job over {len(manifest)} normalised clips of 10 s, the encoder included",
        compared_with="nothing: clips per second are what is wanted",
        unit="clip",
        clock=clock,
        rows=(made.model_copy(update={"figures": figures}),),
    )


@click.command()
@options(list(SIZES), gpu=True)
@click.option("--shared", envvar="CAFA_SHARED", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--clips", type=int, help="clips that are made  [default: 2; full size: 4, each read 64 times]")
@click.option("--workers", type=int, help="of the job at full size  [default: 14]")
@click.option("--batch", type=int, help="clips that are encoded together  [default: 4; full size: 8]")
@click.option("--naive", "naive_path", type=click.Path(path_type=Path), hidden=True)
def main(
    size: str,
    device: str,
    rounds: int,
    output: Path | None,
    shared: Path | None,
    clips: int | None,
    workers: int | None,
    batch: int | None,
    naive_path: Path | None,
) -> Report | None:
    """Seconds of a clip in the naive way and in ours; at full size clips per second of one job."""
    if naive_path is not None:
        naive(naive_path)
        return None
    given = {"clips": clips, "workers": workers, "batch": batch}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    setting = replace(DEFAULTS[size], device=device, **changes)
    with tempfile.TemporaryDirectory() as folder:
        made = [Path(folder) / f"{number}.mp4" for number in range(setting.clips)]
        for number, path in enumerate(made):
            apart(partial(make_clip, path, number, setting.lines))
        if size == "full":
            comparisons = [throughput(made, setting, rounds)]
        else:
            comparisons = [compare(made, setting, f"clips made here, {setting.lines} lines", rounds)]
    if size == "reduced" and shared is not None:
        paths = published_clips(shared)
        comparisons.append(compare(paths, setting, f"{len(paths)} published clips", len(paths)))
    elif size == "reduced":
        click.echo("the published clips are left out: CAFA_SHARED names no folder of them")
    return finish("caching", size, device, rounds, asdict(setting), comparisons, output)


if __name__ == "__main__":
    main()
