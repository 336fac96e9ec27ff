"""Small runs of external systems: clips, prompts, stand-in checkouts, and the command that makes samples."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cafa.data.prompts import SCHEMA
from cafa.generation.samples import SampleJob, make_system_samples
from cafa.generation.sources import SampleFiles
from cafa.generation.systems import parse_system
from tests.evaluation_clips import write_video

CAPTIONS = ("a dog barks", "rain on a roof")


def write_prompts(path: Path, clips: Sequence[str], captions: Sequence[str] = CAPTIONS) -> Path:
    """Each caption for each clip; the first is the clip's own."""
    rows = [
        {
            "clip_id": clip,
            "caption_id": f"c{number}",
            "caption": caption,
            "label": caption.split()[0],
            "own_label": captions[0].split()[0],
            "own_caption": captions[0],
            "protocol": "cross",
        }
        for clip in clips
        for number, caption in enumerate(captions)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    return path


def write_clips(folder: Path, clips: Sequence[str], seconds: float) -> Path:
    """Normalised clips, without sound as ours are."""
    (folder / "0").mkdir(parents=True, exist_ok=True)
    for number, clip in enumerate(clips):
        write_video(folder / "0" / f"{clip}.mp4", number, seconds, sound=False)
    return folder


def job(folder: Path, settings: Mapping[str, Any], name: str = "peer", *, batch_size: int = 4) -> SampleJob:
    """The job of all prompts of a folder."""
    return SampleJob(
        name,
        parse_system(dict(settings)),
        folder / "prompts.parquet",
        SampleFiles(folder / "models", folder / "clips", folder / "features"),
        folder / name / "0",
        folder / f"{name}.parquet",
        seconds=8.0,
        sample_rate=16000,
        seed=7,
        batch_size=batch_size,
    )


def made(folder: Path, settings: Mapping[str, Any], name: str = "peer", *, batch_size: int = 4) -> pd.DataFrame:
    """Index of the samples of a system."""
    make_system_samples(job(folder, settings, name, batch_size=batch_size))
    return pd.read_parquet(folder / f"{name}.parquet")


def command(folder: Path, settings: Path, name: str) -> list[str]:
    """The same as a command."""
    words = {
        "--system": name,
        "--settings": settings,
        "--prompts": folder / "prompts.parquet",
        "--features-folder": folder / "features",
        "--models": folder / "models",
        "--clips": folder / "clips",
        "--seconds": 8.0,
        "--sample-rate": 16000,
        "--seed": 7,
        "--batch-size": 2,
        "--output-folder": folder / name / "0",
        "--index": folder / f"{name}.parquet",
    }
    options = [str(word) for pair in words.items() for word in pair]
    return [os.path.join(os.path.dirname(sys.executable), "cafa"), "samples", "make", *options]
