"""A command looks for garbage among young objects as often as Python does, and more seldom among old ones."""

import gc
import sys
import weakref
from collections.abc import Iterator

import pytest

from cafa.cli import main
from cafa.common.collection import MIDDLE_COLLECTIONS


@pytest.fixture(autouse=True)
def _as_python_begins() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


class _Circle:
    def __init__(self) -> None:
        self.itself = self


def test_a_command_changes_the_third_threshold_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["cafa", "--version"])
    young, middle, _ = gc.get_threshold()
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert gc.get_threshold() == (young, middle, MIDDLE_COLLECTIONS)


def test_a_circle_of_young_objects_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["cafa", "--version"])
    with pytest.raises(SystemExit):
        main()
    watch = weakref.ref(_Circle())
    kept = [[] for _ in range(2 * gc.get_threshold()[0])]
    assert watch() is None
    assert kept
