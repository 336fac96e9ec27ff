"""Folders and mirrors: where a clip's file is looked for, and what cannot be a path."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cafa.common.download import new_client
from cafa.common.errors import ClipError, InputError
from cafa.data.fetch.folder_and_mirror import Folder, Mirror, read_checksums
from cafa.data.fetch.interface import WantedClip, video_id_of, video_url
from cafa.data.fetch.settings import FetchSettings, FolderSource, HttpSettings, MirrorSource
from tests.cafa.data.fetch.conftest import Mirror as Server
from tests.cafa.data.fetch.conftest import clip, manifest_of

NOWHERE = Path("never-written.mp4")


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{clip_id}.mp4", "abcdefghijk_000030.mp4"),
        ("{video_id}_{start:06d}.mkv", "abcdefghijk_000030.mkv"),
        ("{video_id}_{start_ms}_{end_ms}.mp4", "abcdefghijk_30000_40000.mp4"),
        ("{split}/{label}/{clip_id}.mp4", "test/dog barking/abcdefghijk_000030.mp4"),
    ],
)
def test_naming_styles(tmp_path: Path, pattern: str, name: str) -> None:
    folder = Folder(FolderSource(root=put(tmp_path, name), cut=(pattern,)))
    found = folder.fetch(clip(), NOWHERE)
    assert found == (tmp_path / name, "folder", 0.0, None)
    assert found.path.is_absolute()


def test_a_whole_video_starts_where_the_manifest_says(tmp_path: Path) -> None:
    put(tmp_path, "full/abcdefghijk.mp4")
    folder = Folder(FolderSource(root=tmp_path, whole=("full/{video_id}.mp4",)))
    assert folder.fetch(clip(), NOWHERE).start == 30.0
    put(tmp_path, "abcdefghijk_000030.mp4")
    assert folder.fetch(clip(), NOWHERE).start == 0.0  # a cut clip is preferred


def test_patterns_are_tried_in_order(tmp_path: Path) -> None:
    put(tmp_path, "b/abcdefghijk_000030.mp4", "a/abcdefghijk_000030.webm")
    folder = Folder(FolderSource(root=tmp_path, cut=("a/{clip_id}.mp4", "a/{clip_id}.webm", "b/{clip_id}.mp4")))
    assert folder.fetch(clip(), NOWHERE).path == tmp_path / "a/abcdefghijk_000030.webm"
    with pytest.raises(ClipError, match=r"missing_file: none of a/x_000030\.mp4, .* in") as caught:
        folder.fetch(clip("x"), NOWHERE)
    assert caught.value.reason == "missing_file"


def test_searching_below(tmp_path: Path) -> None:
    put(tmp_path, "a/b/abcdefghijk_000030.mp4", "a/twice_000030.mp4", "b/twice_000030.mp4")
    folder = Folder(FolderSource(root=tmp_path, search=True))
    assert folder.fetch(clip(), NOWHERE).path == tmp_path / "a/b/abcdefghijk_000030.mp4"
    with pytest.raises(ClipError, match=r"ambiguous: twice_000030\.mp4 is at .*/a/.* and at .*/b/"):
        folder.fetch(clip("twice"), NOWHERE)
    with pytest.raises(ClipError, match=r"missing_file: .* anywhere below"):
        folder.fetch(clip("other"), NOWHERE)


def test_empty_files_and_absent_folders(tmp_path: Path) -> None:
    (tmp_path / "abcdefghijk_000030.mp4").touch()
    with pytest.raises(ClipError, match="empty_file"):
        Folder(FolderSource(root=tmp_path)).fetch(clip(), NOWHERE)
    with pytest.raises(InputError, match="no folder at"):
        Folder(FolderSource(root=tmp_path / "not-mounted"))


@pytest.mark.parametrize("label", ["../up", "a/b", "a\\b", ".hidden", "a\0b"])
def test_labels_that_are_no_part_of_a_path(tmp_path: Path, label: str) -> None:
    folder = Folder(FolderSource(root=tmp_path, cut=("{label}/{clip_id}.mp4",)))
    with pytest.raises(ClipError, match="bad_path"):
        folder.fetch(clip(label=label), NOWHERE)


def test_fields_that_a_clip_has_not(tmp_path: Path) -> None:
    folder = Folder(FolderSource(root=tmp_path, cut=("{video_id}_{start:06d}.mp4",)))
    with pytest.raises(ClipError, match=r"no_source: .* needs video_id"):
        folder.fetch(clip(video_id=None, clip_id="x"), NOWHERE)
    with pytest.raises(ClipError, match=r"no_source: .* needs start"):
        folder.fetch(clip(start=1.5), NOWHERE)
    put(tmp_path, "x.mp4")
    folder = Folder(FolderSource(root=tmp_path, cut=("{video_id}.mp4", "{clip_id}.mp4")))
    assert folder.fetch(clip(video_id=None, clip_id="x"), NOWHERE).path == tmp_path / "x.mp4"


@pytest.mark.parametrize("video_id", ["-rf", "../x", "a;b", "$(reboot)xx", "", "abcdefghijkl", "abcdefghij\n"])
def test_hostile_video_ids(video_id: str) -> None:
    with pytest.raises(ClipError, match="bad_id"):
        video_url(video_id)
    assert video_id_of(f"https://www.youtube.com/watch?v={video_id}") is None


@pytest.mark.parametrize("clip_id", ["../x", "a;b", "a/b", ".x", "a b", ""])
def test_hostile_clip_ids(clip_id: str) -> None:
    row = manifest_of("abcdefghijk").iloc[0].to_dict()
    with pytest.raises(InputError, match="id must be"):
        WantedClip.of(row | {"clip_id": clip_id})


def test_clips_of_a_manifest() -> None:
    row = manifest_of("-bcdefghij_").iloc[0].to_dict()
    assert WantedClip.of(row) == clip("-bcdefghij_")
    assert WantedClip.of(row | {"uri": "raw/a.mp4", "duration": float("nan")}).video_id is None


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "folder", "root": ".", "cut": ["{clip_id.__class__}.mp4"]},
        {"kind": "folder", "root": ".", "cut": ["{name}.mp4"]},
        {"kind": "folder", "root": ".", "cut": ["fixed.mp4"]},
        {"kind": "mirror", "url": "file:///etc/{clip_id}"},
        {"kind": "mirror", "url": "http://host/fixed"},
        {"kind": "ftp"},
    ],
)
def test_settings_that_are_refused(source: dict) -> None:
    with pytest.raises(ValidationError):
        FetchSettings.model_validate({"sources": [source]})


def mirror_source(server: Server, pattern: str, **settings: object) -> Mirror:
    source = MirrorSource(url=server.url + pattern, http=HttpSettings(attempts=1), **settings)
    return Mirror(source, new_client(source.http), maximum_bytes=1000, sleep=lambda seconds: None)


def test_addresses_are_quoted(mirror: Server, tmp_path: Path) -> None:
    mirror.files["/a/people%2F%3F%20%26/abcdefghijk_000030.mp4"] = b"media"
    with pytest.raises(ClipError, match="bad_path"):
        mirror_source(mirror, "/a/{label}/{clip_id}.mp4").fetch(clip(label="people/? &"), tmp_path / "x.mp4")
    mirror.files["/a/people%3F%20%26%20%7Bclip_id%7D/abcdefghijk_000030.mp4"] = b"media"
    source = mirror_source(mirror, "/a/{label}/{clip_id}.mp4", whole=True)
    found = source.fetch(clip(label="people? & {clip_id}"), tmp_path / "x.mp4")
    assert (found.path, found.source, found.start) == (tmp_path / "x.mp4", "mirror", 30.0)


def test_checksums_of_a_mirror(mirror: Server, tmp_path: Path) -> None:
    (tmp_path / "sums").write_text(f"{'0' * 64}  media/abcdefghijk_000030.mp4\n")
    mirror.files["/abcdefghijk_000030.mp4"] = b"media"
    source = mirror_source(mirror, "/{clip_id}.mp4", checksums=tmp_path / "sums")
    with pytest.raises(ClipError, match="checksum"):
        source.fetch(clip(), tmp_path / "x.mp4")
    with pytest.raises(ClipError, match=r"not_found: .*sums does not name other_000030\.mp4"):
        source.fetch(clip("other"), tmp_path / "x.mp4")
    assert len(mirror.answers) == 1
    (tmp_path / "sums").write_text("nonsense\n")
    with pytest.raises(InputError, match="line 1: expected a SHA-256"):
        read_checksums(tmp_path / "sums")
    with pytest.raises(InputError, match="no list of checksums"):
        read_checksums(tmp_path / "none")


def test_an_empty_file_of_a_mirror(mirror: Server, tmp_path: Path) -> None:
    mirror.files["/abcdefghijk_000030.mp4"] = b""
    with pytest.raises(ClipError, match="empty_file"):
        mirror_source(mirror, "/{clip_id}.mp4").fetch(clip(), tmp_path / "x.mp4")
    assert not list(tmp_path.iterdir())
