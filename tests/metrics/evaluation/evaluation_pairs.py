"""Pairs of small sounds, and settings that answer at once, for tests of the evaluation."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from metrics.evaluation.evaluate import EvaluationSettings
from metrics.evaluation.pairs import Pairs, read_pairs
from metrics.tables.compute import BootstrapSettings
from tests.evaluation_clips import write_wav

QUICK = BootstrapSettings(resamples=100)


def write_list(folder: Path, names: Sequence[str], **columns: Sequence[str]) -> Path:
    frame = pd.DataFrame({"clip_id": names, "caption": [f"sound {n}" for n in range(len(names))], **columns})
    frame.to_csv(folder / "prompts.csv", index=False)
    return folder / "prompts.csv"


def make_pairs(folder: Path, names: Sequence[str], **columns: Sequence[str]) -> Pairs:
    """Wavs of half a second: the clips' own are sounds 0, 1..., the system's 100, 101..."""
    for number, name in enumerate(names):
        write_wav(folder / "reference" / f"{name}.wav", number, 0.5)
        write_wav(folder / "ours" / f"{name}.wav", 100 + number, 0.5)
    return find(folder, names, **columns)


def find(folder: Path, names: Sequence[str], **columns: Sequence[str]) -> Pairs:
    return read_pairs(write_list(folder, names, **columns), folder / "reference", {"ours": folder / "ours"})


def settings(*metrics: str, **other: object) -> EvaluationSettings:
    return EvaluationSettings(metrics=metrics or ("FAD", "KL"), bootstrap=QUICK, **other)
