"""Levels of one sound: integrated loudness, true peak, share of silence, share of clipped samples.

No judge and no reference is needed: these say whether a system's sounds come at a usable level.

Metrics
-------
:func:`integrated_loudness` (LUFS), :func:`true_peak` (dBTP), :func:`silence_share`, :func:`clipping_share` (0 to 1)

Conventions
-----------
A sound is float (samples,) or (channels, samples) with full scale 1, as it is in its file: channels are not averaged,
and nothing is resampled. EBU R 128 asks programmes for -23 LUFS and at most -1 dBTP.
"""

import numpy as np

from cafa.common.errors import InputError
from cafa.media import loudness

#: RMS of a frame, in dB of full scale, below which it counts as silence.
SILENCE_DECIBELS = -60.0
#: Seconds of a frame.
FRAME_SECONDS = 0.05
#: Magnitude from which a sample is at full scale: the largest one of 16 bits.
FULL_SCALE = 32767 / 32768
#: Samples at full scale, one after the other, that make a clipped place; a single one may be a peak.
CLIPPED_RUN = 3


def _channels(waveform: np.ndarray) -> np.ndarray:
    channels = np.atleast_2d(np.asarray(waveform, dtype=np.float64))
    if channels.ndim != 2 or channels.size == 0 or not np.isfinite(channels).all():
        raise InputError(f"a sound is finite, (samples,) or (channels, samples); got shape {np.shape(waveform)}")
    return channels


def integrated_loudness(waveform: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness of ITU-R BS.1770 in LUFS; minus infinity for silence.

    Parameters
    ----------
    waveform : ndarray, shape (samples,) or (channels, samples)
        1 or 2 channels, at least 0.4 s.
    sample_rate : int

    Raises
    ------
    InputError
        If it is shorter, not finite, or has more channels.

    Examples
    --------
    A tone of 1 kHz at -20 dB of full scale in one channel has, by the standard, -23 LUFS.

    >>> import numpy as np
    >>> tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(2 * 48000) / 48000)
    >>> round(integrated_loudness(tone, 48000), 1)
    -23.0
    """
    return loudness.integrated_loudness(_channels(waveform), sample_rate)


def true_peak(waveform: np.ndarray, sample_rate: int) -> float:
    """True peak in dBTP (four times oversampling); minus infinity for silence; parameters and errors as above.

    Examples
    --------
    A tone of a quarter of the rate whose samples all miss its crests: they lie 3 dB higher.

    >>> import numpy as np
    >>> tone = np.sin(np.pi / 2 * np.arange(48000) + np.pi / 4)
    >>> bool(np.abs(tone).max() < 0.708 and abs(true_peak(tone, 48000)) < 0.3)
    True
    """
    return loudness.measure_levels(_channels(waveform), sample_rate).true_peak


def silence_share(waveform: np.ndarray, sample_rate: int, *, below: float = SILENCE_DECIBELS) -> float:
    """Share of a sound's 50 ms in which no channel's RMS reaches a level.

    Parameters
    ----------
    waveform : ndarray, shape (samples,) or (channels, samples)
    sample_rate : int
    below : float
        dB of full scale (RMS of 1).

    Returns
    -------
    float
        0 to 1; a last piece shorter than 50 ms counts as much as it lasts.

    Examples
    --------
    >>> import numpy as np
    >>> silence_share(np.concatenate((np.zeros(12000), np.full(4000, 0.1))), 16000)
    0.75
    """
    channels = _channels(waveform)
    starts = np.arange(0, channels.shape[1], max(1, round(FRAME_SECONDS * sample_rate)))
    lengths = np.diff(np.append(starts, channels.shape[1]))
    power = np.add.reduceat(channels**2, starts, axis=1) / lengths
    quiet = power.max(axis=0) < 10 ** (below / 10)
    return float(lengths[quiet].sum() / channels.shape[1])


def clipping_share(waveform: np.ndarray) -> float:
    """Share of values that are clipped: at full scale, three or more with one sign one after the other.

    Parameters
    ----------
    waveform : ndarray, shape (samples,) or (channels, samples)

    Returns
    -------
    float
        0 to 1, of all values of all channels.

    Examples
    --------
    >>> clipping_share([0.0, 1.0, 1.0, 1.0, 0.5, 1.0, -1.0, 1.0])
    0.375
    """
    channels = _channels(waveform)
    clipped = 0
    for sign in (1, -1):
        for channel in channels:
            edges = np.diff(np.concatenate(([0], (sign * channel >= FULL_SCALE).astype(np.int8), [0])))
            runs = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
            clipped += int(runs[runs >= CLIPPED_RUN].sum())
    return clipped / channels.size
