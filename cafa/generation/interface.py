"""What every generator is given and gives: requests, and waveforms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from cafa.common.devices import sent
from cafa.common.errors import InputError


@dataclass(frozen=True)
class Request:
    """What to generate for one item.

    Parameters
    ----------
    text : ndarray, (L, text_dim)
        Text states of the caption.
    video : ndarray, (F, width), or None
        Video features, those of several kinds side by side in the order of the generator's ``video_kinds``; None only
        for a text-only system.
    seed : int
    negative : ndarray, (L, text_dim), optional
        Text states of a negative prompt, which then takes the place of the null text.
    """

    text: np.ndarray
    video: np.ndarray | None
    seed: int
    negative: np.ndarray | None = None


class SoundGenerator(Protocol):
    """A system's models, loaded once.

    Attributes
    ----------
    inputs : dict of str to str
        Encoder digests that the features of requests must have: ``text`` and every kind of video features.
    video_kinds : tuple of str
        Kinds of video features in the order in which they lie side by side; empty for a text-only system.
    identity : dict
        SHA-256 of everything that sounds depend on.
    seconds : float
        Length of what is generated.
    sample_rate : int
    text_shape : (int, int)
        States of a caption and their width.
    """

    inputs: dict[str, str]
    video_kinds: tuple[str, ...]
    identity: dict[str, Any]
    seconds: float
    sample_rate: int
    text_shape: tuple[int, int]

    def encode_text(self, prompt: str) -> np.ndarray:
        """Text states of a prompt, (L, text_dim)."""
        ...

    def part_read(self, prompt: str) -> str:
        """The beginning of a prompt that its text states are made of: all of it, or up to where it is cut.

        Raises
        ------
        InputError
            If :meth:`encode_text` would refuse the prompt.
        """
        ...

    def generate(self, requests: Sequence[Request]) -> list[np.ndarray]:
        """Waveforms of a batch, each float32 (samples,) or (channels, samples), within full scale."""
        ...

    def pieces(self, requests: Sequence[Request]) -> list[np.ndarray]:
        """The same for windows that will be joined: their level is not yet set."""
        ...

    def level(self, sound: np.ndarray) -> np.ndarray:
        """Set the level of joined windows, as that of one window is set."""
        ...


def stacked(
    requests: Sequence[Request], needs_video: bool, device: torch.device
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Text states, video features and text states of negative prompts of a batch, float32.

    Raises
    ------
    InputError
        If only some requests have a negative prompt, or one lacks video features that the system needs.
    """
    negatives = [request.negative for request in requests if request.negative is not None]
    if negatives and len(negatives) < len(requests):
        raise InputError("either every request of a batch has a negative prompt, or none has")
    videos = [request.video for request in requests if request.video is not None]
    if needs_video and len(videos) < len(requests):
        raise InputError("the system reads video features, and some requests of the batch have none")
    text = _stack([request.text for request in requests], device)
    video = _stack(videos, device) if needs_video else None
    return text, video, _stack(negatives, device) if negatives else None


def _stack(arrays: Sequence[np.ndarray], device: torch.device) -> Tensor:
    return sent(torch.from_numpy(np.stack(arrays).astype(np.float32)), device)
