"""Lists as people write them: each is read rightly, or refused with the line, what was found and what to do."""

import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cafa.cli.evaluate import command as evaluate_command
from cafa.common.errors import InputError
from cafa.data.manifest import build_manifest, read_manifest
from cafa.data.prompt_files import read_list
from cafa.data.reading_lists import read_rows
from metrics.evaluation.pairs import read_pairs

IDS = [f"clip{number:03d}" for number in range(10)]
PLAIN = "clip_id,caption\n" + "".join(f"{name},dog barking\n" for name in IDS)
EXPECTED = dict.fromkeys(IDS, "dog barking")


def by_published_list(path: Path) -> dict[str, str]:
    return {row["clip_id"]: row["caption"] for row in read_list(path)}


def by_list_of_evaluate(path: Path) -> dict[str, str]:
    (path.parent / f"{IDS[0]}.mp4").touch()  # a folder without any file of the list is refused
    pairs = read_pairs(path, path.parent, {})
    return dict(zip(pairs.prompts["clip_id"], pairs.prompts["caption"], strict=True))


READERS = [by_published_list, by_list_of_evaluate]
Reader = Callable[[Path], dict[str, str]]


def written(folder: Path, text: str | bytes, encoding: str = "utf-8", name: str = "list.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        (PLAIN, "utf-8", "list.csv"),
        (PLAIN, "utf-8-sig", "list.csv"),
        (PLAIN, "utf-16", "list.csv"),
        (PLAIN, "utf-32", "list.csv"),
        (PLAIN.replace(",", ";"), "utf-8", "list.csv"),
        (PLAIN.replace(",", "\t"), "utf-8", "list.csv"),
        (PLAIN.replace(",", "\t"), "utf-16", "list.txt"),
        (PLAIN.replace(",", "|"), "utf-8", "list.csv"),
        (PLAIN, "utf-8", "list.tsv"),
        (PLAIN, "utf-8", "list.txt"),
        (PLAIN.replace("\n", "\r\n"), "utf-8", "list.csv"),
        (PLAIN.replace("\n", "\r"), "utf-8", "list.csv"),
        (PLAIN.replace("clip_id,caption", "clip_id, caption").replace(",dog", ", dog"), "utf-8", "list.csv"),
        (PLAIN.replace("clip_id,caption", "Clip ID,CAPTION"), "utf-8", "list.csv"),
        (PLAIN.replace("clip_id,caption", "ClipId, Caption "), "utf-8", "list.csv"),
        (PLAIN.replace(",dog barking", ', "dog barking"'), "utf-8", "list.csv"),
        (PLAIN.replace("\n", ",\n"), "utf-8", "list.csv"),
        (PLAIN + ",\n,,\n\n", "utf-8", "list.csv"),
        (PLAIN.replace("clip004", "\n\nclip004") + "\n\n", "utf-8", "list.csv"),
        ("sep=;\r\n" + PLAIN.replace(",", ";"), "utf-8", "list.csv"),
    ],
)
def test_read_rightly(tmp_path: Path, read: Reader, text: str, encoding: str, name: str) -> None:
    assert read(written(tmp_path, text, encoding, name)) == EXPECTED


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "caption",
    [
        "NaN",
        "null",
        "=SUM(A1)",
        "\N{DOG FACE} barking",
        "\N{DOG FACE}",
        "cafe\u0301 door",
        "w " * 500 + "w",
        "dog; cat | cow",
    ],
)
def test_captions_stay_as_they_are(tmp_path: Path, read: Reader, caption: str) -> None:
    assert read(written(tmp_path, PLAIN.replace("dog barking", caption))) == dict.fromkeys(IDS, caption)


