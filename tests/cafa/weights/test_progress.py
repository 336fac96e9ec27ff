"""A bar on a terminal, lines in a log; and the page that describes the command."""

import io
import re
import shlex
from pathlib import Path

import click
import pytest

from cafa.cli.weights import command
from cafa.weights import progress
from cafa.weights.progress import Bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    bars = Bars(lambda line: pytest.fail(line))
    with bars.bar("net", 1000) as bar, bars.bar("other", None) as second:
        bar.at(400)  # of an earlier run
        bar.at(1000)
        bar.note("waiting")
        bar.note("waiting")
        second.at(7)
        bar.checking()
        bar.at(100)
        assert (bar._bar.n, second._bar.n) == (100, 7)
        assert (bar._bar.pos, second._bar.pos) == (0, -1)
    text = terminal.getvalue()
    assert "net:  40%" in text or "net:   0%" in text
    assert "net (checking)" in text
    assert text.count("net: waiting") == 1
    bars.close()


def test_lines_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    said: list[str] = []
    with Bars(said.append).bar("net", 5_000_000) as bar:
        bar.at(1_000_000)
        assert said == []
        monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
        bar.at(2_500_000)
        bar.checking()
    assert said == ["net: 2.5 of 5.0 MB"]


def test_commands_of_the_page_are_understood() -> None:
    page = (Path(__file__).parents[3] / "docs/weights.md").read_text()
    lines = re.findall(r"^(?:\$ )?cafa weights (.*?)(?:\s+#.*)?$", page, re.MULTILINE)
    assert len(lines) >= 10
    for line in lines:
        name, *arguments = shlex.split(line)
        verb = command.commands[name]
        verb.make_context(name, arguments, parent=click.Context(command))
