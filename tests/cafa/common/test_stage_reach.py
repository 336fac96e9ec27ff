"""Whatever a command reaches is behind its stages: a change of any module, template or table makes another version."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from cafa.common import stages
from cafa.common.stage_table import NO_RESULTS, STAGES, Stage
from cafa.common.stages import BESIDE_RESULTS, PACKAGES, code_behind

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
#: command -> modules that it imports with the registry of models, and never calls
NEVER_CALLED = {"features text": ("cafa.models.encoders.synchformer", "cafa.models.encoders.clip")}
COMMANDS = sorted({command for stage in STAGES.values() for command in stage.functions})


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def changed(text: str) -> str:
    """The module with one more statement, at its end and in every function."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body.append(ast.parse("_one_more = 1").body[0])
    tree.body.append(ast.parse("_ONE_MORE = 1").body[0])
    return ast.unparse(tree)


@functools.cache
def digests() -> dict[str, str]:
    return {stage: stages.code_digest(stage) for stage in STAGES}


@functools.cache
def reached() -> dict[str, frozenset[str]]:
    """Modules, wholly or in part, and files of data behind each stage."""
    return {stage: frozenset(name.partition(":")[0] for name in code_behind(stage)) for stage in STAGES}


def reaching(name: str) -> set[str]:
    """Stages behind which a module, or a part of it, or a file of data is."""
    return {stage for stage, names in reached().items() if name in names}


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """To change what is read; what was computed before is computed anew, then and afterwards."""
    digests()
    reached()
    for cached in (stages._reached, stages.code_digest):
        cached.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    for cached in (stages._reached, stages.code_digest):
        cached.cache_clear()


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_a_statement_more_changes_every_stage_that_reaches_the_module(path: Path, other: pytest.MonkeyPatch) -> None:
    wanted, before, read = reaching(module_of(path)), digests(), stages._code_of
    analysed = functools.cache(functools.partial(stages._analysed, changed(path.read_text())))
    other.setattr(stages, "_code_of", lambda file, part: analysed(part) if file == path else read(file, part))
    assert {stage for stage in STAGES if stages.code_digest(stage) != before[stage]} == wanted


#: a study's page belongs to no stage: its command is asked for by a person
#: of a page or an export that a person asks for: no stage reads them
ASKED = {"study", "service", "published.yaml", "results.schema.json"}
DATA_FILES = [path for path in stages.data_files(ROOT) if not ASKED & set(path.parts)]


@pytest.mark.parametrize("path", DATA_FILES, ids=lambda path: path.name)
def test_a_byte_more_changes_every_stage_that_reads_the_file(path: Path, other: pytest.MonkeyPatch) -> None:
    name, before, read = str(path.relative_to(ROOT)), digests(), stages.sha256_file
    wanted = reaching(name)
    assert wanted
    other.setattr(stages, "sha256_file", lambda file: "0" * 64 if file == path else read(file))
    assert {stage for stage in STAGES if stages.code_digest(stage) != before[stage]} == wanted


@functools.cache
def graph() -> grimp.ImportGraph:
    """Who imports whom, by another program than ours."""
    found = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    for module in BESIDE_RESULTS & found.modules:
        found.remove_module(module)
    return found


def imported_by(root: str) -> set[str]:
    """Modules from which a stage function takes names that stand in its text."""
    module, _, function = root.partition(":")
    text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    tree = ast.parse(text)
    node = next(line for line in tree.body if isinstance(line, ast.FunctionDef) and line.name == function)
    words = set(re.findall(r"\w+", ast.get_source_segment(text, node) or ""))
    lines = [line for line in [*tree.body, *ast.walk(node)] if isinstance(line, ast.ImportFrom)]
    found = {
        name
        for line in lines
        for alias in line.names
        if (alias.asname or alias.name) in words
        for name in (line.module or "", f"{line.module}.{alias.name}")
    }
    return found & graph().modules


@pytest.mark.parametrize("command", COMMANDS)
def test_everything_that_a_command_imports_is_behind_one_of_its_stages(command: str) -> None:
    of_command = [stage for stage in STAGES if command in STAGES[stage].functions]
    behind = {name.partition(":")[0] for stage in of_command for name in code_behind(stage)}
    direct = imported_by(STAGES[of_command[0]].functions[command])
    assert direct or command == "train table"
    reached = direct.union(*(graph().find_upstream_modules(module) for module in direct))
    assert reached <= behind


@pytest.mark.parametrize("command", COMMANDS)
def test_what_one_stage_of_a_command_leaves_out_another_one_has(command: str, other: pytest.MonkeyPatch) -> None:
    of_command = [stage for stage in STAGES if command in STAGES[stage].functions]
    behind = {name for stage in of_command for name in code_behind(stage)}
    left_out = dict.fromkeys(NEVER_CALLED.get(command, ()), "never called")
    table = {of_command[0]: Stage(STAGES[of_command[0]].functions, without=left_out)}
    other.setattr(stages, "STAGES", table)
    stages._reached.cache_clear()
    assert code_behind(of_command[0]).keys() <= behind


def test_what_a_stage_leaves_out_exists_and_has_a_reason() -> None:
    for stage in STAGES.values():
        for name, why in stage.without.items():
            place = ROOT / name.replace(".", "/")
            assert place.is_dir() or place.with_suffix(".py").is_file(), name
            assert len(why.split()) > 3


def test_every_command_of_no_results_has_a_reason() -> None:
    assert all(len(aside.why.split()) > 4 for aside in NO_RESULTS.values())
