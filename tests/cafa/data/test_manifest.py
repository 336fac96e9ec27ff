"""Manifests: good rows are kept, each bad one is named with its line and reason."""

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from cafa.cli import cli
from cafa.common.errors import ClipError, InputError
from cafa.common.ledger import read_ledgers
from cafa.data.manifest import SCHEMA, build_manifest, check_clip_id, local_path, read_manifest
from cafa.data.uris import is_remote

HEADER = "clip_id,uri,start,duration,label,caption,split,licence\n"


def build(tmp_path: Path, text: str | bytes, name: str = "clips.csv", **options: dict) -> tuple:
    """Manifest and refused rows of a table with this text."""
    source = tmp_path / name
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    output, refused = tmp_path / "m.parquet", tmp_path / "refused.parquet"
    (tmp_path / "root").mkdir(exist_ok=True)
    counts = build_manifest(source, tmp_path / "root", output, refused, **options)
    manifest, ledger = read_manifest(output), read_ledgers([refused])
    assert counts == (len(manifest), len(ledger))
    return manifest, ledger


def test_good_rows(tmp_path: Path) -> None:
    rows = "a,x/a.mp4,1.5,3.2,dog,a dog barks,train,CC0\n\nb,https://host/watch?v=b,,,cat,,,\n"
    manifest, refused = build(tmp_path, HEADER + rows)
    assert refused.empty
    assert list(manifest.columns) == SCHEMA.names
    first, second = manifest.to_dict("records")
    assert first == {
        "clip_id": "a",
        "uri": "x/a.mp4",
        "start": 1.5,
        "duration": 3.2,
        "label": "dog",
        "caption": "a dog barks",
        "split": "train",
        "licence": "CC0",
        "line": 2,
    }
    assert pd.isna(second.pop("duration"))
    assert second == {
        "clip_id": "b",
        "uri": "https://host/watch?v=b",
        "start": 0.0,
        "label": "cat",
        "caption": "cat",
        "split": "test",
        "licence": "unknown",
        "line": 4,
    }


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (".hidden,a.mp4,0,1,dog,dog,test,x", "bad_id", "dot"),
        ("a b,a.mp4,0,1,dog,dog,test,x", "bad_id", "a b"),
        (f"{'a' * 81},a.mp4,0,1,dog,dog,test,x", "bad_id", "80"),
        ("$(rm),a.mp4,0,1,dog,dog,test,x", "bad_id", "rm"),
        ("ä,a.mp4,0,1,dog,dog,test,x", "bad_id", "ä"),
        (",a.mp4,0,1,dog,dog,test,x", "bad_id", "''"),
        ("good,b.mp4,0,1,dog,dog,test,x", "duplicate_id", "line 2"),
        ("a,../a.mp4,0,1,dog,dog,test,x", "bad_path", "without '..'"),
        ("a,x/../../a.mp4,0,1,dog,dog,test,x", "bad_path", "without '..'"),
        ("a,/etc/passwd,0,1,dog,dog,test,x", "bad_path", "relative"),
        ("a,file:///etc/passwd,0,1,dog,dog,test,x", "bad_path", "relative"),
        ("a,concat:a.mp4|b.mp4,0,1,dog,dog,test,x", "bad_path", "relative"),
        ("a,.,0,1,dog,dog,test,x", "bad_path", "leads out"),
        ("a,link/a.mp4,0,1,dog,dog,test,x", "bad_path", "leads out"),
        ("a,,0,1,dog,dog,test,x", "bad_row", "uri is empty"),
        ("a,a.mp4,0,1,,,test,x", "bad_row", "label is empty"),
        ("a,a.mp4,zero,1,dog,dog,test,x", "bad_row", "start must be seconds, got 'zero'"),
        ("a,a.mp4,-1,1,dog,dog,test,x", "bad_row", "negative"),
        ("a,a.mp4,0,0,dog,dog,test,x", "bad_row", "zero"),
        ("a,a.mp4,0,nan,dog,dog,test,x", "bad_row", "duration must be seconds"),
        ("a,a.mp4,0,inf,dog,dog,test,x", "bad_row", "duration must be seconds"),
        ("a,a.mp4,0,1,dog,dog,val,x", "bad_row", "split must be one of train, validation, test"),
        ("a,a.mp4,0,1,dog,dog,test", "bad_row", "7 fields, the header has 8"),
        ("a,a.mp4,0,1,dog,big, black dog,test,x", "bad_row", "9 fields"),
    ],
)
def test_refused_rows(tmp_path: Path, row: str, reason: str, detail: str) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path)
    good = "good,good.mp4,0,1,dog,dog,test,x\n"
    manifest, refused = build(tmp_path, f"{HEADER}{good}{row}\nlast{good}")
    assert list(manifest["clip_id"]) == ["good", "lastgood"]
    (bad,) = refused.itertuples()
    assert (bad.stage, bad.status, bad.line, bad.retriable) == ("manifest", reason, 3, False)
    assert detail in bad.detail
    assert bad.clip_id == row.split(",")[0]


def test_lines_of_quoted_fields_and_odd_bytes(tmp_path: Path) -> None:
    rows = b'a,a.mp4,"two\nlines"\n' + b"b,b.mp4,\xff\xfe\n" + b"c,c.mp4,d\xc3\xb6g\n"
    manifest, refused = build(tmp_path, b"\xef\xbb\xbfclip_id,uri,label\n" + rows)
    assert list(manifest["line"]) == [2, 5]
    assert list(manifest["label"]) == ["two\nlines", "dög"]
    assert list(refused["line"]) == [4]
    assert "label: byte 0xff is not UTF-8" in refused["detail"][0]


