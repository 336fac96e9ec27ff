"""Building blocks of synthesised sound: struck modes, filtered noise, clusters of grains, voices."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np


def clock(seconds: float, sample_rate: int) -> np.ndarray:
    """Sample times, (round(seconds * sample_rate),) float32 seconds."""
    return np.arange(round(seconds * sample_rate), dtype=np.float32) / np.float32(sample_rate)


@lru_cache(maxsize=1024)
def _filter(low: int, high: int, order: int, sample_rate: int) -> np.ndarray:
    corners = 2.0 ** (np.array([low, high]) / 8.0)
    from scipy.signal import butter  # a second to import, which planning does not need

    return butter(order, corners, "bandpass", output="sos", fs=sample_rate).astype(np.float32)


def band(signal: np.ndarray, low: float, high: float, sample_rate: int, order: int = 2) -> np.ndarray:
    """Keep `low` to `high` hertz (Butterworth band-pass), both above 0 and below half the sample rate.

    Corners are taken on a grid of an eighth of an octave: designing a filter costs more than filtering.
    """
    steps = np.round(8.0 * np.log2([low, min(high, 0.47 * sample_rate)])).astype(int).tolist()
    from scipy.signal import sosfilt

    return sosfilt(_filter(*steps, order, sample_rate), signal)


def noise(samples: int, rng: np.random.Generator) -> np.ndarray:
    """White noise of unit variance; uniform, which is drawn faster and sounds no different from Gaussian."""
    return (rng.random(samples, dtype=np.float32) - np.float32(0.5)) * np.float32(np.sqrt(12.0))


def modes(
    time: np.ndarray,
    frequencies: Sequence[float] | np.ndarray,
    decays: Sequence[float] | np.ndarray,
    gains: Sequence[float] | np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Sum of damped sinusoids at random phases: a struck body.

    Parameters
    ----------
    time : numpy.ndarray
        (samples,) seconds from the blow.
    frequencies, decays, gains : sequence of float
        Hertz, seconds to 1/e, and amplitudes, all of one length.
    rng : numpy.random.Generator
        Source of the phases.
    """
    out = np.zeros_like(time)
    for frequency, decay, gain in zip(frequencies, decays, gains, strict=True):
        # Seven time constants are -61 dB: the rest is silence.
        t = time[: np.searchsorted(time, 7.0 * decay)]
        wave = np.sin(t * float(2 * np.pi * frequency) + rng.uniform(0, 2 * np.pi))
        out[: len(t)] += wave * np.exp(t * float(-1.0 / decay)) * float(gain)
    return out


def ramp(time: np.ndarray, attack: float, decay: float) -> np.ndarray:
    """Envelope that rises linearly within `attack` seconds and then decays with constant `decay`."""
    return np.minimum(time / attack, 1.0) * np.exp(-np.maximum(time - attack, 0.0) / decay)


def arch(time: np.ndarray, length: float, attack: float = 0.1, release: float = 0.3) -> np.ndarray:
    """Envelope of a voice: up within the share `attack` of `length`, level, down within the share `release`."""
    rise = np.clip(time / (attack * length), 0.0, 1.0)
    fall = np.clip((length - time) / (release * length), 0.0, 1.0)
    return np.sin(0.5 * np.pi * rise) * np.sin(0.5 * np.pi * fall)


def scatter(time: np.ndarray, starts: np.ndarray, grain: np.ndarray, gains: np.ndarray, sample_rate: int) -> np.ndarray:
    """Copies of `grain` at `starts` seconds with `gains`, cut at the end of `time`."""
    out = np.zeros_like(time)
    for start, gain in zip(starts, gains, strict=True):
        at = round(start * sample_rate)
        piece = grain[: max(0, len(out) - at)]
        out[at : at + len(piece)] += float(gain) * piece
    return out


def glottis(pitch: np.ndarray, sample_rate: int, softness: float) -> np.ndarray:
    """Pulse train of a voice with instantaneous `pitch` in hertz; the larger `softness`, the fewer overtones."""
    phase = np.cumsum(pitch) / sample_rate
    return np.exp(-softness * (1.0 - np.cos(2 * np.pi * phase))) - 0.3


def formants(source: np.ndarray, peaks: Sequence[tuple[float, float, float]], sample_rate: int) -> np.ndarray:
    """Sum of band-passed copies of `source`: (centre hertz, half width hertz, gain) each."""
    out = np.zeros_like(source)
    for centre, half, gain in peaks:
        out += gain * band(source, max(40.0, centre - half), centre + half, sample_rate, order=1)
    return out


def unit(signal: np.ndarray) -> np.ndarray:
    """Scale to peak 1; silence stays silence."""
    peak = np.abs(signal).max(initial=0.0)
    return signal / peak if peak > 0 else signal
