import numpy as np
import pyloudnorm
import pytest

from cafa.common.errors import InputError
from metrics.functional.levels import clipping_share, integrated_loudness, silence_share, true_peak

RATE = 48000
TIME = np.arange(4 * RATE) / RATE


def tone(hertz: float, decibels: float) -> np.ndarray:
    return 10 ** (decibels / 20) * np.sin(2 * np.pi * hertz * TIME)


def test_loudness_is_that_of_the_standards_test_tones():
    # EBU Tech 3341, case 1: stereo, 1 kHz at -23 dBFS in both channels is -23 LUFS; one channel alone is 3 dB less.
    stereo = np.stack((tone(1000, -23), tone(1000, -23)))
    assert integrated_loudness(stereo, RATE) == pytest.approx(-23.0, abs=0.1)
    assert integrated_loudness(stereo * [[1], [0]], RATE) == pytest.approx(-26.0, abs=0.1)
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 2 * 44100))
    assert integrated_loudness(noise, 44100) == pytest.approx(
        pyloudnorm.Meter(44100).integrated_loudness(noise.T), 1e-6
    )


def test_silence_before_and_after_does_not_change_loudness_but_share_of_silence():
    loud = tone(1000, -20)
    padded = np.concatenate((np.zeros(12 * RATE), loud))
    assert integrated_loudness(padded, RATE) == pytest.approx(integrated_loudness(loud, RATE), abs=0.2)
    assert silence_share(padded, RATE) == pytest.approx(0.75)
    assert silence_share(loud, RATE) == 0.0
    assert silence_share(np.zeros(RATE), RATE) == 1.0
    assert integrated_loudness(np.zeros(RATE), RATE) == -np.inf == true_peak(np.zeros(RATE), RATE)


def test_true_peak_lies_between_samples():
    # A quarter of the rate, with a phase of 45 degrees: samples at 0.7071, crests at 1.
    between = np.sin(np.pi / 2 * np.arange(RATE) + np.pi / 4)
    assert 20 * np.log10(np.abs(between).max()) == pytest.approx(-3.01, abs=0.01)
    assert true_peak(0.5 * between, RATE) == pytest.approx(-6.02, abs=0.3)
    assert true_peak(tone(100, -12), RATE) == pytest.approx(-12.0, abs=0.05)


def test_share_of_silence_counts_what_any_channel_plays_and_the_short_end():
    one = np.zeros((2, 1000))
    one[1, 500:] = 0.5
    assert silence_share(one, 1000) == 0.5
    assert silence_share(one[0], 1000) == 1.0
    # 50 samples to a piece: 21 pieces, the last of 1 sample
    assert silence_share(np.append(np.zeros(1000), 0.5), 1000) == pytest.approx(1000 / 1001)
    quiet = np.full(1000, 10 ** (-65 / 20))
    assert (silence_share(quiet, 1000), silence_share(quiet, 1000, below=-70)) == (1.0, 0.0)


def test_share_of_clipping_counts_runs_of_one_sign():
    assert clipping_share(np.asarray([1, 1, 0, -1, -1, -1, -1, 1.0])) == 0.5
    assert clipping_share(np.asarray([1, -1] * 50)) == 0.0
    over = np.clip(tone(100, 6.0), -1, 1)
    # 2 sin > 1 between 30 and 150 degrees: two thirds of the time
    assert clipping_share(over) == pytest.approx(2 / 3, abs=0.01)
    assert clipping_share(np.stack((over, 0 * over))) == pytest.approx(1 / 3, abs=0.01)
    assert clipping_share(tone(100, -0.1)) == 0.0


@pytest.mark.parametrize("sound", [np.zeros(0), np.asarray([0.0, np.nan]), np.zeros((2, 2, 2))])
def test_what_is_no_sound_is_refused(sound: np.ndarray):
    for measure in (clipping_share, lambda sound: silence_share(sound, RATE), lambda s: integrated_loudness(s, RATE)):
        with pytest.raises(InputError, match="a sound is finite"):
            measure(sound)


def test_loudness_of_a_sound_shorter_than_the_gate_is_refused():
    with pytest.raises(InputError, match=r"loudness is defined for 0\.4 s or more"):
        integrated_loudness(np.ones(RATE // 10), RATE)
