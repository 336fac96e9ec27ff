"""Unfinished work of another key, from the command line."""

import importlib
import os

import click
import pytest
from click.testing import CliRunner

from cafa.cli.options import resume_options
from cafa.common.resume import VARIABLE, ChangedError, differences, goes_on

#: commands that keep unfinished work
ASKING = (
    "train av-clip",
    "train backbone",
    "train adapter",
    "train joint",
    "features encode",
    "features media",
    "features text",
    "ingest",
    "samples make",
    "world render",
    "embed reference",
    "embed samples",
    "judges train",
    "evaluate",
)


def command_named(words: str) -> click.Command:
    verb, _, name = words.partition(" ")
    command = importlib.import_module(f"cafa.cli.{verb}").command
    return command.commands[name] if name else command


@pytest.mark.parametrize("words", ASKING)
@pytest.mark.parametrize(("option", "said"), [("--restart", "restart"), ("--resume-anyway", "resume")])
def test_commands_that_keep_unfinished_work_take_an_answer(words: str, option: str, said: str) -> None:
    command = command_named(words)
    options = {flag: parameter for parameter in command.params for flag in parameter.opts}
    assert options[option].flag_value == said


def asking() -> click.Command:
    def callback() -> None:
        click.echo(os.environ[VARIABLE])

    return click.command()(resume_options(callback))


@pytest.mark.parametrize(("given", "said"), [([], "stop"), (["--restart"], "restart"), (["--resume-anyway"], "resume")])
def test_the_option_is_the_answer(given: list[str], said: str) -> None:
    assert CliRunner().invoke(asking(), given).output.strip() == said


def test_both_answers_are_refused() -> None:
    done = CliRunner().invoke(asking(), ["--restart", "--resume-anyway"])
    assert done.exit_code == 2
    assert "either" in done.output


def test_differences_name_the_place_and_both_values() -> None:
    before = {"settings": {"loop": {"steps": 4, "rate": 0.1}, "old": 1}, "data": "0a", "betas": (1, 2)}
    now = {"settings": {"loop": {"steps": 8, "rate": 0.1}, "new": {}}, "data": "0b", "betas": [1, 2]}
    assert differences(before, now) == [
        'data: "0a" -> "0b"',
        "settings.loop.steps: 4 -> 8",
        "settings.new: none -> {}",
        "settings.old: 1 -> none",
    ]
    assert differences(now, now) == []


@pytest.mark.parametrize("name", ["version", "code"])
def test_work_that_names_no_packages_is_of_those_of_now(name: str) -> None:
    before, now = {name: "v2", "seed": 1}, {name: "v2 numpy-2.4 torch-2.13", "seed": 1}
    assert differences(before, now) == []
    assert goes_on("journal", before, now, "3 clips")
    assert f'{name}: "v1" -> "v2 numpy-2.4 torch-2.13"' in differences({name: "v1"}, now)
    assert differences({"model": "v2"}, {"model": "v2 numpy-2.4"}) != []


def test_another_package_is_named_and_nothing_is_lost() -> None:
    before, now = {"version": "v2 numpy-2.4 torch-2.13"}, {"version": "v2 numpy-2.4 torch-2.14"}
    with pytest.raises(ChangedError, match=r"torch-2\.13") as raised:
        goes_on("state.pt", before, now, "steps 900 of 4000, 3.2 hours")
    assert "torch-2.14" in str(raised.value)
    assert "--resume-anyway" in str(raised.value)
