"""Our judges beside the published packages: same clips, same weights, largest difference.

The packages run in an environment of their own (``workflow/scripts/reference.py``) and leave a folder: the weights that
they used, their clips, and what they answered. This module gives our answers to the same and writes the comparison.
A package that could not be asked has a row that says why.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch
from scipy.special import expit

from cafa.common.errors import InputError
from cafa.common.files import atomic_write, read_json
from cafa.models.encoders.synchformer_network import SynchformerVisual
from cafa.models.weights import WeightSource
from metrics.encoders.clap.encoders import ClapNetwork, load_clap
from metrics.encoders.imagebind.encoders import load_imagebind
from metrics.encoders.imagebind.network import ImageBindAudio, ImageBindVision
from metrics.encoders.panns import PannsEncoder
from metrics.encoders.synchformer.audio_network import SynchformerAudio
from metrics.encoders.synchformer.encoders import load_synchformer
from metrics.encoders.synchformer.offset_network import SynchformerOffset
from metrics.functional.frechet import frechet_distance
from metrics.parity.later_packages import LATER_ANSWERS, LATER_TOLERANCES

PANNS, CLAP = "Cnn14_16k_mAP=0.438.pth", "music_speech_audioset_epoch_15_esc_89.98.pt"
IMAGEBIND, SYNCHFORMER = "imagebind_huge.pth", "synchformer_state_dict.pth"
#: Largest difference allowed; that of a distance is relative to its value.
TOLERANCES = {
    "panns.embedding": 1e-4,
    "panns.probabilities": 1e-4,
    "fad.score": 1e-5,
    "clap.audio": 1e-5,
    "clap.text": 1e-5,
    "clap.cosine": 1e-5,
    "imagebind.audio": 1e-4,
    "imagebind.vision": 1e-4,
    "synchformer.video": 1e-4,
    "synchformer.audio": 1e-4,
    "synchformer.offsets": 1e-4,
    **LATER_TOLERANCES,
}

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class PackageRow:
    """One quantity of one package.

    Attributes
    ----------
    quantity
        ``<package>.<what>``; ``<package>`` alone where it could not be asked.
    package, version
        Of the package; of a repository, its commit.
    size
        Number of values.
    ours, theirs
        Mean of the values, or the value.
    max_difference
        Largest absolute difference of two values.
    tolerance
        Largest that is allowed.
    ok
        ``yes``, ``no``, or ``not compared``.
    note
        What was compared, what had to be replaced so that the package could be imported, or why it was not asked.
    """

    quantity: str
    package: str
    version: str
    size: int
    ours: float
    theirs: float
    max_difference: float
    tolerance: float
    ok: str
    note: str


def _source(name: str) -> WeightSource:
    return WeightSource(name, "", None, "", "", "")


def _panns(folder: Path) -> PannsEncoder:
    return PannsEncoder.from_file(folder / "weights" / PANNS, _source("panns_cnn14_16k"), unverified=True)


def answer_panns(folder: Path, inputs: Arrays) -> dict[str, np.ndarray]:
    """Cnn14, from the waveform."""
    embedding, logits = _panns(folder).embed_with_logits(list(inputs["sound"]))
    return {"embedding": embedding, "probabilities": expit(logits)}


def answer_fad(folder: Path, inputs: Arrays) -> dict[str, np.ndarray]:
    """Frechet distance of two folders of wavs."""
    panns, sets = _panns(folder), []
    for name in ("generated", "reference"):
        files = sorted((folder / "clips" / name).glob("*.wav"))
        sets.append(panns.embed([soundfile.read(file, dtype="float32")[0] for file in files]))
    return {"score": np.asarray(frechet_distance(*sets).value)}


def answer_clap(folder: Path, inputs: Arrays) -> dict[str, np.ndarray]:
    """Both towers of LAION-CLAP, from the waveform and from token ids."""
    checkpoint = load_clap(folder / "weights" / CLAP, _source("laion_clap"), unverified=True)
    network = ClapNetwork.from_tensors(checkpoint.tensors)
    with torch.inference_mode():
        sound = network.embed_audio(torch.from_numpy(inputs["sound"])).numpy()
        text = network.embed_text(torch.from_numpy(inputs["ids"]), torch.from_numpy(inputs["mask"])).numpy()
    return {"audio": sound, "text": text, "cosine": text @ sound.T}


def answer_imagebind(folder: Path, inputs: Arrays) -> dict[str, np.ndarray]:
    """Both towers of ImageBind, from log-mels (clips, pieces, 1, 128, 204) and pairs of frames."""
    file = folder / "weights" / IMAGEBIND
    tensors = load_imagebind(file, _source("imagebind_huge"), unverified=True).tensors
    mel, frames = torch.from_numpy(inputs["mel"])[:, :, 0], torch.from_numpy(inputs["frames"])
    found = {}
    for name, tower, clips in (("audio", ImageBindAudio, mel), ("vision", ImageBindVision, frames)):
        with torch.inference_mode():
            pieces = tower.from_tensors(tensors)(clips.flatten(0, 1))
        found[name] = pieces.unflatten(0, clips.shape[:2]).mean(1).numpy()
    return found


def answer_synchformer(folder: Path, inputs: Arrays) -> dict[str, np.ndarray]:
    """Both encoders of Synchformer, and its offset head."""
    file = folder / "weights" / SYNCHFORMER
    tensors = load_synchformer(file, _source("synchformer"), unverified=True).tensors
    given = {name: torch.from_numpy(value) for name, value in inputs.items()}
    with torch.inference_mode():
        seen = SynchformerVisual.from_tensors(tensors)(given["frames"])
        mel = given["mel"]
        heard = SynchformerAudio.from_tensors(tensors).afeat_extractor(mel.flatten(0, 2)).unflatten(0, mel.shape[:2])
        offsets = SynchformerOffset.from_tensors(tensors)(given["video"], given["audio"])
    return {"video": seen.numpy(), "audio": heard.numpy(), "offsets": offsets.numpy()}


#: Our answers by package, from the folder and its inputs.
ANSWERS: dict[str, Callable[[Path, Arrays], dict[str, np.ndarray]]] = {
    "panns": answer_panns,
    "fad": answer_fad,
    "clap": answer_clap,
    "imagebind": answer_imagebind,
    "synchformer": answer_synchformer,
    **LATER_ANSWERS,
}


def _below(arrays: Arrays, prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}


def _compare(package: str, about: Mapping[str, Any], ours: Arrays, theirs: Arrays) -> list[PackageRow]:
    if theirs.keys() != ours.keys():
        raise InputError(f"{package}: answers that only one side has: {sorted(theirs.keys() ^ ours.keys())}")
    replaced = f"; not importable, so replaced by stand-ins: {' '.join(about['replaced'])}" if about["replaced"] else ""
    rows = []
    for name, values in ours.items():
        other = theirs[name].astype(np.float64)
        if other.shape != values.shape:
            raise InputError(
                f"{package}.{name}: the package answered an array of shape {other.shape}, ours has {values.shape}"
            )
        difference = float(np.abs(values - other).max())
        limit = TOLERANCES[f"{package}.{name}"] * (max(1.0, abs(float(other))) if other.ndim == 0 else 1.0)
        rows.append(
            PackageRow(
                f"{package}.{name}",
                about["package"],
                about["version"],
                values.size,
                float(values.mean()),
                float(other.mean()),
                difference,
                limit,
                "yes" if difference <= limit else "no",
                about["note"] + replaced,
            )
        )
    return rows


def compare_with_packages(folder: Path) -> list[PackageRow]:
    """Compare our judges with what the published packages left in `folder`.

    Raises
    ------
    InputError
        If the packages have not run, or answered something that nobody here answers.
    """
    if not (folder / "answers.npz").is_file():
        raise InputError(
            f"{folder} holds no answers.npz: run workflow/scripts/reference.py in envs/reference.yaml first"
        )
    with np.load(folder / "answers.npz", allow_pickle=False) as content:
        given = dict(content)
    rows: list[PackageRow] = []
    for package, about in read_json(folder / "about.json")["packages"].items():
        if about["absent"]:
            nothing = float("nan")
            values = (nothing, nothing, nothing, nothing)
            rows.append(PackageRow(package, about["package"], "", 0, *values, "not compared", about["absent"]))
            continue
        ours = ANSWERS[package](folder, _below(given, f"input.{package}."))
        rows += _compare(package, about, ours, _below(given, f"{package}."))
    return rows


def write_parity(folder: Path, output: Path) -> list[PackageRow]:
    """Write the comparison as csv, a row per quantity; columns as in `PackageRow`, and under which conditions."""
    rows = compare_with_packages(folder)
    about = read_json(folder / "about.json")
    conditions = f"torch {about['torch']}, numpy {about['numpy']}; weights: {about['weights']}"
    with atomic_write(output) as temporary:
        pd.DataFrame([vars(row) | {"package_ran_with": conditions} for row in rows]).to_csv(
            temporary, index=False, lineterminator="\n", float_format="%.8g"
        )
    return rows
