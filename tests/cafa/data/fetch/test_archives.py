"""Archives as a publisher makes them: nested folders, plain or compressed, whole or cut short."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from cafa.common.errors import ClipError, InputError
from cafa.common.ledger import read_ledgers
from cafa.data.fetch.archives import Archives
from cafa.data.fetch.fetched_table import read_fetched
from cafa.data.fetch.settings import ArchivesSource, FetchSettings
from cafa.data.fetch.shard import fetch_shard
from tests.cafa.data.fetch.conftest import clip, manifest_of

FOLDER = "scratch/shared/beegfs/group/vggsound/video"
NOWHERE = Path("never-written.mp4")


def content(word: str) -> bytes:
    return (word.encode() * 700)[:5000]


def pack(path: Path, *words: str, folder: str = FOLDER) -> Path:
    """An archive of one mp4 for each word, as `tar` of a deep folder writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        directory = tarfile.TarInfo(folder)
        directory.type = tarfile.DIRTYPE
        tar.addfile(directory)
        for word in words:
            add(tar, f"{folder}/{word}_000030.mp4", content(word))
        add(tar, f"{folder}/README.txt", b"not a clip")
    return path


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def name(word: str) -> str:
    return f"{word:_<11}"[:11]


def archives(tmp_path: Path, **settings: object) -> Archives:
    return Archives(ArchivesSource(root=tmp_path / "hub", **settings), tmp_path / "raw")


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_members_are_found_in_any_folder(tmp_path: Path, ending: str) -> None:
    pack(tmp_path / "hub" / f"vggsound_00.{ending}", name("a"), name("b"))
    pack(tmp_path / "hub" / f"vggsound_01.{ending}", name("c"), folder=".")
    before = sorted(path.read_bytes() for path in (tmp_path / "hub").iterdir())
    source = archives(tmp_path)
    for word in ("a", "b", "c"):
        found = source.fetch(clip(name(word)), NOWHERE)
        assert found.path.read_bytes() == content(name(word))
        assert (found.source, found.start) == ("archives", 0.0)
        assert found.path.is_relative_to(tmp_path / "raw")
    with pytest.raises(ClipError, match="in the 2 archives of") as caught:
        source.fetch(clip(name("d")), NOWHERE)
    assert caught.value.reason == "missing_file"
    assert sorted(path.read_bytes() for path in (tmp_path / "hub").iterdir()) == before


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_an_archive_is_read_once(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(tmp_path / "hub" / f"x.{ending}", name("a"))
    first = archives(tmp_path).fetch(clip(name("a")), NOWHERE)
    opened: list[object] = []
    monkeypatch.setattr(tarfile, "open", lambda *args, **_: opened.append(args))
    assert archives(tmp_path).fetch(clip(name("a")), NOWHERE) == first
    assert opened == []


def test_a_plain_tar_gives_the_wanted_clips_only(tmp_path: Path) -> None:
    pack(tmp_path / "hub" / "x.tar", *(name(word) for word in "abcdef"))
    archives(tmp_path).fetch(clip(name("c")), NOWHERE)
    assert len(list((tmp_path / "raw").rglob("*.mp4"))) == 1


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_an_archive_that_is_cut_short(tmp_path: Path, ending: str) -> None:
    path = pack(tmp_path / "hub" / f"vggsound_08.{ending}", *(name(f"v{k}") for k in range(40)))
    if ending == "tar":
        path.write_bytes(path.read_bytes()[:60_000])
    else:  # of incompressible data, as films are: cut the bytes that they become
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 0)[:60_000])
    pack(tmp_path / "hub" / f"vggsound_09.{ending}", name("z"))
    source = archives(tmp_path)
    assert source.fetch(clip(name("v0")), NOWHERE).path.read_bytes() == content(name("v0"))
    assert source.fetch(clip(name("z")), NOWHERE).path.read_bytes() == content(name("z"))
    there = len(list(source._index())) - 1
    assert 5 < there < 15
    for k in range(there):
        assert source.fetch(clip(name(f"v{k}")), NOWHERE).path.read_bytes() == content(name(f"v{k}"))
    for k in range(there, 40):
        with pytest.raises(ClipError, match=f"vggsound_08.{ending} is cut short") as caught:
            source.fetch(clip(name(f"v{k}")), NOWHERE)
        assert caught.value.reason == "damaged_archive"


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
@pytest.mark.parametrize("fault", ["between members", "in a header"])
def test_damage_that_looks_like_the_end(tmp_path: Path, ending: str, fault: str) -> None:
    path = pack(tmp_path / "hub" / f"x.{ending}", name("a"), name("b"))
    data = path.read_bytes() if ending == "tar" else gzip.decompress(path.read_bytes())
    second = data.index(name("b").encode()) // 512 * 512
    data = data[:second] if fault == "between members" else data[:second] + b"\xff" * 512 + data[second + 512 :]
    path.write_bytes(data if ending == "tar" else gzip.compress(data))
    source = archives(tmp_path)
    assert source.fetch(clip(name("a")), NOWHERE).path.read_bytes() == content(name("a"))
    with pytest.raises(ClipError, match="is cut short or damaged after"):
        source.fetch(clip(name("b")), NOWHERE)


