"""Clips that end before what was asked for: kept where enough of them is there, refused in the right words."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cafa.common.errors import ClipError
from cafa.media.clip_reading import FrameReader, IngestedClip, SoundReader
from cafa.media.frames import read_frames
from cafa.media.normalise import NormaliseSettings, normalise_clip
from tests.cafa.media.conftest import MakeClip, grey_of, tone

RATE = 16000


def normalise(source: Path, duration: float | None, at_least: float | None = None) -> dict[str, Any]:
    """Facts of a clip, normalised beside its source."""
    return normalise_clip(
        source,
        start=0,
        duration=duration,
        settings=NormaliseSettings(preset="ultrafast", crf=10, at_least_seconds=at_least),
        video_output=source.with_name("out.mp4"),
        sound_output=source.with_name("out.flac"),
    )


def frames_of_film(rate: int, count: int) -> list[Fraction]:
    return [Fraction(k, rate) for k in range(count)]


@pytest.mark.parametrize(
    ("rate", "count", "written"), [(25, 248, 248), (30, 298, 249), (25, 247, 247), (25, 200, 200), (25, 223, 223)]
)
def test_a_film_of_a_few_frames_less_is_kept_as_long_as_it_is(
    make_clip: MakeClip, tmp_path: Path, rate: int, count: int, written: int
) -> None:
    source = make_clip(times=frames_of_film(rate, count), sound=tone(10, RATE), sample_rate=RATE)
    with pytest.raises(ClipError) as caught:  # as long as nothing else is said
        normalise(source, 10.0)
    assert caught.value.reason == "short"
    facts = normalise(source, 10.0, at_least=8.0)
    assert (facts["frames"], facts["seconds"]) == (written, written / 25)
    assert facts["missing_seconds"] == pytest.approx(10 - written / 25)
    assert facts["held_frames"] == facts["padded_samples"] == 0
    assert len(read_frames(tmp_path / "out.mp4", seconds=facts["seconds"], decoder="pyav")) == written
    with pytest.raises(ClipError, match="short"):
        read_frames(tmp_path / "out.mp4", seconds=facts["seconds"] + 0.04, decoder="pyav")
    assert soundfile.info(tmp_path / "out.flac").frames == written * RATE // 25


def test_a_sound_that_ends_early_ends_the_picture(make_clip: MakeClip, tmp_path: Path) -> None:
    sound = tone(9.33, RATE)
    source = make_clip("clip.mkv", times=frames_of_film(25, 250), sound=sound, sample_rate=RATE, sound_codec="flac")
    with pytest.raises(ClipError, match=r"short: 9\.330 s of sound up to 9\.330 s, wanted 10\.000 s"):
        normalise(source, 10.0)
    facts = normalise(source, 10.0, at_least=8.0)
    assert (facts["frames"], facts["missing_seconds"], facts["padded_samples"]) == (233, 0.68, 0)
    heard, _ = soundfile.read(tmp_path / "out.flac")
    assert np.abs(heard - sound[0, : len(heard)]).max() < 1e-4
    assert len(heard) == 233 * RATE // 25


def test_whole_clips_are_what_they_were(make_clip: MakeClip, tmp_path: Path) -> None:
    """Also those whose last frame is held, or whose codec's last frame of sound is missing."""
    source = make_clip(times=frames_of_film(25, 249), sound=tone(9.85, RATE), sample_rate=RATE)
    before = normalise(source, 10.0)
    assert (before["frames"], before["held_frames"]) == (250, 1)
    assert before["padded_samples"] > 0
    assert normalise(source, 10.0, at_least=8.0) == before


def test_what_is_too_short_is_refused(make_clip: MakeClip, tmp_path: Path) -> None:
    short = make_clip("short.mp4", times=frames_of_film(25, 199), sound=tone(10, RATE))
    quiet = make_clip("quiet.mp4", times=frames_of_film(25, 250), sound=tone(7.9, RATE))
    small = make_clip("small.mp4", times=frames_of_film(25, 115), sound=tone(5, RATE))
    for source, duration in ((short, 10.0), (quiet, 10.0), (short, None), (quiet, None), (small, 5.0)):
        with pytest.raises(ClipError) as caught:
            normalise(source, duration, at_least=8.0)
        assert caught.value.reason == "short"
    assert not (tmp_path / "out.mp4").exists()


