"""A kind of data set from outside the packages, exactly as docs/extending/dataset.md says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cafa.common.files import read_json, sha256_file
from cafa.common.ledger import read_ledgers
from cafa.data.manifest import read_manifest
from tests.extending.from_docs import code_blocks

NOTES = """dog barking @ rec-0001.mp4 12.5-22.5 (train)
rain on a roof @ rec-0002.mp4 0-10 (test)
not a note
dog barking @ rec-0001.mp4 12.5-22.5 (test)
wind @ rec-0003.mp4 3-4 (rehearsal)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (code,) = code_blocks("dataset.md")
    (tmp_path / "field_notes.py").write_text(code)
    (tmp_path / "notes.txt").write_text(NOTES)
    return tmp_path


def build(folder: Path, plugins: str = "field_notes", **settings: object) -> subprocess.CompletedProcess:
    given = {"notes": "notes.txt", "address": "https://example.org/r", "licence": "CC-BY-4.0", **settings}
    words = ["--output", "notes.parquet", "--refused", "notes.refused.parquet", "--settings", json.dumps(given)]
    environment = os.environ | {
        "CAFA_PLUGINS": plugins,
        "PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).resolve().parents[2])]),
    }
    return subprocess.run(
        [sys.executable, "-m", "cafa", "dataset", "build", "field_notes", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_builds_a_data_set_of_a_kind_that_a_plugin_registers(folder: Path) -> None:
    result = build(folder)
    assert result.returncode == 0, result.stderr
    assert "2 clips accepted (1 test, 1 train), 3 rows refused" in result.stdout
    manifest = read_manifest(folder / "notes.parquet")
    assert manifest.iloc[0].to_dict() == {
        "clip_id": "rec-0001_12.5",
        "uri": "https://example.org/r/rec-0001.mp4",
        "start": 12.5,
        "duration": 10.0,
        "label": "dog barking",
        "caption": "dog barking",
        "split": "train",
        "licence": "CC-BY-4.0",
        "line": 1,
    }
    refused = read_ledgers([folder / "notes.refused.parquet"])
    assert dict(zip(refused["line"], refused["status"], strict=True)) == {3: "bad_row", 4: "duplicate_id", 5: "bad_row"}
    card = read_json(folder / "notes.card.json")
    assert (card["kind"], card["clips"]) == ("field_notes", {"test": 1, "train": 1})
    assert card["lists"][0]["sha256"] == sha256_file(folder / "notes.txt")


def test_what_every_kind_refuses_is_refused_for_it_too(folder: Path) -> None:
    few = build(folder, wanted=["rain on a roof"], expected={"test": 2})
    assert few.returncode != 0
    assert "{'test': 1} clips came out, {'test': 2} are expected" in few.stderr
    none = build(folder, wanted=["thunder"])
    assert none.returncode != 0
    assert "no clip of field_notes can be used" in none.stderr
    strange = build(folder, colour="red")
    assert strange.returncode != 0
    assert "colour" in strange.stderr


def test_without_the_plugin_the_kind_is_refused_with_those_that_there_are(folder: Path) -> None:
    result = build(folder, plugins="")
    assert result.returncode != 0
    assert "there is no kind of published data set 'field_notes'; there are vggsound, visualsound" in result.stderr
