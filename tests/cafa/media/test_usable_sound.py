"""What a usable sound is."""

import numpy as np
import pytest
import soundfile

from cafa.common.errors import ClipError
from cafa.media.sound import read_sound
from cafa.media.usable_sound import check_samples, finding_of, over_full_scale, usable_length

RATE = 8000
TONE = 0.3 * np.sin(np.arange(RATE) / 5)
NOISE = 0.1 * np.random.default_rng(0).standard_normal(RATE)


def test_values_that_are_not_finite_are_counted_and_placed():
    sound = np.stack([TONE, TONE])
    check_samples(sound, RATE)
    sound[1, 4000:4003] = [np.nan, np.inf, -np.inf]
    with pytest.raises(ClipError, match=r"not_finite: a.wav: 3 of 16000 values are not finite, the first at 0\.500 s"):
        check_samples(sound, RATE, "a.wav")


def test_a_peak_may_overshoot_by_12_decibels():
    check_samples(TONE / 0.3 * 3.99, RATE)
    with pytest.raises(ClipError, match=r"out_of_scale: the sound: the peak is 3000 of full scale, more than 4; 1 of"):
        check_samples(np.where(np.arange(RATE) == 7, 3000.0, TONE), RATE)
    check_samples(np.array([30000, -32768], np.int16), RATE)  # whole numbers have a scale
    assert over_full_scale(np.array([0.5, 1.0, 1.2, -1.01])) == 2


@pytest.mark.parametrize(
    ("sound", "finding"),
    [
        (np.zeros(RATE), "silent"),
        (np.resize([0, 1 / 2**15], RATE), "silent"),
        (np.full(RATE, 0.2), "constant"),
        (np.stack([np.full(RATE, 0.2), np.full(RATE, -0.2)]), "constant"),
        (np.stack([TONE, -TONE]), "antiphase"),
        (np.stack([TONE, -0.95 * TONE]), "antiphase"),
        (TONE, ""),
        (2e-4 * TONE, "silent"),
        (2e-3 * TONE, ""),
        (np.stack([TONE, np.zeros(RATE)]), ""),
        (np.stack([TONE, NOISE]), ""),
        (np.stack([NOISE, np.roll(NOISE, 100)]), ""),
    ],
)
def test_what_cannot_be_heard(sound: np.ndarray, finding: str):
    assert finding_of(sound) == finding


def test_what_comes_after_the_judged_seconds_does_not_matter(tmp_path):
    sound = TONE.astype(np.float32)
    sound[6000] = np.nan
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    whole = read_sound(tmp_path / "a.wav", sample_rate=4000, seconds=0.75)
    assert np.isfinite(whole).all()
    with pytest.raises(ClipError, match=r"not_finite: .*a\.wav: 1 of 6004 values .* first at 0\.750 s"):
        read_sound(tmp_path / "a.wav", sample_rate=4000, seconds=0.7505)
    assert usable_length(sound, 4000) == 6000
    assert usable_length(sound, 6001) == RATE
    assert usable_length(np.where(np.arange(RATE) == 7000, 9.0, TONE), 4000) == 7000
