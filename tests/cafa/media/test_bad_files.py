"""Every way in which a file can be bad has its own reason, and leaves nothing behind."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cafa.common.errors import ClipError
from cafa.common.ledger import REASONS
from cafa.media.normalise import NormaliseSettings, normalise_clip
from tests.cafa.media.conftest import MakeClip, tone

SETTINGS = NormaliseSettings(preset="ultrafast")
SECONDS = 4


@pytest.fixture
def busy_clip(make_clip: MakeClip) -> Callable[..., Path]:
    """Function that writes a clip of 4 s with some thousand bytes per second."""

    def make(name: str = "clip.mp4", *, sound: bool = True, **options: object) -> Path:
        times = [Fraction(k, 25) for k in range(SECONDS * 25)]
        noise = np.random.default_rng(0).uniform(-0.2, 0.2, (1, SECONDS * 16000))
        return make_clip(name, times=times, sound=noise if sound else None, **{"g": "25", **options})

    return make


def reason_of(source: Path, duration: float | None = SECONDS, start: float = 0) -> str:
    """Reason for which a file is refused, after checking that nothing was written."""
    folder = source.parent / "out"
    with pytest.raises(ClipError) as caught:
        normalise_clip(
            source,
            start=start,
            duration=duration,
            settings=SETTINGS,
            video_output=folder / "clip.mp4",
            sound_output=folder / "clip.flac",
        )
    assert list(folder.iterdir()) == []
    assert caught.value.reason in REASONS
    assert len(caught.value.detail) > 10
    return caught.value.reason


def cut(source: Path, share: float) -> Path:
    """Keep the first part of a file."""
    data = source.read_bytes()
    source.write_bytes(data[: round(len(data) * share)])
    return source


def test_missing_and_empty(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "nothing.mp4") == "missing_file"
    (tmp_path / "empty.mp4").touch()
    assert reason_of(tmp_path / "empty.mp4") == "empty_file"


@pytest.mark.parametrize(
    "text",
    ["This video is not available any more.\n" * 40, "#EXTM3U\n#EXTINF:5,\n/etc/passwd\n", "ffconcat version 1.0\n"],
)
def test_text_called_mp4(tmp_path: Path, text: str) -> None:
    """Also playlists, which FFmpeg would follow to other files."""
    (tmp_path / "text.mp4").write_text(text)
    assert reason_of(tmp_path / "text.mp4") == "not_media"


def test_picture_called_mp4(tmp_path: Path) -> None:
    png = bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000200000500"
        "017a5eab3f0000000049454e44ae426082"
    )
    (tmp_path / "picture.mp4").write_bytes(png)
    assert reason_of(tmp_path / "picture.mp4") == "not_media"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("faststart", [True, False], ids=["index first", "index last"])
def test_cut_mp4(busy_clip: Callable[..., Path], share: float, faststart: bool) -> None:
    source = cut(busy_clip(faststart=faststart), share)
    assert reason_of(source) == "truncated"
    assert reason_of(source, duration=None) == "truncated"


def test_mp4_without_its_index(busy_clip: Callable[..., Path]) -> None:
    source = busy_clip()
    data = source.read_bytes()
    source.write_bytes(data[: data.rindex(b"moov") - 4])  # cut exactly where the index begins
    assert reason_of(source) == "truncated"


def test_cut_matroska(busy_clip: Callable[..., Path]) -> None:
    """Its boxes tell nothing: the streams end before the headers say."""
    source = cut(busy_clip("clip.mkv"), 0.6)
    assert reason_of(source) == "truncated"
    assert reason_of(source, duration=None) == "truncated"


def test_random_bytes_in_the_middle(busy_clip: Callable[..., Path]) -> None:
    source = busy_clip(faststart=True, crf="1")
    data = bytearray(source.read_bytes())
    begin = data.index(b"mdat") + 4
    length = len(data) - begin
    middle = slice(begin + length // 3, begin + 2 * length // 3)
    data[middle] = np.random.default_rng(0).bytes(middle.stop - middle.start)
    source.write_bytes(data)
    assert reason_of(source) == "corrupt"


def test_index_of_random_bytes(busy_clip: Callable[..., Path]) -> None:
    source = busy_clip(faststart=True)
    data = bytearray(source.read_bytes())
    begin, end = data.index(b"moov") + 4, data.index(b"mdat") - 4
    data[begin:end] = np.random.default_rng(0).bytes(end - begin)
    source.write_bytes(data)
    assert reason_of(source) == "corrupt"


def test_one_stream_only(busy_clip: Callable[..., Path], make_clip: MakeClip) -> None:
    assert reason_of(busy_clip(sound=False)) == "no_audio"
    assert reason_of(make_clip("sound.mp4", video=False, sound=tone(SECONDS, 16000))) == "no_video"


def test_less_than_was_asked_for(busy_clip: Callable[..., Path]) -> None:
    source = busy_clip()
    assert reason_of(source, duration=4.3) == "short"
    assert reason_of(source, start=3.8, duration=1) == "short"
    assert reason_of(source, start=60, duration=1) == "short"


def test_a_fifth_of_a_second(make_clip: MakeClip) -> None:
    times = [Fraction(k, 25) for k in range(5)]
    assert reason_of(make_clip(times=times, sound=tone(0.2, 16000)), duration=None) == "short"


def test_one_stream_ends_early(make_clip: MakeClip) -> None:
    """Neither picture nor sound is padded beyond a frame or two."""
    times = [Fraction(k, 25) for k in range(100)]
    quiet = make_clip("quiet.mp4", times=times, sound=tone(3, 16000))
    still = make_clip("still.mp4", times=times[:80], sound=tone(4, 16000))
    for source in (quiet, still):
        assert reason_of(source) == "short"
        assert reason_of(source, duration=None) == "short"


def test_one_stream_begins_late(make_clip: MakeClip) -> None:
    times = [Fraction(k, 25) for k in range(100)]
    assert reason_of(make_clip(times=times, sound=tone(3, 16000), sound_start=1.2)) == "short"
    assert reason_of(make_clip(times=[time + Fraction(6, 5) for time in times], sound=tone(4, 16000))) == "short"


def test_metadata_that_is_not_utf8_is_no_reason(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("clip.avi", video_codec="mpeg4", sound=tone(2, 16000), sound_codec="pcm_s16le")
    data = source.read_bytes().replace(b"Lavf", b"L\xff\xfef")
    source.write_bytes(data)
    facts = normalise_clip(
        source,
        start=0,
        duration=1.5,
        settings=SETTINGS,
        video_output=tmp_path / "o.mp4",
        sound_output=tmp_path / "o.flac",
    )
    assert facts["seconds"] == 1.52  # 38 frames: the nearest whole number
