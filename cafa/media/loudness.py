"""Loudness of a finished sound: integrated loudness (ITU-R BS.1770, EBU R 128), true peak, and a limiter.

References
----------
ITU-R BS.1770-5: integrated loudness with gates, true peak by four times oversampling.
EBU R 128 (2023): programmes are -23 LUFS within 0.5 LU, with a true peak of at most -1 dBTP.
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.signal import resample_poly

from cafa.common.errors import InputError

#: EBU R 128's level of programmes, in LUFS, and its largest true peak, in dBTP.
BROADCAST_LUFS, BROADCAST_PEAK = -23.0, -1.0
#: Shortest sound whose integrated loudness is defined: one block of the gate, in seconds.
SHORTEST = 0.4
#: Seconds over which the limiter's gain falls before a peak, and rises after it.
LIMITER_SECONDS = 0.005
#: Below it, in LUFS, BS.1770 counts a block as silence.
ABSOLUTE_GATE = -70.0
#: dB that the limiter stays below its limit: meters use different filters between samples, and one with four times
#: oversampling may read as much too low (EBU Tech 3341).
_MARGIN = 0.4
_OVERSAMPLING = 4
#: Samples at either end whose peaks depend on what a meter takes to lie beyond.
_EDGE = 64
_ROUNDS = 12


@dataclass(frozen=True)
class Levels:
    """Levels of a sound.

    Attributes
    ----------
    lufs : float
        Integrated loudness; minus infinity where no block is above the gate.
    true_peak : float
        dBTP; minus infinity for silence.
    """

    lufs: float
    true_peak: float


def measure_levels(waveform: np.ndarray, sample_rate: int) -> Levels:
    """Integrated loudness and true peak of a sound.

    Parameters
    ----------
    waveform : ndarray, float (samples,) or (channels, samples)
        1 or 2 channels, full scale 1, at least 0.4 s.
    sample_rate : int

    Raises
    ------
    InputError
        If it is shorter.
    """
    lufs = integrated_loudness(waveform, sample_rate)
    return Levels(lufs, _decibels(float(_peaks(_channels(waveform)).max())))


def integrated_loudness(waveform: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness of a sound, in LUFS; minus infinity where no block is above the gate.

    Parameters and errors are those of :func:`measure_levels`.
    """
    import pyloudnorm

    channels = _channels(waveform)
    if channels.shape[1] < SHORTEST * sample_rate:
        raise InputError(
            f"loudness is defined for {SHORTEST} s or more, the sound has {channels.shape[1] / sample_rate:.3f} s: "
            "set its peak instead"
        )
    # Two samples at full scale are louder than any programme; silence would be log(0) in the meter.
    if not np.abs(channels).max() > 0:
        return -np.inf
    return float(pyloudnorm.Meter(sample_rate).integrated_loudness(channels.T.astype(np.float64)))


def set_loudness(
    waveform: np.ndarray, sample_rate: int, lufs: float = BROADCAST_LUFS, true_peak: float = BROADCAST_PEAK
) -> np.ndarray:
    """Scale a sound to a loudness; peaks above the limit are turned down, for some milliseconds around each.

    Where the limiter takes loudness away, the gain before it rises until the target is met or more gain gives no more:
    a few single clicks cannot be as loud as that without passing the limit, and stay below the target.

    Parameters
    ----------
    waveform : ndarray, float (samples,) or (channels, samples)
    sample_rate : int
    lufs : float
        Integrated loudness wanted.
    true_peak : float
        Largest true peak, in dBTP.

    Returns
    -------
    ndarray, float32
        Of the same shape; a silent sound is returned as it is.
    """
    wanted = np.asarray(waveform, dtype=np.float32)
    found = integrated_loudness(wanted, sample_rate)
    if found < ABSOLUTE_GATE:
        return wanted
    gain, best = lufs - found, wanted
    for _ in range(_ROUNDS):
        limited = limit_peaks(wanted * np.float32(10 ** (gain / 20)), sample_rate, true_peak)
        missing = lufs - integrated_loudness(limited, sample_rate)
        best = limited
        if abs(missing) < 0.05:
            break
        gain += float(np.clip(missing, -6.0, 6.0))
    return best


