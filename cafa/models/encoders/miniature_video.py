"""What the miniature's encoders of video share: towers with one vector per frame, and the windows they are given."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn import functional

from cafa.models.encoders.video_encoder import FRAME_RATE, VideoEncoder
from cafa.models.folders import load_model

Network = TypeVar("Network", bound=nn.Module)
#: largest logarithm of the factor of the similarities, as in CLIP: a factor of 100
LARGEST = 4.6


def contrastive_loss(first: Tensor, second: Tensor, log_temperature: Tensor) -> Tensor:
    """InfoNCE in both directions, (): row n of `first` belongs to row n of `second`, both unit vectors (N, dim)."""
    logits = first @ second.T * log_temperature.clamp(max=LARGEST).exp()
    target = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


def open_towers(
    folder: str | Path, kind: str, settings: type[BaseModel], network: type[Network]
) -> tuple[Network, dict[str, Any]]:
    """Both towers of a model folder, frozen, and the folder's card."""
    weights, card = load_model(folder, kind)
    towers = network(settings.model_validate(card["settings"]))
    towers.load_state_dict(weights)
    return towers.eval(), card


class FrameTower(Protocol):
    """A frozen tower of a model folder.

    Attributes
    ----------
    kind : str
        Kind of its features.
    dim : int
        Width of a feature.
    encoder : dict
        Identity, as stored with features.
    """

    kind: str
    dim: int
    encoder: dict[str, Any]

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Features of one clip: uint8 (F, 32, 32, 3), all 25 frames per second -> float32 (F, dim)."""


class MiniatureVideoEncoder(VideoEncoder):
    """A tower of the miniature as an encoder of windows of a video; it runs on the CPU.

    Parameters
    ----------
    folder : path
        Model folder written by training.

    Attributes
    ----------
    tower_class : callable (folder) -> FrameTower
    """

    size = 32
    tower_class: ClassVar[type[Any]]

    def __init__(self, folder: str | Path) -> None:
        self._tower: FrameTower = self.tower_class(folder)
        self.encoder = self._tower.encoder
        self.shape = (round(self.seconds * FRAME_RATE), self._tower.dim)

    @classmethod
    def load(cls, folder: str | Path, card: Mapping[str, Any], device: str) -> Self:
        """The tower of a model folder; `device` is not used."""
        return cls(folder)

    def encode_window(self, frames: np.ndarray, window: int) -> np.ndarray:
        """Features (window, dim); the last frame of a shorter video is repeated."""
        last = np.repeat(frames[-1:], window - len(frames), axis=0)
        return self._tower.encode(np.concatenate([frames, last]))
