"""Rules of the house that a machine can check."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.structure import numbers, read_structure

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cafa", "metrics")
MAX_LINES, MAX_FUNCTION_LINES = 400, 65


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def lint_imports(*options: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Check the contracts of pyproject.toml."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", *options]
    environment = {**os.environ, "PYTHONPATH": str(cwd)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_imports_go_one_way() -> None:
    done = lint_imports()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("cafa/media/sound.py", "import metrics.functional.frechet"),
        ("cafa/common/files.py", "from cafa.media import sound"),
        ("metrics/functional/kernel.py", "from metrics.judges import interface"),
        ("metrics/judges/media.py", "from cafa.generation import samples"),
        ("cafa/features/verify.py", "import snakemake"),
    ],
)
def test_wrong_imports_are_seen(tmp_path: Path, file: str, line: str) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / file).write_text((tmp_path / file).read_text() + f"\n\ndef wrong():\n    {line}\n")
    done = lint_imports(cwd=tmp_path)
    assert done.returncode == 1
    assert f"{file.removesuffix('.py').replace('/', '.')} -> " in done.stdout


def test_no_arrow_back_up_and_no_circle() -> None:
    found = numbers(read_structure())
    wrong = {name: found[name] for name in ("arrows back up", "circles of rooms", "circles of files")}
    assert not any(wrong.values()), f"{wrong}: `python -m tests.structure` names them"


def test_types_of_every_script_are_checked() -> None:
    checked = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    folders = {path.parent for path in python_files("cafa", "metrics", "benchmarks", "workflow")}
    assert not [folder for folder in folders if not any(folder.is_relative_to(ROOT / part) for part in checked)]


def test_modules_are_named_in_full() -> None:
    for path in python_files("cafa", "metrics", "tests", "workflow", "benchmarks"):
        relative = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom) and n.level]
        assert not relative, f"{path}: relative import; name the module in full"


def test_nobody_edits_the_search_path() -> None:
    files = python_files("cafa", "metrics", "tests", "benchmarks", "workflow") + sorted(ROOT.glob("workflow/**/*.smk"))
    needle = "sys" + ".path"
    assert not [str(path.relative_to(ROOT)) for path in files if needle in path.read_text()]


def test_files_and_functions_are_short() -> None:
    long = []
    for path in python_files("cafa", "metrics", "tests", "workflow"):
        text = path.read_text()
        if (lines := len(text.splitlines())) > MAX_LINES:
            long.append(f"{path.relative_to(ROOT)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno:
                doc = len((ast.get_docstring(node, clean=False) or "").splitlines())
                if (length := node.end_lineno - node.lineno + 1 - doc) > MAX_FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {length} lines")
    assert not long


def test_no_results_are_tracked() -> None:
    listed = subprocess.run(["git", "ls-files", "results", ".snakemake"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    assert listed.stdout.split() == ["results/.gitkeep"]


def test_no_path_of_a_machine_is_tracked() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    needles = tuple(f"/{name}/" for name in ("work/main", "home", "Users", "root"))
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_symlink() or not path.is_file() or path == Path(__file__):
            continue
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{name}: {needle}" for needle in needles if needle in text]
    assert not found
