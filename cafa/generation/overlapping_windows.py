"""A video that is longer than one window: windows that overlap, and their sounds joined."""

from collections.abc import Sequence

import numpy as np


def window_starts(frames: int, window: int, overlap: int) -> list[int]:
    """First frames of windows that cover a video.

    Windows follow each other with at least `overlap` common frames; the last one ends with the video. A video shorter
    than a window has one, at 0.
    """
    if frames <= window:
        return [0]
    hop = window - overlap
    starts = list(range(0, frames - window, hop))
    return [*starts, frames - window]


def join_windows(sounds: Sequence[np.ndarray], starts: Sequence[int], length: int) -> np.ndarray:
    """Join overlapping sounds with equal-power fades.

    Parameters
    ----------
    sounds : sequence of ndarray, (..., samples)
        Of equal length.
    starts : sequence of int
        First sample of each, ascending.
    length : int
        Samples of the result; what lies beyond is cut.
    """
    size = sounds[0].shape[-1]
    joined = np.zeros((*sounds[0].shape[:-1], max(length, starts[-1] + size)), np.float32)
    end = 0
    for sound, start in zip(sounds, starts, strict=True):
        common = max(0, end - start)
        # Two independent sounds add in power: sine and cosine keep the level through the fade.
        phase = (np.arange(common, dtype=np.float32) + 0.5) / max(common, 1) * (np.pi / 2)
        joined[..., start : start + common] *= np.cos(phase)
        joined[..., start : start + common] += sound[..., :common] * np.sin(phase)
        joined[..., start + common : start + size] = sound[..., common:]
        end = start + size
    return joined[..., :length]
