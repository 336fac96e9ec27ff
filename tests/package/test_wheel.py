"""The wheel, installed into a fresh environment, works in a folder that has nothing to do with the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

# fixtures: tiny models, tiny judges, a silent video
from tests.cafa.cli.test_evaluate import miniature  # noqa: F401
from tests.cafa.generation.test_foley import WINDOW, make_video, models  # noqa: F401
from tests.evaluation_clips import write_video, write_wav

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # from the files of the repository alone: an older build folder would be packed too
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if name.startswith(("cafa/", "metrics/")) or "/" not in name:
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_file():
                path.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def run(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a program of the fresh environment in an empty folder; requirements are the ones of this environment."""
    folder = tmp_path_factory.mktemp("fresh")
    # a search path would lead to the checkout
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CAFA_"))}
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(command, check=True, cwd=folder, env=environment)
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    # a line of a .pth file adds the folder alone, not the editable installs that are listed there
    (site / "requirements.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()

    def started(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(python.with_name(program)), *map(str, arguments)]
        return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)

    return started


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_packed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    listed = subprocess.run(
        ["git", "ls-files", "cafa", "metrics"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()} - packed == set()
    assert {name.split("/")[0] for name in packed if ".dist-info" not in name} == {"cafa", "metrics"}


def test_imports_are_those_of_the_wheel(run: Run) -> None:
    code = (
        "import cafa, metrics, sys; assert cafa.__file__.startswith(sys.prefix), cafa.__file__\n"
        "assert metrics.__file__.startswith(sys.prefix), metrics.__file__\n"
        "print(metrics.frechet_distance([[0.0], [2.0]], [[1.0], [3.0]]).value)"
    )
    assert float(succeeded(run("python", "-c", code))) == pytest.approx(1)


def test_command_line(run: Run) -> None:
    assert "evaluate" in succeeded(run("cafa", "--help"))
    assert "Usage" in succeeded(run("cafa", "stages", "--help"))
    code = "from cafa.common.stages import stage_version; print(stage_version('ingest'))"
    succeeded(run("python", "-c", code))


def test_parity_without_arrays_says_where_they_are(run: Run) -> None:
    code = "from cafa.parity.golden_folder import golden_folder; golden_folder('generator')"
    done = run("python", "-c", code)
    assert done.returncode == 1
    assert "tests/golden of the repository" in done.stderr


def test_generate(run: Run, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    video = request.getfixturevalue("make_video")(WINDOW)
    folder = tmp_path / "results"
    succeeded(
        run(
            "cafa",
            "generate",
            video,
            "--prompt",
            "a dog",
            "--models",
            request.getfixturevalue("models"),
            "--steps",
            2,
            "--output-folder",
            folder,
        )
    )
    assert [len(list(folder.glob(f"*.{suffix}"))) for suffix in ("wav", "mp4")] == [1, 1]


def test_evaluate(run: Run, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    judges = request.getfixturevalue("miniature")
    names = ["one", "two", "three"]
    for number, name in enumerate(names):
        write_video(tmp_path / "reference" / f"{name}.mp4", number, 2.4)
        write_wav(tmp_path / "ours" / f"{name}.wav", 100 + number, 2.4)
    prompts = pd.DataFrame({"clip_id": names, "caption": ["a dog", "a cat", "rain"], "own_caption": ["drums"] * 3})
    prompts.to_csv(tmp_path / "prompts.csv", index=False)
    succeeded(
        run(
            "cafa",
            "evaluate",
            "--reference",
            tmp_path / "reference",
            "--samples",
            tmp_path / "ours",
            "--prompts",
            tmp_path / "prompts.csv",
            "--output",
            tmp_path / "out",
            "--resamples",
            100,
            "--judges",
            "miniature",
            "--weights",
            judges,
            "--check",
            judges / "judges.json",
            "--inception-splits",
            1,
        )
    )
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert table["system"].tolist() == ["ours"]
    assert table["FAD"].notna().all()
