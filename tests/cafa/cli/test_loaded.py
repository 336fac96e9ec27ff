"""What a command imports when it is called is behind its stage: checked by calling it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cafa.common.stages import BESIDE_RESULTS, PACKAGES, STAGES, code_behind

#: how a command ends, and how often garbage is looked for, whichever command it is
OF_THE_PROGRAM = {"cafa.common.collection", "cafa.common.signals"}
PROGRAM = """
import json, sys
from cafa.cli import main
try:
    main()
finally:
    print("LOADED " + json.dumps(sorted(sys.modules)))
"""
CLIPS = "clip_id,uri,split,label,caption,licence\nc1,c1.mp4,test,dog,a dog barks,CC0\n"


def imported(folder: Path, *arguments: str) -> set[str]:
    """Modules that a command has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("LOADED ")]
    return set(json.loads(line.removeprefix("LOADED ")))


def loaded(folder: Path, *arguments: str) -> set[str]:
    """Those of ours among them."""
    return {name for name in imported(folder, *arguments) if name.split(".")[0] in PACKAGES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loaded")
    (folder / "clips.csv").write_text(CLIPS)
    loaded(
        folder, "manifest", "--source", "clips.csv", "--root", ".", "--output", "m.parquet", "--refused", "r.parquet"
    )
    return folder


MANIFEST = ("manifest", "--source", "clips.csv", "--root", ".", "--output", "m2.parquet", "--refused", "r2.parquet")
TEXT = ("features", "text", "--manifest", "m.parquet", "--settings", "{}", "--output", "text.arrow")


@pytest.mark.parametrize(("stage", "arguments"), [("manifest", MANIFEST), ("features_text", TEXT)])
def test_everything_that_is_imported_counts(folder: Path, stage: str, arguments: tuple[str, ...]) -> None:
    assert any(" ".join(arguments).startswith(command) for command in STAGES[stage].functions)
    behind = {name.partition(":")[0] for name in code_behind(stage)}
    assert loaded(folder, *arguments) - BESIDE_RESULTS - behind == OF_THE_PROGRAM


def test_the_miniatures_captions_need_no_torch(folder: Path) -> None:
    """A job of less than a second, of which importing torch would be two more."""
    assert "torch" not in imported(folder, *TEXT)
    assert (folder / "text.arrow").stat().st_size > 0