def test_a_file_without_a_duration_is_as_long_as_both_are(make_clip: MakeClip) -> None:
    source = make_clip(times=frames_of_film(25, 100), sound=tone(3.3, RATE))
    with pytest.raises(ClipError, match="in common"):
        normalise(source, None)
    facts = normalise(source, None, at_least=3.0)
    assert 3.3 <= facts["seconds"] < 3.5
    assert facts["missing_seconds"] == pytest.approx(4 - facts["seconds"], abs=0.03)


def test_a_hole_in_the_sound_is_no_early_end(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing in the middle is not what the headers promise behind the window, either."""
    from cafa.media import normalise as module

    source = make_clip(times=frames_of_film(25, 150), sound=tone(6, RATE))
    decode = module.decode_sound
    holed = lambda *given: Sound(**{**vars(decode(*given)), "gap": RATE})  # noqa: E731
    Sound = module.Sound
    monkeypatch.setattr(module, "decode_sound", holed)
    with pytest.raises(ClipError, match=r"short: 3\.000 s of sound up to 4\.000 s, wanted 4\.000 s") as caught:
        normalise(source, 4.0, at_least=2.0)
    assert "promises" not in caught.value.detail


def cut_behind_its_index(source: Path, share: float) -> None:
    """Cut an mp4 whose media data reach to the end of the file, whatever it is: no box promises anything."""
    data = bytearray(source.read_bytes())
    place = data.index(b"mdat")
    assert data.index(b"moov") < place
    data[place - 4 : place] = bytes(4)
    source.write_bytes(data[: round(share * len(data))])


@pytest.mark.parametrize("duration", [4.0, None])
def test_truncated_is_what_promises_more_than_it_has(make_clip: MakeClip, duration: float | None) -> None:
    """An index that promises 4 s where there are less, and a film that is just shorter."""
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, (1, 4 * RATE))
    options = {"sound_codec": "pcm_s16le", "faststart": True, "bf": "0"}
    source = make_clip("clip.mov", times=frames_of_film(25, 100), sound=noise, **options)
    cut_behind_its_index(source, 1)
    assert "missing_seconds" not in normalise(source, duration)
    cut_behind_its_index(source, 0.6)
    with pytest.raises(ClipError, match=r"the file promises 4\.0") as caught:
        normalise(source, duration)
    assert caught.value.reason == "truncated"
    whole = make_clip("whole.mov", times=frames_of_film(25, 60), sound=tone(4, RATE), **options)
    with pytest.raises(ClipError) as caught:
        normalise(whole, duration)
    assert caught.value.reason == "short"
    assert "promises" not in caught.value.detail


def test_encoders_are_given_black_and_silence_after_a_short_clip(make_clip: MakeClip, tmp_path: Path) -> None:
    facts = normalise(make_clip(times=frames_of_film(25, 223), sound=0.5 * tone(10, RATE)), 10.0, at_least=8.0)
    clip = IngestedClip("out", facts["seconds"], "", "")
    frames = FrameReader(tmp_path, (16, 16), 10.0, 1, 10.0, pad_short=True)(clip)
    assert frames.shape == (250, 16, 16, 3)
    assert abs(frames[222].mean() * 219 / 255 + 16 - grey_of(222)) < 2
    assert not frames[223:].any()
    sound = SoundReader(tmp_path, RATE, 1, 10.0, pad_short=True)(clip)
    end = round(facts["seconds"] * RATE)
    assert sound.shape == (1, 10 * RATE)
    assert np.abs(sound[0, end - 400 : end]).max() > 0.05
    assert not sound[0, end:].any()


def test_a_cut_avi_says_so(make_clip: MakeClip) -> None:
    options = {"video_codec": "mpeg4", "sound_codec": "pcm_s16le"}
    source = make_clip("clip.avi", times=frames_of_film(25, 100), sound=tone(4, RATE), **options)
    data = bytearray(source.read_bytes())
    for size in (len(data) - 8, 0, 2**32 - 1):  # the last two: not known, as recorders leave it
        data[4:8] = size.to_bytes(4, "little")
        source.write_bytes(data)
        assert normalise(source, None)["frames"] == 100
    data[4:8] = (len(data) - 8).to_bytes(4, "little")
    source.write_bytes(data[:-1000])
    with pytest.raises(ClipError, match=r"truncated: .* promises 1000 bytes more than the file has"):
        normalise(source, None)
