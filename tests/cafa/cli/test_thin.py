"""The command line does no work of its own: a command parses, calls its stage function, and prints."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cafa.cli import VERBS
from cafa.common.stage_table import NO_RESULTS, STAGES, function_of
from cafa.common.stages import callback_of

ROOT = Path(__file__).resolve().parents[3]
#: what a callback may be made of, besides imports and its calls
PARTS = (ast.Name, ast.Constant, ast.Tuple, ast.Starred, ast.keyword, ast.expr_context)
#: commands whose stage function is still their callback
OWN_WORK: set[str] = set()


def commands() -> Iterator[str]:
    """Every command of the command line, in words."""
    for verb, module in VERBS.items():
        command = importlib.import_module(f"cafa.cli.{module}").command
        if isinstance(command, click.Group):
            yield from (f"{verb} {name}" for name, one in command.commands.items() if not one.hidden)
        else:
            yield verb


def faults(source: str, callback: str, function: str) -> list[str]:
    """What a callback does besides parsing, calling `function` (``module:name``) once, and printing."""
    module, _, name = function.partition(":")
    node = next(line for line in ast.parse(source).body if isinstance(line, ast.FunctionDef) and line.name == callback)
    found, called, as_imported = [], 0, set()
    for line in node.body:
        if isinstance(line, ast.ImportFrom):
            if line.module == module:
                as_imported |= {alias.asname or alias.name for alias in line.names if alias.name == name}
        elif isinstance(line, ast.Assign | ast.Expr) and not isinstance(line, ast.Import):
            for part in ast.walk(line.value):
                if isinstance(part, ast.Call):
                    said = ast.unparse(part.func)
                    called += said in as_imported
                    if said not in as_imported and said != "click.echo" and not said[:1].isupper():
                        found.append(f"calls {said}")
                elif isinstance(part, ast.Attribute):
                    if ast.unparse(part) != "click.echo":
                        found.append(f"reads {ast.unparse(part)}")
                elif not isinstance(part, PARTS):
                    found.append(f"has a {type(part).__name__}")
        else:
            found.append(f"has a {type(line).__name__}")
    if called != 1:
        found.append(f"calls {name} of {module} {called} times")
    return found


def test_every_command_is_in_the_table_or_makes_no_results() -> None:
    of_stages = {command for stage in STAGES.values() for command in stage.functions}
    assert not of_stages & NO_RESULTS.keys()
    assert sorted(commands()) == sorted(of_stages | NO_RESULTS.keys())


def test_every_command_has_one_stage_function() -> None:
    for command in commands():
        roots = {stage.functions[command] for stage in STAGES.values() if command in stage.functions}
        assert roots | {function_of(command)} == {function_of(command)}


@pytest.mark.parametrize("command", sorted(commands()))
def test_callbacks_are_found_and_stage_functions_exist(command: str) -> None:
    module, _, name = callback_of(ROOT, command).partition(":")
    callback = getattr(importlib.import_module(module), name)
    assert isinstance(callback, click.Command)
    assert callback.name == command.split()[-1] or " " not in command
    module, _, name = function_of(command).partition(":")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("command", sorted(set(commands()) - OWN_WORK))
def test_a_command_only_parses_and_calls(command: str) -> None:
    module, _, callback = callback_of(ROOT, command).partition(":")
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    assert faults(source, callback, function_of(command)) == []
    assert not function_of(command).startswith("cafa.cli.")


def test_commands_that_still_do_work_are_those_named_here() -> None:
    assert {command for command in commands() if function_of(command).startswith("cafa.cli.")} == OWN_WORK


GOOD = """
@click.command()
def command(path, steps):
    '''Words.'''
    from cafa.room import Settings, make as made

    settings = Settings(steps, (path, *steps))
    click.echo(made(settings, path=path), err=True)
"""


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("path=path)", "path=path)", None),
        ("(steps, (", "(read(steps), (", "calls read"),
        ("path=path)", "path=path.parent)", "reads path.parent"),
        ("path=path)", "path=[name for name in path])", "has a ListComp"),
        ("path=path)", "path=path + 1)", "has a BinOp"),
        ("path=path)", "path=path or None)", "has a BoolOp"),
        ("path=path)", "path=lambda: path)", "has a Lambda"),
        ("made(settings, path=path)", "settings", "calls make of cafa.room 0 times"),
        ("    settings =", "    made(path)\n    settings =", "calls make of cafa.room 2 times"),
        ("    settings =", "    for one in steps:\n        pass\n    settings =", "has a For"),
        ("    settings =", "    if steps:\n        return\n    settings =", "has a If"),
        ("    settings =", "    with open(path) as file:\n        pass\n    settings =", "has a With"),
        ("    settings =", "    steps += 1\n    settings =", "has a AugAssign"),
        ("    settings =", "    numpy.zeros(3)\n    settings =", "calls numpy.zeros"),
        ("from cafa.room", "from cafa.other", "calls made"),
    ],
)
def test_work_in_a_callback_is_found(old: str, new: str, fault: str | None) -> None:
    assert old in GOOD
    found = faults(GOOD.replace(old, new), "command", "cafa.room:make")
    assert found == [] if fault is None else fault in found
