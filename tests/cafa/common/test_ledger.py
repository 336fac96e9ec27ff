"""Ledgers: one row per clip, with a reason that is known."""

import io
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from cafa.cli import cli
from cafa.common.errors import InputError
from cafa.common.ledger import REASONS, SCHEMA, class_of, ledger_row, read_ledgers, write_ledger
from cafa.common.ledger_classes import CLASSES, RETRY, UNKNOWN


def test_rows_come_back(tmp_path: Path) -> None:
    rows = [ledger_row("a", "ingest"), ledger_row("b/..", "ingest", "missing_file", "no file at x", line=3)]
    write_ledger(tmp_path / "one.parquet", rows)
    write_ledger(tmp_path / "two.parquet", [ledger_row("c", "features", "short", "too short")])
    table = read_ledgers([tmp_path / "one.parquet", tmp_path / "two.parquet"])
    assert list(table.columns) == SCHEMA.names
    assert list(table["clip_id"]) == ["a", "b/..", "c"]
    assert list(table["status"]) == ["ok", "missing_file", "short"]
    assert list(table["retriable"]) == [False, True, False]
    assert table["line"][1] == 3
    assert pd.isna(table["line"][0])
    assert read_ledgers([]).empty


def test_unknown_reasons_are_refused() -> None:
    with pytest.raises(InputError, match="'broken'"):
        ledger_row("a", "ingest", "broken")
    assert all(reason.meaning and reason.kind in CLASSES for reason in REASONS.values())
    assert "ok" not in REASONS


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a ledger"):
        read_ledgers([tmp_path / "none.parquet"])
    pd.DataFrame({"clip_id": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match=r"columns \['clip_id'\]"):
        read_ledgers([tmp_path / "other.parquet"])


def test_command(tmp_path: Path) -> None:
    rows = [ledger_row(f"clip{k}", "ingest") for k in range(3)]
    rows += [ledger_row(f"bad{k}", "ingest", "corrupt", "at 1.2 s", line=k + 2) for k in range(4)]
    write_ledger(tmp_path / "a.parquet", rows)
    write_ledger(tmp_path / "b.parquet", [ledger_row("", "manifest", "bad_id", "''", line=9)])
    arguments = ["ledger", str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")]
    lines = CliRunner().invoke(cli, arguments, catch_exceptions=False).output.splitlines()
    assert [line.split()[:4] for line in lines[:4]] == [
        ["stage", "status", "class", "clips"],
        ["ingest", "ok", "ok", "3"],
        ["ingest", "corrupt", "unusable", "4"],
        ["manifest", "bad_id", "unusable", "1"],
    ]
    assert lines[4] == "ingest: 7 clips, 3 ok (42.9%), 0 may pass later"
    assert lines[7] == "ingest: bad0 (line 2): corrupt: at 1.2 s"
    assert lines[-1] == "manifest: ? (line 9): bad_id: ''"
    short = CliRunner().invoke(cli, [*arguments, "--limit", "2"], catch_exceptions=False).output.splitlines()
    assert short[-1] == "... 3 more: --limit 0 shows all"
    assert CliRunner().invoke(cli, [*arguments, "--limit", "0"]).output.splitlines() == lines
    assert CliRunner().invoke(cli, ["ledger", "show", *arguments[1:]]).output.splitlines() == lines


def test_counts_as_csv(tmp_path: Path) -> None:
    rows = [ledger_row(f"{status}{k}", "fetch", status) for status in ("private", "ok", "network") for k in range(2)]
    write_ledger(tmp_path / "a.parquet", [*rows, ledger_row("x", "fetch", "private")])
    result = CliRunner().invoke(cli, ["ledger", "--csv", str(tmp_path / "a.parquet")], catch_exceptions=False)
    table = pd.read_csv(io.StringIO(result.output))
    assert list(table.columns) == ["stage", "status", "class", "clips", "retriable", "meaning"]
    assert list(table["status"]) == ["ok", "private", "network"]
    assert list(table["class"]) == ["ok", "gone", "retry"]
    assert list(table["clips"]) == [2, 3, 2]
    assert list(table["retriable"]) == [False, False, True]


def test_retry_and_unknown_alone_can_pass_later() -> None:
    assert {reason.kind for reason in REASONS.values() if reason.retriable} == {RETRY, UNKNOWN}
    assert not any(reason.retriable for reason in REASONS.values() if reason.kind not in (RETRY, UNKNOWN))
    assert class_of("ok") == "ok"
    assert class_of("private") == "gone"
