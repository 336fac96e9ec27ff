"""Published lists: every known form, rows that are of no use, and downloads that are what they should be."""

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from cafa.cli import cli
from cafa.common.errors import InputError
from cafa.data import published_lists as lists
from cafa.data.published_lists import PublishedList, obtain, read_classes, read_list
from tests.cafa.data.fetch.conftest import Mirror

ROWS = {
    "vggsound": ('abcdefghijk,30,"dogs, barking",test\n', ("abcdefghijk_000030", "dogs, barking", "test"), 1),
    "clip_labels": ("-bcdefghij__000030.mp4,dog barking\n", ("-bcdefghij__000030", "dog barking", "train"), 1),
    "id_labels": ("id\tlabel\nabcdefghijk_000001\td, b\n", ("abcdefghijk_000001", "d, b", "train"), 2),
    "clip_names": ("abcdefghijk_30000_40000\n", ("abcdefghijk_000030", "", "train"), 1),
    "clip_starts": ("file,start_sec\nabcdefghijk_0_10000,4.64\n", ("abcdefghijk_000000", "", "train"), 2),
    "visualsound": (
        'filename,start,desc,split\nabcdefghijk,185,"a, b",valid\n',
        ("abcdefghijk_000185", "a, b", "validation"),
        2,
    ),
    "sync_labels": (
        "dataset_name,video_id,start_sec,vid_is_missing,is_sync,is_sync_by_cls_obj\nv,abcdefghijk,58,0,1,1\n",
        ("abcdefghijk_000058", "", "train"),
        2,
    ),
}


def listed(path: Path, form: str, text: str | bytes, **more: object) -> PublishedList:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return PublishedList(path=path, format=form, licence="CC-BY-4.0", **more)


@pytest.mark.parametrize("form", ROWS)
def test_forms(tmp_path: Path, form: str) -> None:
    text, expected, line = ROWS[form]
    split = None if form in ("vggsound", "visualsound") else "train"
    published = listed(tmp_path / "list.txt", form, text, split=split)
    (entry,) = read_list(published, tmp_path / "list.txt")
    assert entry.problem is None
    assert (entry.clip_id, entry.label, entry.split) == expected
    assert (entry.line, entry.place) == (line, f"line {line} of list.txt")


@pytest.mark.parametrize(
    ("form", "row", "reason"),
    [
        ("vggsound", "-rf,30,dog,test", "bad_id"),
        ("vggsound", "../abcdefgh,30,dog,test", "bad_id"),
        ("vggsound", "a;b,30,dog,test", "bad_id"),
        ("vggsound", "abcdefghijk,30.5,dog,test", "bad_row"),
        ("vggsound", "abcdefghijk,-1,dog,test", "bad_row"),
        ("vggsound", "abcdefghijk,nan,dog,test", "bad_row"),
        ("vggsound", "abcdefghijk,soon,dog,test", "bad_row"),
        ("vggsound", "abcdefghijk,1000000,dog,test", "bad_row"),
        ("vggsound", "abcdefghijk,30,dog", "bad_row"),
        ("clip_labels", "abcdefghijk.mp4,dog", "bad_id"),
        ("clip_labels", "../../abcdefghijk_000030.mp4,dog", "bad_id"),
        ("clip_names", "abcdefghijk_30500_40500", "bad_row"),
    ],
)
def test_rows_of_no_use(tmp_path: Path, form: str, row: str, reason: str) -> None:
    published = listed(tmp_path / "list.csv", form, f"{row}\n")
    (entry,) = read_list(published, tmp_path / "list.csv")
    assert entry.problem is not None
    assert entry.problem.reason == reason
    assert entry.clip_id == row.split(",")[0]


def test_another_form(tmp_path: Path) -> None:
    published = listed(tmp_path / "list.csv", "visualsound", "id,start,label\nabcdefghijk,30,dog\n")
    with pytest.raises(InputError, match=r"no column 'filename'.*it has id, start.*not of the form 'visualsound'"):
        list(read_list(published, tmp_path / "list.csv"))
    published = listed(tmp_path / "list.csv", "visualsound", "filename,start,desc,split\n")
    with pytest.raises(InputError, match="holds no row"):
        list(read_list(published, tmp_path / "list.csv"))


def test_classes(tmp_path: Path) -> None:
    published = listed(tmp_path / "list.tsv", "classes", "class\tis_sparse\ndogs, barking\ty\nwind\tn\n")
    assert read_classes(published, tmp_path / "list.tsv") == {"dogs, barking"}
    published = listed(tmp_path / "list.tsv", "classes", "class\tis_sparse\nwind\tn\n")
    with pytest.raises(InputError, match="marks no class"):
        read_classes(published, tmp_path / "list.tsv")


