"""Judges that were trained here, together: loaded once, every sound decoded once for all of them."""

import importlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cafa.common.errors import WeightsError
from cafa.common.files import read_json
from cafa.models.folders import load_model
from cafa.models.weights import load_strict
from metrics.encoders.miniature.network import MiniatureNetwork
from metrics.judges.interface import Columns
from metrics.judges.kinds import CLASSIFIER, JUDGES, miniature_judges
from metrics.judges.measurements import check_version, measurements, open_measurement
from metrics.judges.published_judge import PublishedJudge


def network_of(name: str) -> type[MiniatureNetwork]:
    """Class of the network of judge `name` that has a small form."""
    module, _, network = miniature_judges()[name].network.partition(":")
    found: type[MiniatureNetwork] = getattr(importlib.import_module(module), network)
    return found


def build_judge(name: str, architecture: Mapping[str, Any]) -> MiniatureNetwork:
    """Untrained judge `name`; `architecture` holds the arguments of its class."""
    return network_of(name)(**architecture)


@dataclass(frozen=True)
class Judge:
    """A trained judge, frozen, and the card it came with."""

    model: MiniatureNetwork
    card: dict[str, Any]

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights' file."""
        return self.card["weights_sha256"]


def load_judge(folder: Path, name: str, device: str | torch.device = "cpu") -> Judge:
    """Load judge `name` from its model folder; the weights are checked against the card."""
    weights, card = load_model(folder, name)
    model = build_judge(name, card["architecture"])
    load_strict(model, weights, device=device)
    return Judge(model, card)


def judges_in(folder: str | Path) -> list[str]:
    """Judges with a small form, or without weights, that have a card there; and always the classifier."""
    possible = [*miniature_judges(), *measurements(JUDGES)]
    return [name for name in possible if name == CLASSIFIER or (Path(folder) / name / "card.json").is_file()]


class MicroJudges:
    """Judges that were trained here.

    Parameters
    ----------
    folder : path
        Holds their model folders, ``classifier``, ``clap`` and so on.
    device : str or torch.device
    judges : collection of str, optional
        Those that are loaded; None: all that are there (:func:`judges_in`).

    Attributes
    ----------
    trained : dict of str to Judge
    measured : dict of str to PublishedJudge
        Judges without weights, which take sounds as they are (:mod:`metrics.judges.measurements`).
    mel, frames : dict
        The encoders of the features that all judges were trained on.
    audio_protocol : dict
        What is used of a file of sound.

    Raises
    ------
    WeightsError
        If a judge is missing, its weights are not those of its card, the judges were trained on different features,
        or a judge without weights measures otherwise than when it was registered.
    InputError
        If a judge cannot judge sounds of the length that the judges were trained on.
    """

    def __init__(
        self, folder: str | Path, device: str | torch.device = "cpu", judges: Collection[str] | None = None
    ) -> None:
        self.device = torch.device(device)
        names = judges_in(folder) if judges is None else judges
        of_networks = [name for name in miniature_judges() if name in names]
        self.trained = {name: load_judge(Path(folder) / name, name, device) for name in of_networks}
        self.mel = self._common("mel")
        self.frames = self._common("frames")
        self.audio_protocol = {name: value for name, value in self.mel.items() if name == "seconds"}
        self.measured = {name: open_measurement(name) for name in measurements(names)}
        for name, judge in self.measured.items():
            judge.check_length(self.mel["seconds"])
            if (card := Path(folder) / name / "card.json").is_file():
                check_version(name, read_json(card), judge)

    @property
    def judges(self) -> dict[str, Judge | PublishedJudge]:
        """All of them."""
        return {**self.trained, **self.measured}

    def facts(self, judge: str) -> Mapping[str, Any]:
        """What the files of a judge's embeddings say of it beside its weights."""
        return self.measured[judge].facts() if judge in self.measured else self._model(judge).facts

    def _common(self, feature: str) -> dict[str, Any]:
        seen = {name: judge.card[feature] for name, judge in self.trained.items()}
        first = next(iter(seen.values()))
        other = [name for name, encoder in seen.items() if encoder != first]
        if other:
            raise WeightsError(
                f"judges were trained on different {feature} features ({', '.join(other)} differ): train them again"
            )
        return first

    def _model(self, name: str) -> MiniatureNetwork:
        return self.trained[name].model

    def embed_sound(self, mel: np.ndarray, frames: np.ndarray) -> dict[str, Columns]:
        """Columns of every trained judge for sounds, each under the pictures it is to be judged with.

        Parameters
        ----------
        mel : ndarray
            (clips, 2 n, bands) log-mel.
        frames : ndarray
            (clips, n, size, size, 3) uint8; only judges of picture and sound together look at them.

        Returns
        -------
        dict of judge name to dict of column name to ndarray
            float32, first axis the clips; columns of :attr:`metrics.judges.kinds.JudgeKind.columns`.
        """
        # Through the type that stores have, so that a sound is judged alike from a file and from a store.
        sound = torch.from_numpy(np.asarray(mel, dtype=np.float16)).float().to(self.device)
        pictures = torch.from_numpy(np.ascontiguousarray(frames)).to(self.device)
        columns = {name: judge.model.judge_sound(sound, pictures) for name, judge in self.trained.items()}
        return {judge: {name: values.cpu().numpy() for name, values in rows.items()} for judge, rows in columns.items()}

    def measure_sound(self, sounds: Sequence[tuple[np.ndarray, int]]) -> dict[str, Columns]:
        """Columns of every judge without weights, for sounds as they are.

        Parameters
        ----------
        sounds : sequence of (ndarray, int)
            float32 (channels, samples), of which the seconds count that the other judges hear, and samples per second.

        Returns
        -------
        dict of judge name to dict of column name to ndarray
            float32, first axis the sounds.
        """
        seconds, nothing = self.mel["seconds"], [None] * len(sounds)
        return {
            name: judge.embed_audio([judge.prepare_audio(data, rate, seconds) for data, rate in sounds], nothing)
            for name, judge in self.measured.items()
        }

    def embed_video(self, frames: np.ndarray, judge: str = "imagebind") -> np.ndarray:
        """Unit vectors (clips, d) of pictures (clips, n, size, size, 3) uint8, by a judge with a column ``video``."""
        pictures = torch.from_numpy(np.ascontiguousarray(frames)).to(self.device)
        return self._model(judge).judge_pictures(pictures).cpu().numpy()

    def embed_text(self, captions: Sequence[str], judge: str = "clap") -> np.ndarray:
        """Unit vectors (captions, d), by a judge that reads captions."""
        return self._model(judge).judge_captions(captions).cpu().numpy()
