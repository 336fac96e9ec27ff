"""Processes that normalise: none beside the job for rendered clips, which hang no reader. No job is run here."""

import re
from pathlib import Path

import pytest
import yaml

from tests.snakemake_starts import snakemake

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("cores", "asked", "rendered", "own"), [(2, 1, 0, 1), (2, 2, 2, 2), (1, 4, 0, 1)], ids=["one", "two", "one core"]
)
def test_workers(tmp_path: Path, cores: int, asked: int, rendered: int, own: int) -> None:
    (tmp_path / "clips.csv").write_text("uri,duration,label\na.mp4,3.2,dog barking\n")
    mine = {"kind": "folder", "csv": str(tmp_path / "clips.csv"), "root": str(tmp_path), "shards": 1}
    mine["defaults"] = {"caption": "{label}", "split": "test"}
    change = {"datasets": {"mine": mine}, "ingest": {"workers": asked}}
    (tmp_path / "change.yaml").write_text(yaml.safe_dump(change))
    files = [str(tmp_path / f"results/clips/{name}/0.ledger.parquet") for name in ("world_test", "mine")]
    changed = ["--configfile", str(tmp_path / "change.yaml"), "--config", f"results={tmp_path / 'results'}"]
    done = snakemake("--dry-run", "--printshellcmds", "--cores", str(cores), *files, *changed, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    found = dict(re.findall(r"cafa ingest --manifest \S+/(\w+)\.parquet .* --workers (\d+) ", said))
    assert found == {"world_test": str(rendered), "mine": str(own)}
