"""Log-mel spectrogram of the miniature: the input of its autoencoder and of its judges.

Conventions: mono float waveform in [-1, 1]; frame k is centred on sample k * hop + hop / 2, so that a clip of
n * hop samples has exactly n frames and frame times do not drift against video frames.
"""

from functools import cache

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import fft

from cafa.common.errors import InputError


class MelSettings(BaseModel):
    """Geometry of the log-mel spectrogram."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample_rate: int = Field(16000, gt=0, description="samples per second")
    window: int = Field(1024, gt=0, description="samples of the Hann window and of the transform")
    hop: int = Field(320, gt=0, description="samples between frames")
    bins: int = Field(64, gt=0, description="mel bands")
    minimum_hertz: float = Field(40.0, ge=0, description="lower edge of the lowest band")
    maximum_hertz: float = Field(8000.0, gt=0, description="upper edge of the highest band")
    floor: float = Field(1e-4, gt=0, description="added to the mel magnitude before the logarithm")

    def frames(self, seconds: float) -> int:
        """Frames of a clip of that length."""
        return round(seconds * self.sample_rate / self.hop)


@cache
def mel_filters(settings: MelSettings) -> np.ndarray:
    """Triangular mel filters (HTK scale, unit peak), shape (window // 2 + 1, bins)."""

    def to_mel(hertz: np.ndarray | float) -> np.ndarray:
        return 2595.0 * np.log10(1.0 + np.asarray(hertz) / 700.0)

    edges = np.linspace(to_mel(settings.minimum_hertz), to_mel(settings.maximum_hertz), settings.bins + 2)
    hertz = 700.0 * (10.0 ** (edges / 2595.0) - 1.0)
    frequencies = np.linspace(0, settings.sample_rate / 2, settings.window // 2 + 1)[:, None]
    rising = (frequencies - hertz[:-2]) / (hertz[1:-1] - hertz[:-2])
    falling = (hertz[2:] - frequencies) / (hertz[2:] - hertz[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


@cache
def hann(window: int) -> np.ndarray:
    """Periodic Hann window, shape (window,)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)


def spectrum(waveform: np.ndarray, settings: MelSettings) -> np.ndarray:
    """Complex short-time spectrum.

    Parameters
    ----------
    waveform : ndarray, (samples,)
    settings : MelSettings

    Returns
    -------
    ndarray, complex64 (samples // hop, window // 2 + 1)
    """
    frames = len(waveform) // settings.hop
    side = (settings.window - settings.hop) // 2
    padded = np.pad(np.asarray(waveform, dtype=np.float32), (side, settings.window))
    starts = np.arange(frames)[:, None] * settings.hop
    pieces = padded[starts + np.arange(settings.window)[None]]
    return fft.rfft(pieces * hann(settings.window), axis=1)  # scipy keeps float32: a quarter of numpy's time


def log_mel(waveform: np.ndarray, settings: MelSettings) -> np.ndarray:
    """Natural logarithm of the mel magnitude.

    Parameters
    ----------
    waveform : ndarray, (samples,)
        Mono, finite.
    settings : MelSettings

    Returns
    -------
    ndarray, float32 (samples // hop, bins)
        log(floor + |spectrum| @ filters / (window / 4)); a full-scale sine gives about 0.

    Raises
    ------
    InputError
        If the waveform is not one-dimensional and finite.
    """
    waveform = np.asarray(waveform)
    if waveform.ndim != 1 or not np.isfinite(waveform).all():
        raise InputError(f"log_mel wants a finite mono waveform (samples,), got shape {waveform.shape}")
    magnitude = np.abs(spectrum(waveform, settings)) @ mel_filters(settings)
    return np.log(settings.floor + magnitude / (settings.window / 4)).astype(np.float32)
