"""Every command of docs/tutorial.md and every block of docs/python.md in a fresh clone; the files that come of it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from docs.generate import columns

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial.md"


def commands() -> list[str]:
    """The page's blocks of commands, in order."""
    return re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def git(*arguments: str, cwd: Path) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)


def repository(folder: Path) -> Path:
    """A repository whose only commit is the working tree, without results and environments."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target, follow_symlinks=False)
    git("init", "-q", cwd=folder)
    git("add", "-A", cwd=folder)
    git("commit", "-qm", "working tree", cwd=folder)
    return folder


def test_the_page_has_commands() -> None:
    text = "\n".join(commands())
    assert len(commands()) >= 6
    for verb in ("git clone", "make table1", "cafa generate", "cafa evaluate", "snakemake"):
        assert verb in text


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clone in which all commands of the page were run."""
    folder = tmp_path_factory.mktemp("tutorial")
    address = re.search(r"git clone (\S+)", commands()[0])[1]
    source = repository(folder / "source")
    # The environment that `make` would install is this one: the clone finds its programs, and its own code comes first.
    installed = (
        f"mkdir -p .venv && ln -s {Path(sys.executable).parent} .venv/bin && touch .venv/installed .venv/installed-test"
        " && export PYTHONPATH=$PWD"
    )
    first, *rest = commands()
    kept = os.environ.get("CAFA_KEEP_MINIATURE")  # what `make table1` made there, for the comparison with a killed run
    keep = f"cp -R results/tutorial {shlex.quote(kept)}" if kept else ""
    script = "\n".join(["set -euo pipefail", first.replace("cd cafa\n", f"cd cafa\n{installed}\n"), keep, *rest])
    environment = {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{source.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": address,
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return folder / "cafa"


@pytest.mark.slow
def test_every_command_works(tutorial: Path) -> None:
    table = pd.read_csv(tutorial / "results/tutorial/table1.csv").set_index("system")
    assert list(table.index) == ["cafa", "text_only", "clicks", "oracle"]
    assert table.loc["clicks", "n"] == table.loc["cafa", "n"] > 0
    judged = pd.read_csv(tutorial / "judged" / "table.csv").set_index("system")
    # The same sounds and judges give the same values, by either way.
    assert judged.loc["clicks", "CLAP"] == pytest.approx(table.loc["clicks", "CLAP"], abs=1e-4)
    assert {path.suffix for path in (tutorial / "dubbed").glob("[!.]*")} == {".json", ".mp4", ".wav"}
    assert (tutorial / "results" / "report.html").stat().st_size > 100_000


@pytest.mark.slow
def test_columns_of_the_files_are_described(tutorial: Path) -> None:
    described = {table["title"]: table for table in columns.tables()}
    seen = set()
    for root in (tutorial / "results" / "tutorial", tutorial / "judged"):
        for title, table in described.items():
            for path in matching(root, table["files"]):
                seen.add(title)
                wanted = expected(table, path)
                found = names_of(path)
                assert [name for name in found if name not in wanted] == [], f"{path}: not described"
                assert [n for n in wanted if n not in found and n not in table.get("optional", ())] == [], path
    # Of published data sets, of training costs, and what lies in no results:
    published = {"Fetched files", "VGGSounder's labels of test clips"}
    assert set(described) - seen == {*published, "Training costs: table5.csv", "Table of weights: weights.tsv"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "numbers",
    [(0, 1), (2,), (3,), (4,), (5,)],  # the second block goes on with the pipeline of the first
    ids=["pipeline_and_takes", "metric", "own_metric", "tables", "features"],
)
def test_the_code_of_the_python_page(tutorial: Path, numbers: tuple[int, ...]) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    video = tutorial / "results/tutorial/world/world_test/world_test-dog-barking-00000.mp4"
    shutil.copy(video, tutorial / "my_video.mp4")
    code = "\n".join(blocks[number] for number in numbers).replace("results/", "results/tutorial/")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tutorial,
        env={**os.environ, "PYTHONPATH": str(tutorial)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    if 0 in numbers:
        assert (tutorial / "new_sound.mp4").is_file()


def matching(root: Path, patterns: list[str]) -> list[Path]:
    """Files below a folder that the patterns take, without those that a pattern with ``!`` leaves out."""
    left_out = {path for pattern in patterns if pattern.startswith("!") for path in root.glob(pattern[1:])}
    taken = {path for pattern in patterns if not pattern.startswith("!") for path in root.glob(pattern)}
    return sorted(taken - left_out)


def expected(table: dict, path: Path) -> list[str]:
    """Columns that a file has by the page; M stands for every metric."""
    if not table.get("metrics"):
        return list(table["columns"])
    names = names_of(path)
    from metrics.tables.catalogue import METRICS

    return [
        name.replace("M", metric, 1) if re.fullmatch(r"M(_.*)?", name) else name
        for name in table["columns"]
        for metric in ([m for m in METRICS if m in names] if re.fullmatch(r"M(_.*)?", name) else [""])
    ]


def names_of(path: Path) -> list[str]:
    """Columns of a file."""
    if path.suffix == ".csv":
        return list(pd.read_csv(path, nrows=0).columns)
    if path.suffix == ".arrow":
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_file(source).schema.names
    return pq.read_schema(path).names
