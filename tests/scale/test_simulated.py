"""The simulated run of the paper's configuration, with the first hundred clips of each list."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.scale.simulated import main


@pytest.mark.slow
def test_every_stage_of_the_paper_runs_on_stand_ins(shared: Path) -> None:
    # Of these two tables every kind of job has a part: all data sets, encoders, adapters and backbones.
    words = ["--shared", str(shared), "--most", "100", "--cores", "4", "--table", "table1", "--table", "table4"]
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "nothing left to do" in done.output
    assert re.search(r"for each of \d+ jobs: [\d.]+% of that; through SLURM [\d.]+%", done.output)
    rows = [line.split("|")[1].strip() for line in done.output.splitlines() if line.startswith("| cafa")]
    assert rows == ["cafa", "cafa_published", "cafa_gamma0", "cafa_gamma1"]
