"""The wheel works outside a checkout: built, installed elsewhere, and used from another folder."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from tests.cafa.cli.test_evaluate import miniature as miniature
from tests.cafa.generation.conftest import registered_models as registered_models
from tests.cafa.generation.test_foley_pipeline import write_video
from tests.evaluation_clips import write_video as write_clip
from tests.evaluation_clips import write_wav

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's packages; the other packages are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("cafa", "metrics"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(site: Path, folder: Path, *words: object) -> str:
    """Run Python from another folder, with the wheel's packages before any other."""
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_the_wheel_that_is_imported_and_its_data_are_there(site: Path, tmp_path: Path) -> None:
    code = "import cafa, metrics; print(cafa.__file__, metrics.__file__, cafa.FoleyPipeline, metrics.frechet_distance)"
    assert run(site, tmp_path, "-c", code).count(str(site)) == 2
    assert "cafa_avclip" in run(site, tmp_path, "-m", "cafa", "weights", "list")
    stages = run(site, tmp_path, "-m", "cafa", "stages", "list")
    assert "make_table" in stages or "table" in stages
    assert (site / "metrics" / "study" / "page" / "vendor" / "LICENSE-jspsych.txt").exists()


def test_cafa_generate(site: Path, tmp_path: Path, registered_models: Path) -> None:
    write_video(tmp_path / "video.mp4")
    words = ["-m", "cafa", "generate", "video.mp4", "--prompt", "music", "--models", registered_models, "--steps", 2]
    run(site, tmp_path, *words, "--output-folder", "out")
    (sound,) = (tmp_path / "out").glob("*.wav")
    assert np.abs(soundfile.read(sound)[0]).max() > 0


def test_cafa_evaluate(site: Path, tmp_path: Path, miniature: Path) -> None:
    names = ["one", "two", "three"]
    for number, name in enumerate(names):
        write_clip(tmp_path / "reference" / f"{name}.mp4", number, 2.4)
        write_wav(tmp_path / "ours" / f"{name}.wav", 100 + number, 2.4)
    frame = pd.DataFrame({"clip_id": names, "caption": ["a dog", "a cat", "rain"], "own_caption": ["drums"] * 3})
    frame.to_csv(tmp_path / "prompts.csv", index=False)
    words = ["-m", "cafa", "evaluate", "--reference", "reference", "--samples", "ours", "--prompts", "prompts.csv"]
    words += ["--judges", "miniature", "--weights", miniature, "--check", miniature / "judges.json", "--output", "out"]
    run(site, tmp_path, *words, "--inception-splits", 1)
    assert pd.read_csv(tmp_path / "out" / "table.csv")["FAD"].notna().all()
    assert json.loads((tmp_path / "out" / "table.card.json").read_text())["n"] == 3
