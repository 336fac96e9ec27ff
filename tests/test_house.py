"""Rules of the house that a machine can check."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cafa", "metrics")
MAX_LINES, MAX_FUNCTION_LINES = 400, 65

#: what `metrics` may use of `cafa`: files and words, never a model of the generator
METRICS_MAY_IMPORT = {
    "cafa.checkpoint", "cafa.checkpoint_reader", "cafa.errors", "cafa.files", "cafa.folder_lock", "cafa.journal",
    "cafa.ledger", "cafa.manifest", "cafa.media", "cafa.progress", "cafa.provenance", "cafa.reading_lists",
    "cafa.resume", "cafa.seeds", "cafa.shards", "cafa.stages", "cafa.store", "cafa.training.loop",
    "cafa.training.loop_settings",
}  # fmt: skip
#: what `cafa` outside its command line may use of `metrics`: the visual encoder that both need has one owner, and the
#: proofs of equality of both libraries have one kind of row and one rule of weights
CAFA_MAY_IMPORT = {"metrics", "metrics.encoders", "metrics.parity", "metrics.parity_weights"}
WORKFLOW_PACKAGES = {"snakemake", "workflow"}


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; name the module in full"
            yield node.module or ""


def is_within(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def wrong_imports(path: Path, package: str) -> list[str]:
    wrong = [name for name in imports_of(path) if name.split(".")[0] in WORKFLOW_PACKAGES]
    if package == "metrics":
        foreign = [name for name in imports_of(path) if name.split(".")[0] == "cafa"]
        wrong += [name for name in foreign if not is_within(name, METRICS_MAY_IMPORT)]
    elif path.parent != ROOT / "cafa" / "cli":
        foreign = [name for name in imports_of(path) if name.split(".")[0] == "metrics"]
        wrong += [name for name in foreign if name != "metrics" and not is_within(name, CAFA_MAY_IMPORT - {"metrics"})]
    return wrong


@pytest.mark.parametrize("package", PACKAGES)
def test_import_direction(package: str) -> None:
    wrong = {
        str(path.relative_to(ROOT)): names for path in python_files(package) if (names := wrong_imports(path, package))
    }
    assert not wrong


def test_import_direction_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("def f():\n    from cafa.generation import Generator\n")
    assert wrong_imports(path, "metrics") == ["cafa.generation"]
    path.write_text("import snakemake.utils\nfrom metrics.frechet import frechet_distance\n")
    assert wrong_imports(path, "cafa") == ["snakemake.utils", "metrics.frechet"]


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
