"""Ledgers: one row per clip, with a reason that is known."""

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from cafa.cli import cli
from cafa.errors import InputError
from cafa.ledger import REASONS, SCHEMA, ledger_row, read_ledgers, write_ledger


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
    assert all(meaning for _, meaning in REASONS.values())
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
    assert [line.split()[:3] for line in lines[:3]] == [
        ["ingest", "corrupt", "4"],
        ["ingest", "ok", "3"],
        ["manifest", "bad_id", "1"],
    ]
    assert lines[4] == "ingest: bad0 (line 2): corrupt: at 1.2 s"
    assert lines[-1] == "manifest: ? (line 9): bad_id: ''"
    short = CliRunner().invoke(cli, [*arguments, "--limit", "2"], catch_exceptions=False).output.splitlines()
    assert short[-1] == "... 3 more: --limit 0 shows all"
    assert CliRunner().invoke(cli, [*arguments, "--limit", "0"]).output.splitlines() == lines
