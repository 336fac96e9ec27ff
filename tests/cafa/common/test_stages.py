"""What counts as a change of the code behind a stage, and what results record."""

import ast
import functools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cafa.common import stages
from cafa.common.errors import CafaError
from cafa.common.normalised_code import digest_of_code, normalised
from cafa.common.stages import STAGES, code_behind

ROOT = Path(__file__).resolve().parents[3]
SOURCE = '''
"""A module."""

from pydantic import BaseModel, Field

import click


class Settings(BaseModel):
    """Settings."""

    steps: int = Field(3, gt=0, description="steps")


@click.option("--seed", default=1, help="the seed")
def work(values: list[int], scale: float = 2.0) -> float:
    """Work."""
    total: float = 0.0
    for value in progress(values, "work", len(values)):
        if value < 0:
            raise ClipError("negative", f"{value} is below zero")
        total += scale * value  # scaled
    print(f"done: {total}")
    click.echo("done")
    logger.info("done")
    warnings.warn("slow", stacklevel=2)
    assert total >= 0, "never below"
    return total
'''


def digest(source: str) -> str:
    return digest_of_code(normalised(ast.parse(source)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # scaled", "  # times the scale"),
        ('"""A module."""', '"""Another."""'),
        ('    """Settings."""\n', '    """Settings of the work, in words."""\n'),
        ('    """Work."""\n', ""),
        ("values: list[int]", "values: Sequence[int]"),
        (") -> float:", ") -> object:"),
        ("total: float = 0.0", "total = 0.0"),
        ('description="steps"', 'description="optimiser steps"'),
        ('help="the seed"', 'help="seed of everything"'),
        ('"work", len', '"working", len'),
        ('f"{value} is below zero"', 'f"{value} < 0 in {values}"'),
        ('f"done: {total}"', '"total", total'),
        ('echo("done")', 'echo("done", err=True)'),
        ('echo("done")', 'echo(", ".join(map(str, sorted(values))))'),
        ('info("done")', 'info("finished %s", total)'),
        ('"slow", stacklevel=2', '"very slow", stacklevel=3'),
        (', "never below"', ""),
        ("import click\n", "import click\nfrom typing import Any\n"),
        ("scale * value", "(scale\n            * value)"),
        ("if value < 0:", "if  value<0 :"),
    ],
)
def test_words_do_not_count(old: str, new: str) -> None:
    assert old in SOURCE
    assert digest(SOURCE.replace(old, new)) == digest(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("total: float = 0.0", "total: float = 1.0"),
        ("value < 0", "value <= 0"),
        ("total += scale", "total -= scale"),
        ("scale: float = 2.0", "scale: float = 2.5"),
        ("default=1", "default=2"),
        ('"--seed"', '"--base-seed"'),
        ("Field(3, gt=0", "Field(4, gt=0"),
        ("gt=0", "ge=0"),
        ("steps: int", "steps: float"),
        ('"negative"', '"below_zero"'),
        ("raise ClipError", "raise ValueError"),
        ("progress(values,", "progress(values[1:],"),
        ("total >= 0", "total > 0"),
        ("return total", "return -total"),
        ("import click", "from other import click"),
        ('print(f"done: {total}")', 'print(f"done: {total}", file=output)'),
        ('print(f"done: {total}")', "print(write(total))"),
        ('click.echo("done")', "click.echo(f'{len(values)} {encode(values)}')"),
    ],
)
def test_code_and_constants_count(old: str, new: str) -> None:
    assert old in SOURCE
    assert digest(SOURCE.replace(old, new)) != digest(SOURCE)


def test_constants_of_every_kind_are_told_apart() -> None:
    digests = [digest(f"x = {value}") for value in ("1", "1.0", "True", "'1'", "b'1'", "None", "...", "1j")]
    assert len(set(digests)) == len(digests)


def test_text_cut_over_lines_is_the_same_text() -> None:
    assert digest("x = f'a{b}cd'") == digest("x = (f'a{b}c'\n     'd')") == digest('x = f"a{b}cd"')