def test_a_local_copy_is_checked(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"rows\n").hexdigest()
    published = listed(tmp_path / "list.csv", "vggsound", b"rows\n", sha256=digest.upper())
    assert obtain(published, tmp_path) == tmp_path / "list.csv"
    (tmp_path / "list.csv").write_text("other rows\n")
    with pytest.raises(InputError, match=f"not {digest.upper()}: it is another version"):
        obtain(published, tmp_path)
    (tmp_path / "list.csv").unlink()
    with pytest.raises(InputError, match="no list at"):
        obtain(published, tmp_path)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    from cafa.data.fetch import settings

    quick = settings.HttpSettings(attempts=1, first_wait_seconds=0.0)
    monkeypatch.setattr(settings, "HttpSettings", lambda: quick)


@pytest.mark.usefixtures("impatient")
def test_a_list_is_downloaded_once_whole_and_checked(mirror: Mirror, tmp_path: Path) -> None:
    body = b"abcdefghijk,30,dog,test\n" * 50
    digest = hashlib.sha256(body).hexdigest()
    mirror.files["/data/list.csv"] = body
    published = PublishedList(url=f"{mirror.url}/data/list.csv", sha256=digest, format="vggsound", licence="x")
    mirror.moods["/data/list.csv"] = ["cut 100"]
    for _ in range(2):
        path = obtain(published, tmp_path / "m.lists")
        assert path == tmp_path / "m.lists" / "list.csv"
        assert path.read_bytes() == body
    assert [status for _, status, _ in mirror.answers] == [200, 206]
    named = published.model_copy(update={"path": tmp_path / "lists" / "mine.csv"})
    assert obtain(named, tmp_path).read_bytes() == body


@pytest.mark.usefixtures("impatient")
def test_downloads_that_are_not_kept(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/list.csv"] = b"rows\n"
    published = PublishedList(url=f"{mirror.url}/list.csv", format="vggsound", licence="x")
    digest = hashlib.sha256(b"rows\n").hexdigest()
    with pytest.raises(InputError, match="cannot be fetched: checksum"):
        obtain(published.model_copy(update={"sha256": "0" * 64}), tmp_path)
    mirror.moods["/list.csv"] = ["page"]
    with pytest.raises(InputError, match="a web page came"):
        obtain(published.model_copy(update={"sha256": digest}), tmp_path)
    with pytest.raises(InputError, match="not_found"):
        obtain(published.model_copy(update={"url": f"{mirror.url}/none.csv", "sha256": digest}), tmp_path)
    assert not list(tmp_path.glob("*.csv"))


@pytest.mark.usefixtures("impatient")
def test_a_list_without_a_checksum_is_held_to_its_first_download(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/list.csv"] = b"rows\n"
    path, record = tmp_path / "list.csv", tmp_path / "list.csv.digest.json"
    arguments = ["dataset", "list", "--output", str(path), "--settings"]
    arguments += [json.dumps({"url": f"{mirror.url}/list.csv", "format": "vggsound", "licence": "x"})]
    came = CliRunner().invoke(cli, arguments)
    assert came.exit_code == 0, came.output
    assert "no `sha256` is configured" in came.output
    assert path.read_bytes() == b"rows\n"
    assert json.loads(record.read_text())["sha256"] == hashlib.sha256(b"rows\n").hexdigest()
    path.unlink()  # as Snakemake does before it runs a job again
    mirror.files["/list.csv"] = b"other\n"
    other = hashlib.sha256(b"other\n").hexdigest()
    published = PublishedList(url=f"{mirror.url}/list.csv", format="vggsound", licence="x")
    with pytest.raises(InputError, match=f"write `sha256: {other}` beside its url"):
        obtain(published, tmp_path)
    assert not path.exists()
    assert obtain(published.model_copy(update={"sha256": other}), tmp_path) == path
    path.unlink()
    mirror.files["/list.csv"] = b"rows\n"
    assert obtain(published, tmp_path) == path
    path.write_bytes(b"ro")
    with pytest.raises(InputError, match="what came first"):
        obtain(published, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"format": "vggsound", "licence": "x"}, "give `path`, `url` or both"),
        ({"format": "vggsound", "licence": "x", "url": "file:///etc/passwd"}, "must begin with http"),
        ({"format": "vggsound", "licence": "x", "path": "a", "sha256": "12"}, "sha256"),
        ({"format": "vggsound", "path": "a"}, "licence"),
        ({"format": "other", "path": "a", "licence": "x"}, "format"),
    ],
)
def test_settings_that_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PublishedList.model_validate(wrong)


def test_every_form_has_a_name() -> None:
    assert set(lists.FORMS) == set(lists.FormName.__args__)
