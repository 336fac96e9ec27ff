"""A run with pretrained models looks at the machine before its first job, and at nothing that it does not need."""

from pathlib import Path

import pytest
import yaml

from tests.snakemake_starts import snakemake

ROOT = Path(__file__).resolve().parents[2]


def run(tmp_path: Path, *arguments: str) -> str:
    """What Snakemake says of the run that makes one model's card and one judge's."""
    results = tmp_path / "results"
    change = {
        "results": str(results),
        "device": "cpu",
        "pretrained": {
            "models": {"clip": {"source": str(tmp_path / "clip")}},
            "judges": {"weights": str(tmp_path)},
        },
    }
    (tmp_path / "change.yaml").write_text(yaml.safe_dump(change))
    done = snakemake(
        *("--cores", "2", "--keep-going"),
        str(results / "models/clip/card.json"),
        str(results / "models/judges/clap/card.json"),
        *("--directory", str(tmp_path), "--configfile"),
        str(ROOT / "config/config.yaml"),
        str(ROOT / "config/paper.yaml"),
        str(tmp_path / "change.yaml"),
        *arguments,
        cwd=ROOT,
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


@pytest.mark.slow
def test_all_that_a_run_lacks_is_said_before_its_first_job(tmp_path: Path) -> None:
    text = run(tmp_path)
    for missing in ("model clip: there is no folder", "merges.txt", "vocab.json", "esc_89.98.pt"):
        assert missing in text
    # other models, judges and data sets of the configuration are no part of this run
    for other in ("TangoFlux", "imagebind", "data/vggsound"):
        assert other not in text
    assert "Error in rule" not in text
    assert not list((tmp_path / "results").rglob("*.log"))
    assert "Error in rule register_model" in run(tmp_path, "--config", "check_first=warn")