@pytest.mark.parametrize(
    ("stage", "modules"),
    [
        ("encode_text", ("cafa.models.tangoflux.backbone", "cafa.models.registry", "cafa.features.text_states")),
        (
            "features_latents",
            (
                "cafa.features.store",
                "cafa.models.encoders.miniature_autoencoder",
                "cafa.features.latents:encode_latents",
                "cafa.cli.features:latents",
                "cafa.cli.options",
            ),
        ),
        (
            "features_av_clip",
            (
                "cafa.features.store",
                "cafa.models.encoders.miniature_av_clip",
                "cafa.features.av_clip:encode_av_clip",
                "cafa.cli.features:av_clip",
            ),
        ),
        ("train_autoencoder", ("cafa.training.batches", "cafa.training.from_files:train_autoencoder_from_files")),
        ("check_judges", ("cafa.cli.judges:check", "cafa.media.mel", "cafa.world.controls")),
        ("samples_of_events", ("cafa.generation.rendered_sounds",)),
        ("samples", ("cafa.generation.generated_sounds", "cafa.generation.windows")),
        ("train_adapter", ("cafa.training.loop", "cafa.training.adapter", "cafa.features.store")),
        (
            "examples",
            (
                *(f"metrics/examples/{name}" for name in ("examples.html.jinja", "examples.css", "examples.js")),
                "metrics/examples/examples_state.js",
                *(f"metrics/results/{name}" for name in ("pages.css", "pages.js", "parts.html.jinja")),
            ),
        ),
        ("register_model", ("cafa/models/weights.tsv",)),
        ("register_judge", ("cafa/models/weights.tsv",)),
    ],
)
def test_stage_reaches_what_decides_its_results(stage: str, modules: tuple[str, ...]) -> None:
    assert set(modules) <= set(code_behind(stage))


def test_stage_leaves_out_what_others_do() -> None:
    assert "cafa.generation.generated_sounds" not in code_behind("samples_of_files")
    assert "metrics.embedding.published" not in code_behind("embed")
    assert not [
        name
        for name in code_behind("train_adapter")
        if name.startswith(("cafa.common.stages", "cafa.common.provenance"))
    ]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_found(stage: str) -> None:
    assert code_behind(stage)


def test_every_file_of_data_belongs_to_a_stage() -> None:
    reached = {name for stage in STAGES for name in code_behind(stage)}
    # but for pages of a study and of the demo, the form of an export and the list of published samples: a person asks
    # for their commands
    files = [path.relative_to(ROOT) for path in stages.data_files(ROOT)]
    asked = {"study", "service", "published.yaml", "results.schema.json"}
    assert {str(path) for path in files if not asked & set(path.parts)} <= reached


def test_unknown_stage_is_refused() -> None:
    with pytest.raises(CafaError, match="no stage 'nothing'"):
        code_behind("nothing")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages alone, recorded."""
    folder = tmp_path_factory.mktemp("recorded")
    for name in ("cafa", "metrics"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    assert cafa(folder, "record", "--all")[0] == 0
    return folder


@pytest.fixture
def copy(recorded: Path, tmp_path: Path) -> Path:
    """A copy of them that a test may change."""
    return shutil.copytree(recorded, tmp_path / "copy")


def cafa(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-c", "from cafa.cli import main; main()", "stages", *arguments]
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(folder), "PATH": ""}, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def test_check_names_what_changed_and_record_settles_it(copy: Path) -> None:
    code, said = cafa(copy, "check")
    assert code == 0, said
    file = copy / "metrics" / "functional" / "frechet.py"
    file.write_text(file.read_text() + "\n# a comment\n")
    assert cafa(copy, "check")[0] == 0
    file.write_text(file.read_text() + "\nANOTHER = 1\n")
    code, said = cafa(copy, "check")
    assert code == 1
    assert "\ntable: ~metrics.functional.frechet" in said
    assert "train_adapter" not in said
    assert "cafa stages record --new-results" in said
    known = json.loads((ROOT / "cafa" / "common" / "stages.json").read_text())
    assert cafa(copy, "record", "table")[1].strip() == f"table: v{known['table']['version']}"
    code, said = cafa(copy, "check")
    assert code == 1  # others use it as well
    assert "\ntable:" not in said
    assert "evaluate: ~metrics.functional.frechet" in said
    raised = [
        word
        for name in ("score", "figure", "conflict", "examples", "evaluate", "parity")
        for word in (f"{name}:", f"v{known[name]['version'] + 1}")
    ]
    assert cafa(copy, "record", "--all", "--new-results")[1].split() == raised
    assert cafa(copy, "check")[0] == 0


def test_a_template_counts(copy: Path) -> None:
    file = copy / "metrics" / "examples" / "examples.html.jinja"
    file.write_text(file.read_text().replace("<body", "<body id='x'"))
    assert "examples: ~metrics/examples/examples.html.jinja" in cafa(copy, "check")[1]


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Versions of the code alone, and a place for another record."""
    stages.forget_versions()
    monkeypatch.setattr(stages, "COMPUTING", frozenset())
    monkeypatch.setattr(stages, "plugins_digest", lambda: None)
    yield monkeypatch
    monkeypatch.undo()
    stages.forget_versions()


