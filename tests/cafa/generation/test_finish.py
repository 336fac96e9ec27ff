"""Finished sounds: loudness, peak, rate and mix, measured."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from cafa.common.errors import ClipError
from cafa.generation.finish import Finish, finish_sound
from cafa.generation.foley import FoleyResult
from tests.cafa.media.conftest import MakeClip, tone

RATE = 44_100


def noise(seconds: float, channels: int = 2, level: float = 0.9) -> FoleyResult:
    sound = np.random.default_rng(0).standard_normal((channels, round(seconds * RATE))).astype(np.float32)
    return FoleyResult("noise", 0, level * sound / np.abs(sound).max(), RATE, b"")


@pytest.mark.parametrize("rate", [None, 48_000])
def test_the_loudness_is_that_of_broadcast(rate: int | None) -> None:
    made = finish_sound(noise(3.0), "no.mp4", Finish(sample_rate=rate))
    assert made.sample_rate == rate or RATE
    assert made.waveform.shape == (2, 3 * made.sample_rate)
    assert made.facts["lufs"] == pytest.approx(-23, abs=0.1)
    assert made.facts["true_peak"] < -1
    assert made.notes == ()


def test_the_peak_is_left_where_it_is_asked_for() -> None:
    result = noise(1.0)
    assert np.array_equal(finish_sound(result, "no.mp4", Finish(level="peak")).waveform, result.waveform)
    assert Finish().of_preset("official").level == "peak"
    assert Finish().of_preset("ours").level == "loudness"
    assert Finish(level="loudness").of_preset("official").level == "loudness"


def test_what_cannot_have_a_loudness_is_said() -> None:
    short = finish_sound(noise(0.3), "no.mp4", Finish())
    assert "keeps the generator's level" in short.notes[0]
    silent = finish_sound(noise(1.0, level=0.0), "no.mp4", Finish())
    assert silent.notes == ("the sound is silent",)
    clicks = FoleyResult("clicks", 0, np.eye(1, 2 * RATE, RATE, dtype=np.float32), RATE, b"")
    (note,) = finish_sound(clicks, "no.mp4", Finish(lufs=-5.0)).notes
    assert "LUFS, not -5: its peaks are at -1 dBTP" in note


def test_the_old_sound_is_mixed_at_its_level(make_clip: MakeClip) -> None:
    video = make_clip(sound=0.5 * tone(2.0, RATE), sample_rate=RATE)
    quiet = noise(2.0)
    alone = finish_sound(quiet, video, Finish())
    mixed = finish_sound(quiet, video, Finish(mix=0.0))
    assert mixed.facts["mixed"] == "aac"
    assert mixed.facts["lufs"] == pytest.approx(-23, abs=0.3)

    def tone_share(sound: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(sound[0].astype(np.float64)))
        return float(spectrum.max() / np.median(spectrum))

    lower = finish_sound(quiet, video, Finish(mix=-20.0))
    assert tone_share(mixed.waveform) > 5 * tone_share(lower.waveform) > 5 * tone_share(alone.waveform)


def test_a_video_without_sound_is_no_fault_but_a_missing_track_is(make_clip: MakeClip) -> None:
    made = finish_sound(noise(1.0), make_clip(), Finish(mix=-12.0))
    assert "has no sound to mix with" in made.notes[0]
    video = make_clip(sound=tone(2.0, RATE), sample_rate=RATE)
    with pytest.raises(ClipError, match="audio track 3 is asked for, the file has 1"):
        finish_sound(noise(1.0), video, Finish(mix=-12.0, sound_track=3))


def test_a_sound_of_six_channels_is_mixed(tmp_path: Path) -> None:
    surround = np.zeros((RATE, 6), np.float32)
    surround[:, 2] = 0.5 * tone(1.0, RATE)[0]  # the centre alone
    soundfile.write(tmp_path / "old.wav", surround, RATE)
    made = finish_sound(noise(1.0, level=1e-4), tmp_path / "old.wav", Finish(mix=0.0, level="peak"))
    assert made.waveform.shape == (2, RATE)
    assert made.facts["mixed"] == "pcm_s16le"
    assert np.abs(made.waveform).max(axis=1) == pytest.approx(0.5 * 0.7071 * np.abs(tone(1.0, RATE)).max(), rel=0.02)
