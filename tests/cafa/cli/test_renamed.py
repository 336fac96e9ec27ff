"""What has another name now is refused with the new one, and is not offered."""

import pytest
from click.testing import CliRunner

from cafa.cli import cli

OPTIONS = [
    ("world plan", "--truth", "--event-times"),
    ("samples make", "--truth", "--event-times"),
    ("judges check", "--truth", "--event-times"),
    ("judges canary", "--truth", "--reference-embeddings"),
    ("embed samples", "--truth", "--reference-embeddings"),
    ("score", "--truth", "--reference-embeddings"),
    ("table", "--truth", "--reference-embeddings"),
]
COMMANDS = [("embed truth", "reference"), ("parity witnesses", "packages")]


@pytest.mark.parametrize(("command", "old", "new"), OPTIONS)
def test_an_old_option_is_refused_with_the_new_name(command: str, old: str, new: str) -> None:
    result = CliRunner().invoke(cli, [*command.split(), old, "x"])
    assert result.exit_code == 2
    assert f"{old} is now called {new}" in result.output
    shown = CliRunner().invoke(cli, [*command.split(), "--help"]).output
    assert new in shown
    assert f"{old} " not in shown


@pytest.mark.parametrize(("command", "new"), COMMANDS)
def test_an_old_command_is_refused_with_the_new_name(command: str, new: str) -> None:
    group, _, old = command.partition(" ")
    result = CliRunner().invoke(cli, [group, old, "--judges", "x", "--manifest", "y"])
    assert result.exit_code == 2
    assert f"the command {old} is now called {new}" in result.output
    shown = CliRunner().invoke(cli, [group, "--help"]).output
    assert f"  {new} " in shown
    assert f"  {old} " not in shown