def test_bytes_that_are_no_archive(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    for file, data in {"a.tar": b"<html>" * 500, "b.tar": b"", "c.tar.gz": b"\x1f\x8b\x08\x00 no"}.items():
        (tmp_path / "hub" / file).write_bytes(data)
    with pytest.raises(ClipError) as caught:
        archives(tmp_path).fetch(clip(), NOWHERE)
    assert caught.value.reason == "damaged_archive"
    for file in ("a.tar", "b.tar", "c.tar.gz"):
        assert file in caught.value.detail


def test_members_that_are_not_plain_files_inside(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    with tarfile.open(tmp_path / "hub" / "x.tar", "w") as tar:
        add(tar, f"../../{name('up')}_000030.mp4", b"x")
        add(tar, f"/etc/{name('root')}_000030.mp4", b"x")
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = tarfile.TarInfo(f"{name('link')}_000030.mp4")
            link.type, link.linkname = kind, "/etc/passwd"
            tar.addfile(link)
        add(tar, f"{name('none')}_000030.mp4", b"")
        add(tar, f"a/{name('two')}_000030.mp4", b"x")
        add(tar, f"b/{name('two')}_000030.mp4", b"y")
    source = archives(tmp_path)
    reasons = {"up": "missing_file", "root": "missing_file", "link": "missing_file", "none": "empty_file"}
    for word, reason in {**reasons, "two": "ambiguous"}.items():
        with pytest.raises(ClipError) as caught:
            source.fetch(clip(name(word)), NOWHERE)
        assert caught.value.reason == reason


def test_other_names_of_members(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    with tarfile.open(tmp_path / "hub" / "x.tar", "w") as tar:
        add(tar, f"{name('a')}_30000_40000.mp4", b"cut")
        add(tar, f"full/{name('b')}.mp4", b"whole")
    source = archives(tmp_path, cut=("{video_id}_{start_ms}_{end_ms}.mp4",), whole=("full/{video_id}.mp4",))
    assert source.fetch(clip(name("a")), NOWHERE).path.read_bytes() == b"cut"
    found = source.fetch(clip(name("b")), NOWHERE)
    assert (found.path.read_bytes(), found.start) == (b"whole", 30.0)


def test_there_must_be_an_archive(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder at"):
        archives(tmp_path)
    (tmp_path / "hub").mkdir()
    with pytest.raises(InputError, match=r"no archive called \*\.tar"):
        archives(tmp_path)


def test_a_shard_from_archives(tmp_path: Path) -> None:
    pack(tmp_path / "hub" / "vggsound_00.tar.gz", name("a"))
    settings = FetchSettings.model_validate({"sources": [{"kind": "archives", "root": str(tmp_path / "hub")}]})

    def run() -> dict[str, int]:
        return fetch_shard(
            manifest_of(name("a"), name("b")),
            settings,
            shard=0,
            shards=1,
            folder=tmp_path / "raw",
            output=tmp_path / "0.parquet",
            ledger=tmp_path / "0.ledger.parquet",
        )

    assert run() == {"missing_file": 1, "ok": 1}
    assert Path(read_fetched(tmp_path / "0.parquet")["path"][0]).read_bytes() == content(name("a"))
    pack(tmp_path / "hub" / "vggsound_01.tar.gz", name("b"))
    assert run() == {"ok": 2}
    assert list(read_ledgers([tmp_path / "0.ledger.parquet"])["status"]) == ["ok", "ok"]
