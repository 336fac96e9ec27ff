"""Our judges beside the published packages: same clips, same weights, largest difference.

The packages run in an environment of their own (``workflow/scripts/witness.py``) and leave a folder: the weights that
they used, their clips, and what they answered. This module gives our answers to the same and writes the comparison.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch
from scipy.special import expit

from cafa.errors import InputError
from cafa.files import read_json, whole
from metrics.encoders.clap import ClapNetwork, load_clap
from metrics.encoders.panns import PannsEncoder
from metrics.encoders.weights import WeightSource
from metrics.frechet import frechet_distance
from metrics.parity_inputs import waves

PANNS, CLAP = "Cnn14_16k_mAP=0.438.pth", "music_speech_audioset_epoch_15_esc_89.98.pt"
#: Largest difference allowed; that of a distance is relative to its value.
TOLERANCES = {
    "panns.embedding": 1e-4,
    "panns.probabilities": 1e-4,
    "fad.score": 1e-5,
    "clap.audio": 1e-5,
    "clap.text": 1e-5,
    "clap.cosine": 1e-5,
}


@dataclass(frozen=True)
class WitnessRow:
    """One quantity of one package.

    Attributes
    ----------
    quantity
        ``<package>.<what>``.
    package, version
        Of the witness.
    size
        Number of values.
    ours, theirs
        Mean of the values, or the value.
    max_difference
        Largest absolute difference of two values.
    tolerance
        Largest that is allowed.
    ok
        Whether it holds.
    """

    quantity: str
    package: str
    version: str
    size: int
    ours: float
    theirs: float
    max_difference: float
    tolerance: float
    ok: bool


def _source(name: str) -> WeightSource:
    return WeightSource(name, "", None, "", "", "")


def our_answers(folder: Path, about: dict[str, Any], theirs: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Our values of everything that the packages answered, from their weights files and their clips."""
    seconds = float(about["seconds"])
    panns = PannsEncoder.from_file(folder / "weights" / PANNS, _source("panns_cnn14_16k"), unverified=True)
    embedding, logits = panns.embed_with_logits(waves(3, 16000, seconds))
    yield "panns.embedding", embedding
    yield "panns.probabilities", expit(logits)
    if "fad.score" in theirs:
        sets = []
        for name in ("reference", "generated"):
            files = sorted((folder / "clips" / name).glob("*.wav"))
            sets.append(panns.embed([soundfile.read(file, dtype="float32")[0] for file in files]))
        yield "fad.score", np.asarray(frechet_distance(sets[1], sets[0]).value)
    if "clap.audio" in theirs:
        checkpoint = load_clap(folder / "weights" / CLAP, _source("laion_clap"), unverified=True)
        network = ClapNetwork.from_tensors(checkpoint.tensors)
        with torch.inference_mode():
            sound = network.embed_audio(torch.from_numpy(waves(3, 48000, seconds))).numpy()
            text = network.embed_text(*(torch.from_numpy(theirs[f"input.{part}"]) for part in ("ids", "mask"))).numpy()
        yield "clap.audio", sound
        yield "clap.text", text
        yield "clap.cosine", text @ sound.T


def compare_with_witnesses(folder: Path) -> list[WitnessRow]:
    """Compare our judges with what the published packages left in `folder`.

    Raises
    ------
    InputError
        If the packages have not run, or answered something that nobody here answers.
    """
    if not (folder / "answers.npz").is_file():
        raise InputError(f"{folder} holds no answers.npz: run workflow/scripts/witness.py in envs/reference.yaml first")
    about = read_json(folder / "about.json")
    with np.load(folder / "answers.npz", allow_pickle=False) as content:
        theirs = dict(content)
    ours = dict(our_answers(folder, about, theirs))
    answered = {name for name in theirs if not name.startswith("input.")}
    if answered != ours.keys():
        raise InputError(f"answers that only one side has: {sorted(answered ^ ours.keys())}")
    rows = []
    for name, values in ours.items():
        witness = name.split(".")[0]
        other = theirs[name].astype(np.float64)
        if other.shape != values.shape:
            raise InputError(f"{name}: the package answered an array of shape {other.shape}, ours has {values.shape}")
        difference = float(np.abs(values - other).max())
        limit = TOLERANCES[name] * (max(1.0, abs(float(other))) if other.ndim == 0 else 1.0)
        rows.append(
            WitnessRow(
                name, about["packages"][witness], about["versions"][witness], values.size, float(values.mean()),
                float(other.mean()), difference, limit, difference <= limit,
            )
        )  # fmt: skip
    return rows


def write_parity(folder: Path, output: Path) -> list[WitnessRow]:
    """Write the comparison as csv, a row per quantity; columns as in `WitnessRow`, and under which conditions."""
    rows = compare_with_witnesses(folder)
    about = read_json(folder / "about.json")
    conditions = f"torch {about['torch']}, numpy {about['numpy']}; weights: {about['weights']}"
    if about["empty_modules"]:
        conditions += f"; not importable, so replaced by empty modules: {' '.join(about['empty_modules'])}"
    with whole(output) as temporary:
        pd.DataFrame([vars(row) | {"witness_ran_with": conditions} for row in rows]).to_csv(
            temporary, index=False, lineterminator="\n", float_format="%.8g"
        )
    return rows
