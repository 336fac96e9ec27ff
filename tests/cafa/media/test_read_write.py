"""Reading frames and sound of normalised clips, writing sound, putting sound under video."""

import importlib.util
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile

from cafa.common.errors import ClipError, InputError
from cafa.media.frames import read_frames
from cafa.media.mux import put_sound_under_video
from cafa.media.normalise import NormaliseSettings, normalise_clip
from cafa.media.sound import read_sound, write_sound
from tests.cafa.media.conftest import MakeClip, tone

NormalisedClip = Callable[..., Path]


def moving_noise(count: int, height: int, width: int) -> list[np.ndarray]:
    """Coloured pictures that change all over: RGB, uint8."""
    field = np.random.default_rng(0).uniform(0, 255, (height + count, width, 3)).astype(np.float32)
    field = cv2.GaussianBlur(field, (0, 0), 3)
    field = (field - field.min()) / (field.max() - field.min()) * 255
    return [np.ascontiguousarray(field[k : k + height].astype(np.uint8)) for k in range(count)]


@pytest.fixture
def normalised_clip(tmp_path: Path) -> NormalisedClip:
    """Function that makes a normalised clip of coloured noise and returns its mp4."""

    def make(count: int = 50, size: tuple[int, int] = (72, 102), **settings: object) -> Path:
        raw = tmp_path / "raw.mkv"
        with av.open(str(raw), "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
            for index, picture in enumerate(moving_noise(count, *size)):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        options = NormaliseSettings(**{"preset": "ultrafast", **settings})
        video = tmp_path / "clip.mp4"
        normalise_clip(raw, start=0, duration=count / 25, settings=options, video_output=video, sound_output=None)
        return video

    return make


@pytest.mark.skipif(importlib.util.find_spec("decord") is None, reason="decord has no wheel here")
@pytest.mark.parametrize("size", [(72, 102), (96, 70), (130, 66)])
def test_decoders_give_equal_frames(normalised_clip: NormalisedClip, size: tuple[int, int]) -> None:
    for settings in ({}, {"preset": "veryfast", "gop": 12}, {"short_side": 48}):
        clip = normalised_clip(size=size, **settings)
        for resized in (None, (32, 32)):
            by_decord = read_frames(clip, seconds=2, size=resized, decoder="decord")
            by_pyav = read_frames(clip, seconds=2, size=resized, decoder="pyav")
            assert np.array_equal(by_decord, by_pyav)


@pytest.mark.skipif(importlib.util.find_spec("decord") is None, reason="decord has no wheel here")
def test_no_frame_is_decoded_behind_the_wanted_ones(
    normalised_clip: NormalisedClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = importlib.import_module("decord").VideoReader
    asked, batch = [0], reader.get_batch
    monkeypatch.setattr(reader, "get_batch", lambda self, which: asked.extend(which) or batch(self, which))
    for frames in (1, 2, 16, 17, 20, 50):
        del asked[1:]
        assert len(read_frames(normalised_clip(), seconds=frames / 25, decoder="decord")) == frames
        assert asked == list(range(frames))


def test_frames_are_the_pictures(normalised_clip: NormalisedClip) -> None:
    frames = read_frames(normalised_clip(crf=5), seconds=2)
    pictures = np.stack(moving_noise(50, 72, 102))
    assert frames.shape == (50, 72, 102, 3)
    error = np.abs(frames.astype(int) - pictures).mean()
    assert error < 5  # chroma is subsampled
    assert np.abs(frames[:-1].astype(int) - pictures[1:]).mean() > 1.5 * error
    part = read_frames(normalised_clip(crf=5), seconds=0.8, size=(32, 32))
    area = cv2.resize(frames[19], (32, 32), interpolation=cv2.INTER_AREA)
    assert part.shape == (20, 32, 32, 3)
    assert np.array_equal(part[19], area)


@pytest.mark.parametrize("decoder", ["pyav", "decord"])
def test_frames_are_never_padded(normalised_clip: NormalisedClip, tmp_path: Path, decoder: str) -> None:
    if importlib.util.find_spec(decoder.removeprefix("py")) is None:
        pytest.skip("decord has no wheel here")
    with pytest.raises(ClipError, match="50 frames, 55 wanted"):
        read_frames(normalised_clip(), seconds=2.2, decoder=decoder)
    with pytest.raises(ClipError, match="0 frames, 0 wanted"):
        read_frames(normalised_clip(), seconds=0.01, decoder=decoder)
    with pytest.raises(ClipError, match="missing_file"):
        read_frames(tmp_path / "none.mp4", seconds=2, decoder=decoder)
    (tmp_path / "bad.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(200))
    with pytest.raises(ClipError, match=r"corrupt|truncated"):
        read_frames(tmp_path / "bad.mp4", seconds=2, decoder=decoder)


@pytest.mark.parametrize("name", ["sound.flac", "sound.wav"])
def test_sound_comes_back(tmp_path: Path, name: str) -> None:
    sound = tone(1.5, 16000, channels=2)
    assert write_sound(tmp_path / name, sound, 16000) == 0
    assert np.abs(read_sound(tmp_path / name, sample_rate=16000) - sound.mean(axis=0)).max() <= 2**-16 + 1e-7
    assert soundfile.info(tmp_path / name).subtype == "PCM_16"
    assert read_sound(tmp_path / name, sample_rate=16000, seconds=0.7).shape == (11200,)


def test_resampling(tmp_path: Path) -> None:
    write_sound(tmp_path / "sound.flac", tone(2, 44100)[0], 44100)
    heard = read_sound(tmp_path / "sound.flac", sample_rate=16000, seconds=2)
    assert heard.dtype == np.float32
    assert np.abs(heard - tone(2, 16000)[0])[200:-200].max() < 1e-3


def test_sound_of_a_video(make_clip: MakeClip) -> None:
    clip = make_clip(sound=tone(2, 16000))
    heard = read_sound(clip, sample_rate=16000, seconds=1.9)
    assert np.corrcoef(heard[1600:], tone(1.9, 16000)[0, 1600:])[0, 1] > 0.999
    with pytest.raises(ClipError, match="no_audio"):
        read_sound(make_clip("silent.mp4"), sample_rate=16000)


def test_short_and_broken_sound(tmp_path: Path) -> None:
    write_sound(tmp_path / "sound.flac", tone(1, 16000), 16000)
    assert read_sound(tmp_path / "sound.flac", sample_rate=16000, seconds=1.01).shape == (16160,)
    with pytest.raises(ClipError, match=r"short.*1\.000 s of sound, 1\.100 s wanted"):
        read_sound(tmp_path / "sound.flac", sample_rate=16000, seconds=1.1)
    with pytest.raises(ClipError, match="missing_file"):
        read_sound(tmp_path / "none.flac", sample_rate=16000)
    (tmp_path / "text.flac").write_text("no sound\n")
    with pytest.raises(ClipError, match="corrupt"):
        read_sound(tmp_path / "text.flac", sample_rate=16000)


def test_write_sound_refuses(tmp_path: Path) -> None:
    loud = tone(1, 16000)[0] * 10
    for waveform, name, message in (
        (np.array([0.0, np.nan]), "a.flac", "not finite"),
        (loud, "a.flac", r"exceed full scale \(peak 2\.000\)"),
        (np.zeros((2, 3, 4)), "a.flac", "must be"),
        (np.zeros(0), "a.flac", "must be"),
        (np.zeros(10), "a.mp3", "written as"),
    ):
        with pytest.raises(InputError, match=message):
            write_sound(tmp_path / name, waveform, 16000)
    assert list(tmp_path.iterdir()) == []
    assert write_sound(tmp_path / "a.flac", loud, 16000, over="clip") == np.count_nonzero(np.abs(loud) > 1)
    assert np.abs(read_sound(tmp_path / "a.flac", sample_rate=16000)).max() == 1.0


def test_sound_under_video(normalised_clip: NormalisedClip, tmp_path: Path) -> None:
    clip, output = normalised_clip(), tmp_path / "made" / "with_sound.mp4"
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (2, 5 * 16000))
    put_sound_under_video(clip, noise, 16000, output)
    assert np.array_equal(read_frames(output, seconds=2, decoder="pyav"), read_frames(clip, seconds=2, decoder="pyav"))
    heard = read_sound(output, sample_rate=16000, seconds=2)
    lags = range(-80, 81)
    middle, mono = slice(4000, 28000), noise.mean(axis=0)
    match = [float(np.dot(heard[middle], mono[4000 + lag : 28000 + lag])) for lag in lags]
    assert lags[int(np.argmax(match))] == 0
    data = output.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(output)) as container:
        assert abs(container.duration / av.time_base - 2) < 0.07  # the sound was cut to the picture
    put_sound_under_video(clip, noise[0], 44100, output, seconds=1.2)
    with av.open(str(output)) as container:
        assert len(list(container.decode(video=0))) == 30


def test_sound_under_video_refuses(normalised_clip: NormalisedClip, make_clip: MakeClip, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with pytest.raises(InputError, match="not finite"):
        put_sound_under_video(normalised_clip(), np.full(100, np.inf), 16000, output)
    with pytest.raises(InputError, match="must be"):
        put_sound_under_video(normalised_clip(), np.zeros((3, 100)), 16000, output)
    with pytest.raises(InputError, match="12345 Hz"):
        put_sound_under_video(normalised_clip(), np.zeros(100), 12345, output)
    with pytest.raises(InputError, match=r"not H\.264"):
        put_sound_under_video(make_clip("a.avi", video_codec="mpeg4"), np.zeros(100), 16000, output)
    with pytest.raises(ClipError, match="missing_file"):
        put_sound_under_video(tmp_path / "none.mp4", np.zeros(100), 16000, output)
    assert not output.exists()
