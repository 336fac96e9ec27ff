"""`--settings` as JSON, or as a file; threads of a command."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner

from cafa.cli.options import object_option, settings_option, threads_option, validated_settings
from cafa.common.errors import InputError

MODEL = "cafa.features.encode.EncodeSettings"
GIVEN = {"seconds": 4.5, "workers": 0}
YAML = "seconds: 4.5  # of a clip\nworkers: 0\n"


def called(option, *arguments: str):
    kept = []

    @click.command()
    @option
    def command(settings) -> None:
        kept.append(settings)

    done = CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return kept[0]


@pytest.fixture(params=["text", "json", "yaml", "yml", "at"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "text":
        return json.dumps(GIVEN)
    path = tmp_path / f"settings.{request.param if request.param != 'at' else 'yaml'}"
    path.write_text(json.dumps(GIVEN) if request.param == "json" else YAML)
    return f"@{path}" if request.param == "at" else str(path)


def test_settings_come_as_json_or_from_a_file(given: str) -> None:
    assert json.loads(called(settings_option(MODEL), "--settings", given)) == GIVEN
    assert called(object_option("--settings", help="x"), "--settings", given) == GIVEN
    found = called(validated_settings(MODEL), "--settings", given)
    assert (found.seconds, found.workers, found.batch_size) == (4.5, 0, 4)


def test_without_settings_there_are_the_defaults() -> None:
    assert called(settings_option(MODEL)) == "{}"
    assert called(validated_settings(MODEL)).batch_size == 4
    assert called(validated_settings(MODEL, default=None)) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "--settings is not JSON"),
        ("[1]", r"--settings must be a JSON object, names with values, got \[1\]"),
        ("null", "must be a JSON object"),
        ("seconds=4", "--settings seconds=4: this is no JSON object, and there is no such file"),
        ("@none.yaml", r"@none\.yaml: this is no JSON object, and there is no such file"),
    ],
)
@pytest.mark.parametrize(
    "option", [settings_option(MODEL), validated_settings(MODEL), object_option("--settings", help="")]
)
def test_what_is_no_object_is_refused(option, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        called(option, "--settings", text)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "seconds: [", "a.yaml is not YAML"),
        ("a.yaml", "- 1", "a.yaml must be a JSON object"),
        ("a.json", "seconds: 1", "a.json is not JSON"),
        ("a.yaml", "seconds: -1", "a.yaml is not valid: seconds: Input should be greater than 0, got -1"),
        ("a.json", '{"second": 1}', "a.json is not valid: second: there is no such setting; did you mean seconds"),
    ],
)
def test_the_message_names_the_file(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        called(validated_settings(MODEL), "--settings", str(tmp_path / name))


def test_settings_on_the_command_line_that_are_not_valid_are_told_by_their_field() -> None:
    with pytest.raises(InputError, match=r"not valid: seconds: Input should be greater than 0, got -1$"):
        called(validated_settings(MODEL), "--settings", '{"seconds": -1}')


def test_a_real_command_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "wanted.yaml").write_text("packages: {no_such_package: plots}\nresults: results\n")
    command = [sys.executable, "-c", "from cafa.cli import main; main()", "check", "--settings", "wanted.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no_such_package" in done.stdout


def test_threads_are_set_for_the_call_alone() -> None:
    seen = []

    @click.command()
    @click.option("--first", default=1, callback=lambda ctx, param, value: seen.append(torch.get_num_threads()))
    @threads_option
    @click.option("--last", default=1, callback=lambda ctx, param, value: seen.append(torch.get_num_threads()))
    def command(first: int, last: int) -> None:
        seen.append(torch.get_num_threads())
        assert "threads" not in click.get_current_context().params
        raise InputError("an error")

    before = torch.get_num_threads()
    with pytest.raises(InputError):
        CliRunner().invoke(command, ["--threads", str(before + 2)], catch_exceptions=False)
    assert seen == [before, before, before + 2]
    assert torch.get_num_threads() == before
