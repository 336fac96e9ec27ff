"""Loudness, true peak and the limiter."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cafa.common.errors import InputError
from cafa.media.loudness import limit_peaks, measure_levels, mix_sounds, set_loudness

RATE = 48_000


def tone(level: float, seconds: float = 4.0, pitch: float = 997.0, rate: int = RATE) -> np.ndarray:
    return (level * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def knocks(count: int, channels: int = 2, rate: int = 44_100) -> np.ndarray:
    """Short noises in silence: loud peaks, little loudness, as foley has."""
    rng = np.random.default_rng(7)
    sound = np.zeros((channels, rate * 8), np.float32)
    for number in range(count):
        begin, size = round((number + 0.5) * rate * 8 / count), rate // 5
        burst = rng.normal(size=(channels, size)) * np.exp(-np.arange(size) / (rate * 0.02))
        sound[:, begin : begin + size] += 0.3 * burst[:, : sound.shape[1] - begin]
    return sound


def test_a_full_scale_tone_in_one_channel_has_the_level_of_the_standard() -> None:
    # BS.1770: 0 dB FS at 997 Hz in one of two channels is -3.01 LUFS.
    stereo = np.stack([tone(1.0), np.zeros_like(tone(1.0))])
    levels = measure_levels(stereo, RATE)
    assert levels.lufs == pytest.approx(-3.01, abs=0.1)
    assert levels.true_peak == pytest.approx(0.0, abs=0.1)


def test_a_peak_between_samples_is_found() -> None:
    # Four samples per period, at 45 degrees: the samples stay 3 dB below the peak between them.
    between = np.sin(np.pi / 2 * np.arange(RATE) + np.pi / 4).astype(np.float32)
    assert np.abs(between).max() == pytest.approx(0.7071, abs=1e-4)
    assert measure_levels(between, RATE).true_peak == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("wanted", [-23.0, -30.0])
@pytest.mark.parametrize(
    "sound", [tone(0.9), tone(0.001), knocks(6), knocks(1)], ids=["loud", "quiet", "knocks", "one"]
)
def test_the_target_is_met_below_the_limit(sound: np.ndarray, wanted: float) -> None:
    rate = RATE if sound.ndim == 1 else 44_100
    levels = measure_levels(set_loudness(sound, rate, wanted), rate)
    assert levels.lufs == pytest.approx(wanted, abs=0.1)
    assert levels.true_peak <= -1.0


def test_where_the_limit_forbids_the_target_the_limit_holds() -> None:
    levels = measure_levels(set_loudness(knocks(1), 44_100, -10.0), 44_100)
    assert levels.true_peak <= -1.0
    assert -20 < levels.lufs < -10.5


def test_the_limiter_changes_only_what_is_near_a_peak() -> None:
    sound = tone(0.1)
    sound[RATE : RATE + 40] = 1.2
    limited = limit_peaks(sound, RATE)
    far = np.abs(np.arange(len(sound)) - RATE) > 0.012 * RATE
    np.testing.assert_array_equal(limited[far], sound[far])
    assert np.abs(limited).max() <= 10 ** (-1 / 20)
    np.testing.assert_array_equal(limit_peaks(tone(0.5), RATE), tone(0.5))


def test_silence_stays_silence_and_a_moment_is_refused() -> None:
    silence = np.zeros(RATE, np.float32)
    assert measure_levels(silence, RATE).lufs == -np.inf
    np.testing.assert_array_equal(set_loudness(silence, RATE), silence)
    with pytest.raises(InputError, match=r"0\.4 s or more, the sound has 0\.100 s"):
        measure_levels(tone(0.5, 0.1), RATE)


def test_an_old_sound_is_mixed_at_its_level() -> None:
    new, old = tone(0.2, 1.0), np.stack([tone(0.4, 0.5, 200.0), tone(0.4, 0.5, 300.0)])
    mixed = mix_sounds(new, old, -6.0)
    assert mixed.shape == (2, RATE)
    np.testing.assert_allclose(mixed[1, : RATE // 2], new[: RATE // 2] + 10 ** (-6 / 20) * old[1], atol=1e-6)
    np.testing.assert_array_equal(mixed[0, RATE // 2 :], new[RATE // 2 :])


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg program to compare with")
def test_the_program_ffmpeg_measures_the_same(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    sudden = knocks(6)  # begins with a peak, beside which some programs mirror the sound
    sudden[:, :9] = 0.9 * (-1.0) ** np.arange(9)
    for sound in (knocks(6), knocks(1), sudden, sudden[:, ::-1]):
        soundfile.write(path, set_loudness(sound, 44_100).T, 44_100, subtype="FLOAT")
        command = ["ffmpeg", "-nostats", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        assert float(re.findall(r"I:\s+(-?[\d.]+) LUFS", printed)[-1]) == pytest.approx(-23.0, abs=0.5)
        assert float(re.findall(r"Peak:\s+(-?[\d.]+) dBFS", printed)[-1]) <= -1.0