@pytest.mark.parametrize("read", READERS)
def test_quoted_text_may_hold_all_of_it(tmp_path: Path, read: Reader) -> None:
    rows = "".join(f'"{name}","a ""dog"", barking,\nloudly"\n' for name in IDS)
    assert read(written(tmp_path, "clip_id,caption\n" + rows)) == dict.fromkeys(IDS, 'a "dog", barking,\nloudly')


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (PLAIN.replace("dog barking", "caf\xe9 door").encode("cp1252"), ["line 2", "0xe9", "not UTF-8", "--encoding"]),
        (PLAIN.encode("utf-16-le"), ["UTF-16 without a byte order mark", "--encoding utf-16-le"]),
        (PLAIN.encode("utf-16")[:-1], ["line 11", "not utf-16"]),
        (PLAIN.replace("dog", "d\ufffdg", 1), ["line 2", "U+FFFD"]),
        (PLAIN.replace("dog", "d\0g", 1), ["line 2", "zero byte"]),
        (PLAIN.replace("dog barking", "dog, barking"), ["line 2", "3 fields, the header has 2", "double quotes"]),
        (PLAIN.replace("clip004,dog barking", "clip004,"), ["line 6", "caption is empty"]),
        (PLAIN.split("\n", 1)[1], ["no column 'clip_id', 'caption'", "it has clip000", "clip_id,caption"]),
        (PLAIN.replace("caption", "text"), ["no column 'caption'", "it has clip_id, text (separated by commas)"]),
        (PLAIN.replace("caption", "text").replace(",", ";"), ["no column 'caption'", "separated by semicolons"]),
        ("Clip ID,clip-id,caption\na,b,c\n", ["'Clip ID' and 'clip-id'", "rename one"]),
        (PLAIN + "clip003,dog barking\n", ["line 12", "line 5"]),
        ("clip_id,caption\n", ["holds no prompt"]),
        ("", ["first line must name each column"]),
        (b"PK\x03\x04rest", ["is a spreadsheet", "save it as .csv"]),
        ('clip_id,caption\na,"never closed\n', ["row that begins in line 2"]),
    ],
)
def test_refused(tmp_path: Path, read: Reader, text: str | bytes, messages: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read(written(tmp_path, text))
    for message in messages:
        assert message in str(caught.value)


def test_encoding_and_separator_can_be_named(tmp_path: Path) -> None:
    text = PLAIN.replace("dog barking", "caf\xe9 door").replace(",", "^")
    path = written(tmp_path, text, "cp1252")
    rows = [row for _, row in read_rows(path, required=("clip_id",), encoding="cp1252", separator="^")]
    assert {row["caption"] for row in rows} == {"caf\xe9 door"}
    assert {row["caption"] for row in read_list(path, "cp1252", "^")} == {"caf\xe9 door"}
    (tmp_path / f"{IDS[0]}.mp4").touch()
    assert set(read_pairs(path, tmp_path, {}, encoding="cp1252", separator="^").prompts["caption"]) == {"caf\xe9 door"}
    for wrong, message in (({"encoding": "klingon"}, "no encoding is called"), ({"separator": ";;"}, "one character")):
        with pytest.raises(InputError, match=message):
            list(read_rows(path, **wrong))
    assert {"encoding", "separator"} <= {parameter.name for parameter in evaluate_command.params}


def test_a_separator_that_is_not_the_usual_one_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        list(read_rows(written(tmp_path, PLAIN.replace(",", ";")), required=("clip_id", "caption")))
    assert "separated by semicolons" in caplog.text


def test_columns_of_parquet_may_be_written_differently(tmp_path: Path) -> None:
    pd.DataFrame({"Clip ID": IDS, "Caption": ["dog barking"] * 10}).to_parquet(tmp_path / "list.parquet")
    for read in READERS:
        assert read(tmp_path / "list.parquet") == EXPECTED


def manifest_of(
    folder: Path, text: str, written_in: str = "utf-8", **options: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    source = written(folder, text, written_in)
    build_manifest(source, folder, folder / "m.parquet", folder / "refused.parquet", **options)
    return read_manifest(folder / "m.parquet"), pd.read_parquet(folder / "refused.parquet")


HEAD = "clip_id,uri,label\n"


@pytest.mark.parametrize(
    "text",
    [
        (HEAD + "a,000123.mp4,dog\n").replace(",", ";"),
        HEAD + " a , 000123.mp4 , dog \n",
        "Clip-ID,URI,Label\na,000123.mp4,dog\n",
        'clip_id,uri,label,start\na,000123.mp4,dog,"0,0"\n',
        "clip_id;uri;label;start\na;000123.mp4;dog;0,0\n",
    ],
)
def test_manifests_are_read_by_the_same_rules(tmp_path: Path, text: str) -> None:
    manifest, refused = manifest_of(tmp_path, text)
    assert refused.empty
    assert manifest[["clip_id", "uri", "label", "start"]].to_dict("records") == [
        {"clip_id": "a", "uri": "000123.mp4", "label": "dog", "start": 0.0}
    ]


def test_a_row_of_a_manifest_in_another_encoding_is_refused_or_read(tmp_path: Path) -> None:
    text = HEAD + "a,000123.mp4,chien qui aboie tr\xe8s fort\nb,000123.mp4,dog\n"
    manifest, refused = manifest_of(tmp_path, text, "cp1252")
    assert list(manifest["clip_id"]) == ["b"]
    assert list(refused["line"]) == [2]
    assert "label: byte 0xe8 is not UTF-8" in refused["detail"][0]
    manifest, refused = manifest_of(tmp_path, text, "cp1252", encoding="cp1252")
    assert refused.empty
    assert manifest["label"][0] == "chien qui aboie tr\xe8s fort"


def test_times_of_a_manifest(tmp_path: Path) -> None:
    rows = 'a,x.mp4,dog,"0,5","3,2"\nb,x.mp4,dog,00:00:01,1:00\nc,x.mp4,dog,"1,500",1\n'
    manifest, refused = manifest_of(tmp_path, "clip_id,uri,label,start,duration\n" + rows)
    assert list(manifest["start"]) == [0.5, 1.0]
    assert list(manifest["duration"]) == [3.2, 60.0]
    assert "may be 1.500 or 1500 seconds" in refused["detail"][0]
