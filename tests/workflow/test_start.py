"""What every start of Snakemake pays for: also each job of a cluster, which starts it twice."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAN = """
import sys
from snakemake.cli import main

sys.argv = ["snakemake", "--dry-run", "--quiet", "all", "--cores", "2", "--configfile", sys.argv[1]]
try:
    main()
except SystemExit as end:
    assert not end.code
print("heavy:", sorted({"torch", "diffusers", "transformers", "scipy.stats", "scipy.signal"} & sys.modules.keys()))
import cafa.common.stages
print("analysed:", cafa.common.stages._code_of.cache_info().misses)
"""


@pytest.mark.parametrize("config", ["test", "paper"])
def test_a_plan_imports_no_network_and_reads_no_code(config: str) -> None:
    command = [sys.executable, "-c", PLAN, f"config/{config}.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-2:] == ["heavy: []", "analysed: 0"]
