"""A toy world: three labels, each a colour that flashes and a tone that sounds at the same times."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cafa.data.manifest import SCHEMA
from cafa.features.store import write_features
from cafa.media.mel import MelSettings, log_mel
from metrics.judges.kinds import miniature_judges
from metrics.judges.training.clips import Clips, read_clips
from metrics.judges.training.settings import judge_settings
from metrics.judges.training.train import train_judge

LABELS = ("bell", "drum", "whistle")
MEL = MelSettings(bins=16)
SIZE = 16
SAMPLES = 51200


def toy_times(number: int) -> np.ndarray:
    rng = np.random.default_rng([1, number])
    return np.sort(rng.choice(np.arange(3, 76, 8), 4, replace=False) + rng.integers(0, 4, 4))


def toy_sound(number: int, label: str) -> np.ndarray:
    """Tone bursts of 80 ms at the clip's times, in faint noise."""
    rng = np.random.default_rng([2, number])
    sound = 0.002 * rng.standard_normal(SAMPLES)
    burst = np.sin(2 * np.pi * (300, 1200, 4000)[LABELS.index(label)] * np.arange(1280) / 16000)
    for frame in toy_times(number):
        sound[640 * frame : 640 * frame + 1280] += 0.5 * burst
    return sound.astype(np.float32)


def toy_frames(number: int, label: str) -> np.ndarray:
    rng = np.random.default_rng([3, number])
    frames = rng.integers(60, 90, (80, SIZE, SIZE, 3), dtype=np.uint8)
    frames[:, 4:12, 4:12, LABELS.index(label)] += 60
    for frame in toy_times(number):
        frames[frame : frame + 2, 4:12, 4:12] += 70
    return frames


class Toy(SimpleNamespace):
    """Files of the toy world: folder, frames, mel, manifest (a table), judges, clips."""

    def labels(self) -> dict[str, str]:
        return dict(zip(self.manifest["clip_id"], self.manifest["label"], strict=True))

    def dub(self, row: int, label: str) -> np.ndarray:
        return log_mel(toy_sound(row, label), MEL)


def write_manifest(path: Path, table: pd.DataFrame) -> Path:
    pq.write_table(pa.Table.from_pandas(table, schema=SCHEMA, preserve_index=False), path)
    return path


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """Features, manifest and the four trained judges."""
    folder = tmp_path_factory.mktemp("toy")
    rows = [
        {
            "clip_id": f"clip{number:03}",
            "uri": "x.mp4",
            "start": 0.0,
            "duration": 3.2,
            "label": LABELS[number % 3],
            "caption": f"the sound of a {LABELS[number % 3]}",
            "split": "train",
            "licence": "CC0-1.0",
            "line": number + 2,
        }
        for number in range(36)
    ]
    manifest = pd.DataFrame(rows)
    frames = ((row["clip_id"], toy_frames(n, row["label"])) for n, row in enumerate(rows))
    mel = ((row["clip_id"], log_mel(toy_sound(n, row["label"]), MEL)) for n, row in enumerate(rows))
    write_features(
        folder / "frames.arrow",
        frames,
        kind="frames",
        shape=(80, SIZE, SIZE, 3),
        dtype="uint8",
        encoder={"name": "frames"},
    )
    write_features(
        folder / "mel.arrow",
        mel,
        kind="mel",
        shape=(160, 16),
        dtype="float16",
        encoder={"name": "log_mel", "seconds": 3.2, **MEL.model_dump()},
    )
    clips: Clips = read_clips([folder / "frames.arrow"], [folder / "mel.arrow"], manifest, "train")
    for name in miniature_judges():
        batch = {"classifier": 8, "clap": 6, "imagebind": 6, "synchformer": 4}[name]
        loop = {"steps": 60 if name == "synchformer" else 25, "batch_size": batch, "learning_rate": 4e-3}
        settings = judge_settings(name, {"loop": loop, "augmentation": {"shift_picture": 0}})
        train_judge(name, clips, settings, seed=5, output=folder / "judges" / name)
    return Toy(
        folder=folder,
        frames=folder / "frames.arrow",
        mel=folder / "mel.arrow",
        clips=clips,
        manifest=manifest,
        manifest_path=write_manifest(folder / "manifest.parquet", manifest),
        judges=folder / "judges",
    )
