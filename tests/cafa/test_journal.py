"""The journal of an interrupted job."""

from pathlib import Path

from cafa.journal import Journal


def test_finished_items_are_there_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "journal"
    with Journal(path, "key") as journal:
        assert journal.done == {}
        journal.add("a", {"n": 1})
        journal.add("b", ["ü", None])
    with Journal(path, "key") as journal:
        assert journal.done == {"a": {"n": 1}, "b": ["ü", None]}
        journal.add("a", {"n": 2})
    with Journal(path, "key") as journal:
        assert journal.done["a"] == {"n": 2}


def test_a_line_cut_short_is_dropped(tmp_path: Path) -> None:
    """At every length that a kill may leave."""
    path = tmp_path / "journal"
    with Journal(path, "key") as journal:
        journal.add("a", 1)
        journal.add("b", 2)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with Journal(path, "key") as journal:
            assert journal.done in ({}, {"a": 1}, {"a": 1, "b": 2})
            kept = dict(journal.done)
            journal.add("c", 3)
        with Journal(path, "key") as journal:
            assert journal.done == {**kept, "c": 3}


def test_another_key_begins_anew(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal", "old") as journal:
        journal.add("a", 1)
    with Journal(tmp_path / "journal", "new") as journal:
        assert journal.done == {}
        journal.add("b", 1)
    with Journal(tmp_path / "journal", "old") as journal:
        assert journal.done == {}


def test_each_item_is_on_disk_before_the_next(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", "key")
    journal.add("a", 1)
    assert '["a", 1]\n' in (tmp_path / "journal").read_text()
    journal.close(remove=True)
    assert not (tmp_path / "journal").exists()
