"""A user's own clips, by following config/README.md to the letter."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.evaluation_clips import write_video
from tests.snakemake_starts import snakemake

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("Snakefile", "workflow", "config", "cafa", "metrics", "environment.yml")
GUIDE = (ROOT / "config" / "README.md").read_text(encoding="utf-8").partition("## Your own clips")[2]


def example(language: str) -> str:
    """The example of the guide in this language, without its indentation."""
    lines = re.search(rf"^   ```{language}\n(.*?)^   ```", GUIDE, re.MULTILINE | re.DOTALL)[1].splitlines()
    return "\n".join(line.removeprefix("   ") for line in lines) + "\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project in which the guide was followed."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    (tmp_path / "profiles").symlink_to("workflow/profiles")
    entry = yaml.safe_load(example("yaml"))["datasets"]["local"]
    table = tmp_path / entry["csv"]
    table.parent.mkdir()
    table.write_text(example("csv"))
    for number, uri in enumerate(pd.read_csv(table)["uri"]):
        write_video(tmp_path / entry["root"] / uri, number, 3.4)
    local = yaml.safe_load((tmp_path / "config" / "local.yaml").read_text())
    local["datasets"]["local"] = entry
    (tmp_path / "config" / "local.yaml").write_text(yaml.safe_dump(local, sort_keys=False))
    return tmp_path


def run_rules(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return snakemake(
        *("--cores", "1", *arguments, "--configfile", "config/test.yaml", "config/local.yaml"),
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
    )


def test_own_clips_as_the_guide_says(project: Path) -> None:
    planned = run_rules(project, "--dry-run")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "published" not in planned.stdout
    assert "local" in planned.stdout
    done = run_rules(project, "results/prompts/local.parquet")
    assert done.returncode == 0, done.stdout + done.stderr
    prompts = pd.read_parquet(project / "results" / "prompts" / "local.parquet")
    assert {(row.protocol, row.clip_id, row.caption) for row in prompts.itertuples()} == {
        ("matched", "yard", "dog barking"),
        ("matched", "workshop", "hammering nails"),
        ("cross", "yard", "hammering nails"),
        ("cross", "workshop", "dog barking"),
    }


def test_a_ledger_that_a_message_names_is_still_there(project: Path) -> None:
    shutil.rmtree(project / "my_clips" / "day one")
    (project / "my_clips" / "workshop.mov").write_bytes(b"nothing")
    failed = run_rules(project, "results/prompts/local.parquet")
    assert failed.returncode != 0
    said = failed.stdout + failed.stderr
    named = re.search(r"no prompt remains: 2 clips asked for, 2 excluded .*?cafa ledger (\S+)\)", said, re.DOTALL)
    assert named, said
    assert sorted(pd.read_parquet(project / named[1])["clip_id"]) == ["workshop", "yard"]
    (project / "my_clips" / "clips.csv").write_text("clip_id,uri,label\n..,x.mp4,dog\n")
    failed = run_rules(project, "results/manifests/local.parquet")
    named = re.search(r"can be used: 1 bad_id, e\.g\. line 2, .*?cafa ledger (\S+)\)", failed.stdout + failed.stderr)
    assert named, failed.stdout + failed.stderr
    assert (project / named[1]).is_file()


def test_no_home_is_needed(project: Path) -> None:
    (project / "file").write_text("")
    without = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("snakemake")), "--dry-run", "--cores", "1"],
        cwd=project,
        env={**without, "PYTHONPATH": str(project), "HOME": str(project / "file" / "home")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "This was a dry-run" in done.stdout + done.stderr
