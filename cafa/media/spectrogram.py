"""Spectrograms for people to look at."""

import numpy as np

#: Samples of a window, and between windows, at any rate.
WINDOW, HOP = 1024, 256
#: dB below the loudest value at which the darkest colour begins.
RANGE = 70.0


def spectrogram(waveform: np.ndarray) -> np.ndarray:
    """Power of a sound in dB, full scale 0; Hann windows, centred every `HOP` samples.

    Parameters
    ----------
    waveform : numpy.ndarray, shape (samples,)

    Returns
    -------
    numpy.ndarray, shape (frequencies, windows)
        From 0 Hz to half of the sample rate.
    """
    padded = np.pad(np.asarray(waveform, dtype=np.float64), (WINDOW // 2, WINDOW // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    window = np.hanning(WINDOW + 1)[:-1]
    power = np.abs(np.fft.rfft(frames * window, axis=1) / (window.sum() / 2)) ** 2
    return 10 * np.log10(np.maximum(power, 1e-12)).T