def test_renamed_columns_and_defaults(tmp_path: Path) -> None:
    text = "video,path,label,uri\nv1,a.mp4,dog barking,ignored\nv2,b.mp4,cat,\n"
    manifest, refused = build(
        tmp_path,
        text,
        columns={"video": "clip_id", "path": "uri"},
        defaults={"caption": "the sound of {label}", "split": "train", "duration": "10"},
    )
    assert refused.empty
    assert list(manifest["uri"]) == ["a.mp4", "b.mp4"]
    assert list(manifest["caption"]) == ["the sound of dog barking", "the sound of cat"]
    assert set(manifest["split"]) == {"train"}
    assert set(manifest["duration"]) == {10.0}
    fields = {"uri": "{clip_id}.mp4", "licence": "{label.__class__}"}
    manifest, _ = build(tmp_path, "clip_id,label\nx,{uri}\n", defaults=fields)
    assert list(manifest["uri"]) == ["x.mp4"]
    assert list(manifest["licence"]) == ["{label.__class__}"]  # nothing but plain names is replaced
    assert list(manifest["caption"]) == ["{uri}"]  # and a field's own braces are text


def test_tsv_and_parquet(tmp_path: Path) -> None:
    manifest, _ = build(tmp_path, "clip_id\turi\tlabel\na\ta.mp4\tdogs, barking\n", name="clips.tsv")
    assert list(manifest["label"]) == ["dogs, barking"]
    table = pd.DataFrame(
        {"clip_id": ["a", "b"], "uri": ["a.mp4", "b.mp4"], "label": ["dog", None], "start": [1.0, 2.0]}
    )
    table.to_parquet(tmp_path / "t.parquet")
    manifest, refused = build(tmp_path, (tmp_path / "t.parquet").read_bytes(), name="clips.parquet")
    assert list(manifest["start"]) == [1.0]
    assert [(row.clip_id, row.line, row.status) for row in refused.itertuples()] == [("b", 3, "bad_row")]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("clip_id,uri\na,a.mp4\n", "clips.csv", "no column 'label'; it has clip_id, uri"),
        ("", "clips.csv", "clips.csv is empty: the first line must name each column once, such as "),
        ("clip_id,uri,uri\n", "clips.csv", "each column once"),
        ('clip_id,uri,label\na,"a.mp4,dog\nb,b.mp4,cat\n', "clips.csv", "row that begins in line 2"),
        ("x", "clips.xlsx", r"must be \.csv"),
    ],
)
def test_unusable_tables(tmp_path: Path, text: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(tmp_path, text, name=name)
    assert not (tmp_path / "m.parquet").exists()


def test_wrong_options(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'path'"):
        build(tmp_path, HEADER, columns={"uri": "path"})
    with pytest.raises(InputError, match="no column 'line'"):
        build(tmp_path, HEADER, defaults={"line": "1"})
    with pytest.raises(InputError, match="has no column 'file'"):
        build(tmp_path, f"{HEADER}a,a.mp4,0,1,dog,dog,test,x\n", columns={"file": "uri"})
    with pytest.raises(InputError, match="no table at"):
        build_manifest(tmp_path / "none.csv", tmp_path, tmp_path / "m", tmp_path / "r")


def test_reading_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a manifest"):
        read_manifest(tmp_path / "none.parquet")
    pd.DataFrame({"clip_id": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match=r"columns \['clip_id'\]"):
        read_manifest(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(InputError, match="is not a manifest"):
        read_manifest(tmp_path / "text.parquet")


def test_ids_and_paths(tmp_path: Path) -> None:
    assert check_clip_id("-a_B.9") == "-a_B.9"
    for bad in ("", "..", ".a", "a/b", "a\n", "a" * 81, None):
        with pytest.raises(InputError, match="id must be"):
            check_clip_id(bad)
    assert is_remote("HTTPS://host/x")
    assert not is_remote("httpx/a.mp4")
    assert local_path(tmp_path, "a/b.mp4") == tmp_path.resolve() / "a" / "b.mp4"
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    assert local_path(tmp_path, "alias/b.mp4") == tmp_path.resolve() / "real" / "b.mp4"  # stays inside
    with pytest.raises(ClipError, match="bad_path"):
        local_path(tmp_path / "real", "../alias/b.mp4")


def test_command(tmp_path: Path) -> None:
    source = tmp_path / "clips.csv"
    source.write_text("id,file,label\na,a.mp4,dog\n..,b.mp4,cat\n")
    output, refused = tmp_path / "out" / "m.parquet", tmp_path / "out" / "r.parquet"
    arguments = [
        "manifest",
        "--source",
        str(source),
        "--root",
        str(tmp_path),
        "--output",
        str(output),
        "--refused",
        str(refused),
        "--column",
        "id=clip_id",
        "--column",
        "file=uri",
    ]
    result = CliRunner().invoke(cli, [*arguments, "--default", "caption=hear {label}"], catch_exceptions=False)
    assert result.output.startswith("1 clips accepted, 1 refused: ")
    assert "line 3" in result.output
    assert f"(cafa ledger {refused})" in result.output
    assert list(read_manifest(output)["caption"]) == ["hear dog"]
    assert CliRunner().invoke(cli, [*arguments, "--default", "caption"]).exit_code == 2
    source.write_text("id,file,label\n..,b.mp4,cat\n")
    with pytest.raises(InputError, match="no clip of"):
        CliRunner().invoke(cli, arguments, catch_exceptions=False)
