"""The sound that a video has, to be mixed with a new one."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from cafa.common.errors import ClipError, InputError
from cafa.media.container import open_media
from cafa.media.sound import at_rate, decode_sound, to_float

_CENTRE = 0.7071067811865476


def old_sound(
    video: str | Path, start: float, seconds: float, rate: int, track: int | None
) -> tuple[np.ndarray | None, str]:
    """The video's sound in a part, (1 or 2 channels, samples), and its codec; or None, and why."""
    with open_media(video, {"audio": track}) as media:
        try:
            found = decode_sound(
                media,
                Fraction(start).limit_denominator(10**6),
                Fraction(seconds).limit_denominator(10**6),
            )
        except ClipError as error:
            if error.reason in ("no_audio", "short") and track is None:
                return None, error.detail
            raise
    return at_rate(_stereo(to_float(found.samples)), found.sample_rate, rate), found.codec


def _stereo(sound: np.ndarray) -> np.ndarray:
    """Two channels of more: of 5.1 those of ITU-R BS.775, of others the mean for both.

    Raises
    ------
    InputError
        If there is no channel.
    """
    if len(sound) == 0:
        raise InputError("the old sound has no channel")
    if len(sound) <= 2:
        return sound
    if len(sound) == 6:  # left, right, centre, effects (left out), surround left and right
        left, right, centre, _, behind_left, behind_right = sound
        return np.stack([left + _CENTRE * (centre + behind_left), right + _CENTRE * (centre + behind_right)])
    return sound.mean(axis=0, keepdims=True)