def limit_peaks(waveform: np.ndarray, sample_rate: int, true_peak: float = BROADCAST_PEAK) -> np.ndarray:
    """Turn down what passes a true peak, all channels alike; what is below it by more than 5 ms stays as it is.

    Returns
    -------
    ndarray, float32
        Of the same shape.
    """
    channels, limit = _channels(waveform), 10 ** ((true_peak - _MARGIN) / 20)
    peaks = _peaks_for_players(channels)
    if peaks.max() <= limit:
        return np.asarray(waveform, dtype=np.float32)
    width = 2 * round(LIMITER_SECONDS * sample_rate) + 1
    gain = np.minimum(1.0, 0.995 * limit / np.maximum(peaks, 1e-12))  # a gain that moves adds a little between samples
    # The mean of minima over the same width is nowhere above the gain that a peak needs.
    smooth = uniform_filter1d(minimum_filter1d(gain, width, mode="nearest"), width, mode="nearest")
    limited = channels * smooth
    over = float(_peaks_for_players(limited).max()) / limit  # more than a little, in rare cases: scaled away
    return np.asarray(limited / max(over, 1.0), dtype=np.float32).reshape(np.shape(waveform))


def mix_sounds(new: np.ndarray, old: np.ndarray, old_decibels: float) -> np.ndarray:
    """Add an old sound below a new one.

    Parameters
    ----------
    new : ndarray, float (channels, samples) or (samples,)
    old : ndarray, float (channels, samples) or (samples,)
        At the same rate; cut, or silent after its end. One channel goes to both of a stereo sound.
    old_decibels : float
        Level of the old sound, 0 as it is.

    Returns
    -------
    ndarray, float32 (channels, samples)
        As long as the new sound; may pass full scale (:func:`limit_peaks`).
    """
    new, old = _channels(new), _channels(old)
    count = max(len(new), len(old))
    mixed = np.repeat(new, count, axis=0) if len(new) < count else new.copy()
    length = min(mixed.shape[1], old.shape[1])
    mixed[:, :length] += np.float32(10 ** (old_decibels / 20)) * old[:, :length]
    return mixed


def _channels(waveform: np.ndarray) -> np.ndarray:
    channels = np.atleast_2d(np.asarray(waveform, dtype=np.float32))
    if channels.ndim != 2 or len(channels) not in (1, 2) or channels.shape[1] == 0:
        raise InputError(f"a sound is (samples,) or (1 or 2 channels, samples), got {np.shape(waveform)}")
    return channels


def _peaks(channels: np.ndarray) -> np.ndarray:
    """Largest magnitude of any channel around each sample, between samples too."""
    exact = np.abs(channels).max(axis=0)
    return np.maximum(_between(np.pad(channels.astype(np.float64), ((0, 0), (0, 1))))[:-1], exact)


def _peaks_for_players(channels: np.ndarray) -> np.ndarray:
    """As :func:`_peaks`, and what other programs find at the ends."""
    peaks, samples = _peaks(channels), channels.astype(np.float64)
    # Before its first and after its last sample a sound is silent for some programs, and mirrored for others (FFmpeg).
    edge = min(_EDGE, samples.shape[1])
    begin = _between(np.pad(samples[:, :edge], ((0, 0), (edge, 0)), mode="symmetric"))[edge:]
    end = _between(np.pad(samples[:, -edge:], ((0, 0), (0, edge)), mode="symmetric"))[:edge]
    # Where the part was cut off, half of it is not what follows.
    near = max(edge // 2, 1)
    peaks[:near] = np.maximum(peaks[:near], begin[:near])
    peaks[-near:] = np.maximum(peaks[-near:], end[-near:])
    return peaks


def _between(samples: np.ndarray) -> np.ndarray:
    """Largest magnitude less than a sample away from each; the first follows the last."""
    fine = np.abs(resample_poly(samples, _OVERSAMPLING, 1, axis=1)).max(axis=0)
    at, *after = (fine[phase::_OVERSAMPLING] for phase in range(_OVERSAMPLING))
    behind = reduce(np.maximum, after)
    return np.maximum(np.maximum(at, behind), np.roll(behind, 1))


def _decibels(value: float) -> float:
    return 20 * float(np.log10(value)) if value > 0 else -np.inf
