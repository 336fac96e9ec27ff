"""All judges of the miniature together: loaded once, every sound decoded once for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cafa.common.errors import WeightsError
from cafa.models.folders import load_model
from cafa.models.weights import load_strict
from metrics.encoders.miniature import clap as micro_clap
from metrics.encoders.miniature import classifier as micro_classifier
from metrics.encoders.miniature import imagebind as micro_imagebind
from metrics.encoders.miniature import synchformer as micro_synchformer

CLASSES: dict[str, type[nn.Module]] = {
    "classifier": micro_classifier.MicroClassifier,
    "clap": micro_clap.MicroClap,
    "imagebind": micro_imagebind.MicroImageBind,
    "synchformer": micro_synchformer.MicroSynchformer,
}

Columns = dict[str, np.ndarray]


def build_judge(name: str, architecture: Mapping[str, Any]) -> nn.Module:
    """Untrained judge `name`; `architecture` holds the arguments of its class."""
    return CLASSES[name](**architecture)


@dataclass(frozen=True)
class Judge:
    """A trained judge, frozen, and the card it came with."""

    model: nn.Module
    card: dict[str, Any]

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights' file."""
        return self.card["weights_sha256"]


def load_judge(folder: Path, name: str, device: str | torch.device = "cpu") -> Judge:
    """Load judge `name` from its model folder; the weights are checked against the card."""
    weights, card = load_model(folder, name)
    return Judge(load_strict(build_judge(name, card["architecture"]), weights, device=device), card)


class MicroJudges:
    """The four judges.

    Parameters
    ----------
    folder : path
        Holds the model folders ``classifier``, ``clap``, ``imagebind`` and ``synchformer``.
    device : str or torch.device

    Attributes
    ----------
    judges : dict of str to Judge
    mel, frames : dict
        The encoders of the features that all judges were trained on.
    grid : tuple of float
        Offsets of synchformer's classes, seconds.
    audio_protocol : dict
        What is used of a file of sound.

    Raises
    ------
    WeightsError
        If a judge is missing, its weights are not those of its card, or the judges were trained on different
        features.
    """

    def __init__(self, folder: str | Path, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.judges = {name: load_judge(Path(folder) / name, name, device) for name in CLASSES}
        self.grid = micro_synchformer.GRID
        self.mel = self._common("mel")
        self.frames = self._common("frames")
        self.audio_protocol = {name: value for name, value in self.mel.items() if name == "seconds"}

    def facts(self, judge: str) -> dict[str, Any]:
        """What the files of a judge's embeddings say of it beside its weights."""
        return {"grid": list(self.grid)} if judge == "synchformer" else {}

    def _common(self, feature: str) -> dict[str, Any]:
        seen = {name: judge.card[feature] for name, judge in self.judges.items()}
        first = next(iter(seen.values()))
        other = [name for name, encoder in seen.items() if encoder != first]
        if other:
            raise WeightsError(
                f"judges were trained on different {feature} features ({', '.join(other)} differ): train them again"
            )
        return first

    def _model(self, name: str) -> Any:
        return self.judges[name].model

    def embed_sound(self, mel: np.ndarray, frames: np.ndarray) -> dict[str, Columns]:
        """Columns of every judge for sounds, each under the pictures it is to be judged with.

        Parameters
        ----------
        mel : ndarray
            (clips, 2 n, bands) log-mel.
        frames : ndarray
            (clips, n, size, size, 3) uint8; only the offset judge looks at them.

        Returns
        -------
        dict of judge name to dict of column name to ndarray
            float32, first axis the clips: classifier ``embedding`` and ``logits``, clap ``embedding``,
            imagebind ``embedding``, synchformer ``logits_first`` and ``logits_last``.
        """
        # Through the type that stores have, so that a sound is judged alike from a file and from a store.
        sound = torch.from_numpy(np.asarray(mel, dtype=np.float16)).float().to(self.device)
        pictures = torch.from_numpy(np.ascontiguousarray(frames)).to(self.device)
        columns: dict[str, dict[str, Tensor]] = {
            "classifier": micro_classifier.embed_sound(self._model("classifier"), sound),
            "clap": micro_clap.embed_sound(self._model("clap"), sound),
            "imagebind": micro_imagebind.embed_sound(self._model("imagebind"), sound),
            "synchformer": micro_synchformer.embed_pair(self._model("synchformer"), pictures, sound),
        }
        return {judge: {name: values.cpu().numpy() for name, values in rows.items()} for judge, rows in columns.items()}

    def embed_video(self, frames: np.ndarray) -> np.ndarray:
        """Imagebind's unit vectors (clips, 64) of pictures (clips, n, size, size, 3) uint8."""
        pictures = torch.from_numpy(np.ascontiguousarray(frames)).to(self.device)
        return micro_imagebind.embed_video(self._model("imagebind"), pictures).cpu().numpy()

    def embed_text(self, captions: Sequence[str]) -> np.ndarray:
        """Clap's unit vectors (captions, 64)."""
        return micro_clap.embed_text(self._model("clap"), captions).cpu().numpy()