def test_version_is_the_recorded_one_or_the_digest(no_packages: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "stages.json"
    no_packages.setattr(stages, "RECORD", path)
    path.write_text("{}")
    assert stages.stage_version("figure") == stages.code_digest("figure")
    assert stages.changed_code("figure") == ["never recorded"]
    assert stages.record(["figure"], new_results=False) == {"figure": 1}
    assert stages.stage_version("figure") == "v1"
    assert stages.record(["figure"], new_results=True) == {"figure": 2}
    assert stages.stage_version("figure") == "v2"
    known = json.loads(path.read_text())
    known["figure"]["code"] = "0" * 16
    path.write_text(json.dumps(known))
    stages.forget_versions()
    assert stages.stage_version("figure") == stages.code_digest("figure")


def test_a_package_that_is_no_longer_used_stays_in_the_version_until_it_is_raised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "stages.json"
    monkeypatch.setattr(stages, "RECORD", path)
    monkeypatch.setattr(stages, "is_as_recorded", functools.cache(lambda: False))
    path.write_text("{}")
    stages.forget_versions()
    stages.record(["figure"], new_results=False)
    known = json.loads(path.read_text())
    assert "soxr" not in known["figure"]["packages"]
    known["figure"]["packages"].append("soxr")
    path.write_text(json.dumps(known))
    stages.forget_versions()
    stages.record(["figure"], new_results=False)
    assert "soxr-" in stages.stage_version("figure")
    stages.record(["figure"], new_results=True)
    assert "soxr-" not in stages.stage_version("figure")
    monkeypatch.undo()
    stages.forget_versions()


def test_these_very_files_are_recorded() -> None:
    """Otherwise every start of the workflow analyses all code: seconds that a user of a release should not pay."""
    stages.forget_versions()
    assert stages.is_as_recorded(), (
        "a file of cafa or metrics changed, if only by a comment: run `cafa stages record --all`"
    )


def test_versions_are_the_same_with_and_without_the_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    stages.forget_versions()
    quick = {stage: stages.stage_version(stage) for stage in STAGES}
    assert stages._code_of.cache_info().misses == 0
    stages.forget_versions()
    monkeypatch.setattr(stages, "is_as_recorded", functools.cache(lambda: False))
    assert {stage: stages.stage_version(stage) for stage in STAGES} == quick
    stages.forget_versions()


def test_nothing_is_analysed_while_all_files_are_the_recorded_ones() -> None:
    stages.forget_versions()
    assert [stage for stage in STAGES if stages.changed_code(stage)] == []
    names = {stage: stages.names_behind(stage) for stage in STAGES}
    assert stages._code_of.cache_info().misses == 0
    assert names == {stage: list(stages.code_behind(stage)) for stage in STAGES}
    stages.forget_versions()


def test_a_record_of_other_files_is_seen(copy: Path) -> None:
    record = copy / "cafa" / "common" / "stages.json"
    known = json.loads(record.read_text())
    known["figure"]["code"] = "0" * 16
    record.write_text(json.dumps(known))
    code, said = cafa(copy, "check")
    assert (code, said.count("figure")) == (1, 3)


def version_in(folder: Path) -> str:
    code = "from cafa.common.stages import stage_version; print(stage_version('table'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def test_one_byte_of_any_file_is_seen(copy: Path) -> None:
    known = version_in(copy)
    assert re.fullmatch(r"v\d+", known)
    file = copy / "metrics" / "functional" / "frechet.py"
    text = file.read_text()
    file.write_text(text + "\n# a comment\n")
    assert version_in(copy) == known
    file.write_text(text + "\nANOTHER = 1\n")
    assert re.fullmatch(r"[0-9a-f]{16}", other := version_in(copy))
    assert cafa(copy, "record", "score")[0] == 0  # one stage of several: the others are not recorded by that
    assert version_in(copy) == other
    file.write_text(text)
    assert version_in(copy) == known


@pytest.mark.parametrize("path", sorted((ROOT / "workflow" / "rules").rglob("*.smk")), ids=lambda path: path.name)
def test_rules_name_stages_and_no_modules(path: Path) -> None:
    text = path.read_text()
    assert set(re.findall(r'stage_version\("(\w+)"\)', text)) <= STAGES.keys()
    assert not re.search(r'code=.*"(cafa|metrics)\.', text)
