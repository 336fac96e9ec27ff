"""A video on its way to a new sound: which part is meant, and what the generator is given of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from cafa.common.errors import InputError
from cafa.media import FRAME_RATE


@dataclass(frozen=True)
class AskedPart:
    """A part of a video."""

    video: str | Path
    start: float
    end: float | None
    track: int | None
    official: bool

    def __post_init__(self) -> None:
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise InputError(f"a part begins at 0 or later and ends after it begins, got {self.start} to {self.end} s")
        if self.official and (self.start or self.end is not None):
            raise InputError(
                "the official preset takes a file's frames from its beginning, as the published code does: cut the "
                "video first, or use ours"
            )

    @property
    def seconds(self) -> float | None:
        """Length; None: to the end. A part is not shorter than half a frame."""
        return None if self.end is None else max(self.end - self.start, 0.5 / FRAME_RATE)


@dataclass(frozen=True)
class PreparedVideo:
    """A video as the generator wants it.

    Attributes
    ----------
    picture
        The normalised picture (mp4).
    frames
        Number of its frames, 25 per second.
    starts
        First frames of its windows.
    features
        Video features of each window, (F, width).
    damage
        See :class:`FoleyResult`.
    """

    picture: bytes
    frames: int
    starts: list[int]
    features: list[np.ndarray]
    damage: str


def damage_of(facts: Mapping[str, Any]) -> str:
    """What a video lost to damage, as a sentence; empty if nothing.

    Parameters
    ----------
    facts : mapping
        From :func:`cafa.media.normalise.normalise_clip`.
    """
    rate = Fraction(facts["source_frame_rate"] or FRAME_RATE)
    counted = ("damaged_frames", "frames_after_damage", "frames_before_key")
    lost, after, before_key = (float(facts.get(name, 0) / rate) for name in counted)
    missing = facts.get("missing_seconds", 0.0)
    parts = []
    if lost:
        parts.append(f"{lost:.2f} s of the picture are damaged, where the frame before stays")
    if after:
        parts.append(f"{after:.2f} s after that build on what is lost and may look wrong")
    if before_key:
        parts.append(f"{before_key:.2f} s before the first complete picture are left out")
    if missing:
        parts.append(f"{missing:.2f} s that the file promises are not there")
    return "; ".join(parts)
