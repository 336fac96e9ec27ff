"""The journal of an interrupted job."""

from pathlib import Path

import pytest

from cafa.common.errors import CafaError
from cafa.common.journal import Journal
from cafa.common.resume import VARIABLE, ChangedError, answer
from cafa.data.fetch.fetch_journal import KEY


def test_finished_items_are_there_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "journal"
    with Journal(path, {"key": 1}) as journal:
        assert journal.done == {}
        journal.add("a", {"n": 1})
        journal.add("b", ["ü", None])
    with Journal(path, {"key": 1}) as journal:
        assert journal.done == {"a": {"n": 1}, "b": ["ü", None]}
        journal.add("a", {"n": 2})
    with Journal(path, {"key": 1}) as journal:
        assert journal.done["a"] == {"n": 2}


def test_a_line_cut_short_is_dropped(tmp_path: Path) -> None:
    """At every length that a kill may leave."""
    path = tmp_path / "journal"
    with Journal(path, {"key": 1}) as journal:
        journal.add("a", 1)
        journal.add("b", 2)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with Journal(path, {"key": 1}) as journal:
            assert journal.done in ({}, {"a": 1}, {"a": 1, "b": 2})
            kept = dict(journal.done)
            journal.add("c", 3)
        with Journal(path, {"key": 1}) as journal:
            assert journal.done == {**kept, "c": 3}


OLD, NEW = {"settings": {"rate": 25, "size": 224}, "seed": 0}, {"settings": {"rate": 30, "size": 224}, "seed": 0}


def test_unfinished_items_of_another_key_are_not_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, OLD) as journal:
        journal.add("a", 1)
    before = path.read_bytes()
    with pytest.raises(ChangedError) as error:
        Journal(path, NEW)
    for said in ("1 items done", "\n  settings.rate: 25 -> 30\n", "--restart", "--resume-anyway", "on_changed="):
        assert said in str(error.value)
    assert "size" not in str(error.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("choice", "left"), [("restart", {}), ("resume", {"a": 1})])
def test_the_answer_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], choice: str, left: object
) -> None:
    path = tmp_path / "journal"
    with Journal(path, OLD) as journal:
        journal.add("a", 1)
    monkeypatch.setenv(VARIABLE, choice)
    with Journal(path, NEW) as journal:
        assert journal.done == left
    assert "settings.rate: 25 -> 30" in capsys.readouterr().out
    monkeypatch.delenv(VARIABLE)
    with Journal(path, NEW) as journal:
        assert journal.done == left


def test_a_finished_job_of_another_key_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, OLD) as journal:
        journal.add("a", 1)
        journal.finish()
    with Journal(path, OLD) as journal:
        assert journal.done == {"a": 1}
        journal.finish()
    with Journal(path, NEW) as journal:
        assert journal.done == {}


def test_nothing_done_is_no_question(tmp_path: Path) -> None:
    Journal(tmp_path / "journal", OLD).close()
    Journal(tmp_path / "journal", NEW).close()


def test_a_journal_that_does_not_name_its_key_asks(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text('{"key": null}\n["a", 1]\n')
    with pytest.raises(ChangedError, match="does not say what it was begun with"):
        Journal(path, NEW)


def test_an_answer_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "maybe")
    with pytest.raises(CafaError, match="must be one of stop, restart, resume"):
        answer()


def test_each_item_is_on_disk_before_the_next(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", {"key": 1})
    journal.add("a", 1)
    assert '["a", 1]\n' in (tmp_path / "journal").read_text()
    journal.close(remove=True)
    assert not (tmp_path / "journal").exists()


def test_journals_of_downloads_from_before_keys_had_parts_go_on(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text('{"key": "fetch 1"}\n["a", 1]\n')
    with Journal(path, KEY) as journal:
        assert journal.done == {"a": 1}
