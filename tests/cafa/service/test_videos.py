"""Uploads: nothing of what a visitor calls a file reaches the disk, and nothing stays of one that is refused."""

from io import BytesIO
from pathlib import Path

import pytest

from cafa.service.errors import FolderFullError, NotAVideoError, RefusedError, TooLargeError, TooLongError
from cafa.service.limits import Limits
from cafa.service.videos import VideoStore
from tests.cafa.service.conftest import write_video

NAMES = {
    "clip.MOV": ("clip", "video.mov"),
    "../../etc/passwd": ("passwd", "video.mp4"),
    "..\\..\\windows\\x.webm": ("x", "video.webm"),
    "/absolute/path.mkv": ("path", "video.mkv"),
    "a\0b.mp4": ("a_b", "video.mp4"),
    "..": ("video", "video.mp4"),
    "": ("video", "video.mp4"),
    "x.mp4/../../y": ("y", "video.mp4"),
    "clip.sh": ("clip", "video.mp4"),
    "café – 犬.mp4": ("café_犬", "video.mp4"),
    "n" * 500 + ".mp4": ("n" * 60, "video.mp4"),
    "$(touch x);`y`.mp4": ("touch_x_y", "video.mp4"),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_visitors_are_words_and_no_paths(name: str, video: Path, tmp_path: Path) -> None:
    store = VideoStore(tmp_path / "videos", Limits())
    kept = store.copy(BytesIO(video.read_bytes()), name)
    assert (kept.name, kept.file) == NAMES[name]
    assert (kept.seconds, kept.width, kept.height) == (1.0, 64, 48)
    assert store.path(kept).read_bytes() == video.read_bytes()
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {f"videos/{kept.id}/{kept.file}", f"videos/{kept.id}/video.json"}
    assert VideoStore(tmp_path / "videos", Limits()).get(kept.id) == kept


def refused(tmp_path: Path, data: bytes, kind: type[RefusedError], match: str, **limits: float) -> None:
    store = VideoStore(tmp_path / "videos", Limits(**limits))  # type: ignore[arg-type]
    with pytest.raises(kind, match=match) as caught:
        store.copy(BytesIO(data), "clip.mp4")
    assert str(tmp_path) not in str(caught.value)
    assert list((tmp_path / "videos").iterdir()) == []


def test_what_is_no_video_is_refused_in_plain_words(video: Path, tmp_path: Path) -> None:
    refused(tmp_path, b"these are words, and no video\n" * 50, NotAVideoError, "^this is not a video file$")
    refused(tmp_path, b"", NotAVideoError, "^this file is empty$")
    refused(tmp_path, video.read_bytes()[:-500], NotAVideoError, "not complete")
    refused(tmp_path, b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", NotAVideoError, "not a video")


def test_what_is_too_large_or_too_long_is_refused(video: Path, tmp_path: Path) -> None:
    data = video.read_bytes()
    refused(tmp_path, data, TooLargeError, "larger than 0.001 MB", largest_bytes=1000)
    refused(tmp_path, data, TooLargeError, "64 x 48 pixels", largest_pixels=1000)
    long = write_video(tmp_path / "long.mp4", 3).read_bytes()
    refused(tmp_path, long, TooLongError, "longer than 2 s", longest_video=2)
    refused(tmp_path, data, FolderFullError, "room for uploads and results is full", folder_bytes=1000)


def test_a_length_that_a_header_denies_is_found(tmp_path: Path) -> None:
    """A header may say 0.1 s of a file whose packets last 3 s."""
    data = bytearray(write_video(tmp_path / "long.mp4", 3).read_bytes())
    for box, offset in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20), (b"elst", 12)):
        place = data.find(box)
        assert place > 0
        data[place + offset : place + offset + 4] = (100).to_bytes(4, "big")
    refused(tmp_path, bytes(data), TooLongError, "longer than 2 s", longest_video=2)


def test_parts_of_uploads_are_deleted_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "abc.part").write_bytes(b"half")
    (tmp_path / ("e" * 32)).mkdir()  # killed before its facts were written
    (tmp_path / "of a person").mkdir()
    VideoStore(tmp_path, Limits())
    assert [path.name for path in tmp_path.iterdir()] == ["of a person"]
