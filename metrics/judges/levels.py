"""Levels of a sound as a judge without weights: loudness, true peak, shares of silence and of clipping.

It takes part in a panel like any other judge, so that a file is decoded once for it and the networks. What it measures
is the sound as it is scored: its own rate and channels, the seconds that count.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cafa.common.errors import InputError
from cafa.media.loudness import ABSOLUTE_GATE, SHORTEST, measure_levels
from metrics.functional.levels import CLIPPED_RUN, FRAME_SECONDS, SILENCE_DECIBELS, clipping_share, silence_share
from metrics.judges.interface import Columns
from metrics.judges.level_names import LARGEST_ERROR, LEVELS, METER_ERROR, NAMES
from metrics.judges.published_judge import JudgeFiles, PublishedJudge

#: dBTP of a sound without any peak; tables hold finite numbers only.
NO_PEAK = -100.0
#: Stands where other judges have the SHA-256 of their weights; the number rises when values change.
VERSION = "no weights (v1)"


def levels_of(samples: np.ndarray, rate: int) -> np.ndarray:
    """Levels of a sound, in the order of :data:`metrics.judges.level_names.NAMES`.

    Parameters
    ----------
    samples : ndarray, float (channels, samples) or (samples,)
        Full scale 1, at least 0.4 s. Of more than two channels loudness and true peak are those of their mean.
    rate : int

    Returns
    -------
    ndarray, float32 (4,)
        LUFS, not below the gate's -70; dBTP, not below -100; shares from 0 to 1. All are finite.

    Raises
    ------
    InputError
        If the sound is shorter.

    Examples
    --------
    >>> import numpy as np
    >>> levels_of(np.zeros((1, 16000)), 16000).tolist()
    [-70.0, -100.0, 1.0, 0.0]
    """
    channels = np.atleast_2d(samples)
    heard = channels if len(channels) <= 2 else channels.mean(axis=0, keepdims=True)
    found = measure_levels(heard, rate)
    loudness, peak = max(ABSOLUTE_GATE, found.lufs), max(NO_PEAK, found.true_peak)
    return np.array([loudness, peak, silence_share(channels, rate), clipping_share(channels)], dtype=np.float32)


def loudness_error() -> float:
    """Error of the loudness of a known signal, in LU.

    EBU Tech 3341 (2016), table 1, test 1: a sine of 1 kHz in both channels, its peaks at -23 dBFS, is -23.0 LUFS.
    """
    rate, level = 48000, -23.0
    sine = 10 ** (level / 20) * np.sin(2 * np.pi * 1000 * np.arange(5 * rate) / rate)
    return abs(float(levels_of(np.stack([sine, sine]), rate)[0]) - level)


class LevelsMeter:
    """What measures, in the place of a network."""

    name = LEVELS
    weights_sha256 = VERSION
    sample_rate = 0

    def prepare(self, samples: np.ndarray, rate: int, seconds: float | None) -> np.ndarray:
        """Levels of the first `seconds` (None: all) of decoded sound, (channels, samples), shape (4,)."""
        end = None if seconds is None else round(seconds * rate)
        return levels_of(samples[..., :end], rate)

    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """What `prepare` gave, float32 (sounds, 4)."""
        return np.stack(batch)


class LevelsJudge(PublishedJudge):
    """Column ``levels``."""

    def check_length(self, seconds: float) -> None:
        """See :class:`PublishedJudge`."""
        if seconds < SHORTEST:
            raise InputError(f"loudness is defined for {SHORTEST} s or more, got {seconds:g} s: leave its columns out")

    def embed_audio(self, sounds: Sequence[np.ndarray], video: Sequence[np.ndarray | None]) -> Columns:
        """See :class:`PublishedJudge`."""
        return {LEVELS: self.audio.embed(sounds)}

    def facts(self) -> dict[str, Any]:
        """What each value of the column is, and what counts as silence and as clipped."""
        return {
            "values": list(NAMES),
            "silence": f"{SILENCE_DECIBELS:g} dB RMS of {FRAME_SECONDS:g} s",
            "clipped": f"{CLIPPED_RUN} values at full scale",
        }

    def measures(self) -> dict[str, dict[str, Any]]:
        """Whether the loudness of a known signal is right."""
        error = loudness_error()
        row = {"value": error, "threshold": LARGEST_ERROR, "direction": "<=", "good": error <= LARGEST_ERROR}
        return {METER_ERROR: row}


def open_levels(files: JudgeFiles | None = None, parts: Sequence[str] = ("audio",)) -> LevelsJudge:
    """The judge; it needs no file."""
    return LevelsJudge(LevelsMeter())
