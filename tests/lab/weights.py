"""Stand-ins of all published weights, under the names and in the places that config/paper.yaml gives them.

Weights are random and shapes are small, but for PANNs, whose file has its published size unless that is left out. The
digests of all files stand in a table of weights of its own, of the form of cafa/models/weights.tsv.
"""

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cafa.common.files import sha256_file
from cafa.models.weights import COLUMNS, read_weight_sources
from tests.published_forms import add_what_a_repository_holds, publish_clip, publish_t5
from tests.tiny_judges import NARROW, SIZES, make_panns, make_weights
from tests.tiny_pretrained import (
    REAL,
    WORDS,
    make_clip,
    make_published_adapter,
    make_stable_audio_open,
    make_stable_audio_original,
    make_tangoflux,
    make_text_encoder,
)

ROOT = Path(__file__).resolve().parents[2]
PANNS = "Cnn14_16k_mAP=0.438.pth"
#: width of the features of Synchformer and of CLIP, which are summed: configurations have to name it
FEATURE_DIM = NARROW["width"]
#: indexes of AudioSet's clips for each class, in the state of PANNs' sampler: as many bytes as in the published file
CLIPS_PER_CLASS = 7170


def make_full_panns(file: Path) -> None:
    """Cnn14 at 16 kHz with the published shapes and the state of its sampler: 359 MB."""
    make_panns(file, {}, CLIPS_PER_CLASS)


def make_all(folder: Path, full_panns: bool = True) -> dict[str, Any]:
    """Write every file of cafa/models/weights.tsv that config/paper.yaml uses, and the table of their digests.

    A folder that has them is left as it is: files of the layout before torch 1.6 are other bytes each time.

    Returns
    -------
    dict
        Sizes of the judges' networks that are not the published ones, for `pretrained.judges.sizes`.
    """
    if not (folder / "complete").is_file():
        make_judges_and_models(folder)
        if full_panns:
            make_full_panns(folder / PANNS)
        write_table(folder)
        (folder / "complete").touch()
    return {judge: size for judge, size in SIZES.items() if not (full_panns and judge == "classifier")}


def make_judges_and_models(folder: Path) -> None:
    """Write all files in small shapes."""
    words = (*WORDS, "barking", "playing", "tennis", "lions", "roaring", "congas", "sheep")
    make_weights(folder)
    stable_audio = make_stable_audio_open(folder / "stable-audio-open-1.0", REAL, words)
    make_stable_audio_original(stable_audio, REAL)  # its repository holds both layouts
    add_what_a_repository_holds(stable_audio)
    for name in ("t5-base", "flan-t5-large"):
        make_text_encoder(folder / name, folder / name, words=words)
    make_tangoflux(folder / "TangoFlux", folder / "flan-t5-large", REAL)
    publish_t5(folder / "t5-base", tied=True)
    publish_t5(folder / "flan-t5-large", tied=False)
    publish_clip(make_clip(folder / "clip-vit-large-patch14", FEATURE_DIM), pickled=False)
    make_published_adapter(folder / "CAFA_avclip.safetensors", REAL, FEATURE_DIM, with_backbone=True)


def place_of(folder: Path, url: str) -> Path:
    """Where a published file lies below the folder of weights; repositories of models are folders of their names."""
    parts = unquote(urlsplit(url).path).strip("/").split("/")
    if len(parts) > 4 and parts[2] == "resolve":
        in_repository = folder / parts[1] / "/".join(parts[4:])
        if in_repository.exists():
            return in_repository
    return folder / parts[-1]


def write_table(folder: Path) -> Path:
    """The project's table of weights with digest and size of the stand-ins; published rows without a file stay."""
    table = folder / "weights.tsv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, delimiter="\t", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for source in read_weight_sources().values():
            row = asdict(source)
            if (file := place_of(folder, source.url)).is_file():
                row |= {"sha256": sha256_file(file), "bytes": file.stat().st_size}
            writer.writerow(row)
    return table
