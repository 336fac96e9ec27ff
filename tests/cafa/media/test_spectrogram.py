"""Spectrograms for people."""

import numpy as np
import pytest

from cafa.media.spectrogram import HOP, spectrogram

RATE = 16_000


def test_a_tone_stands_at_its_frequency_and_level() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    picture = spectrogram(tone)
    assert picture.shape == (513, RATE // HOP + 1)
    assert picture[:, 30].argmax() == 64  # of bins that are 15.625 Hz wide
    assert picture[64, 30] == pytest.approx(20 * np.log10(0.5), abs=0.05)
