"""Snakemake limits jobs per second only where it was told to: by itself its scheduler never ends looking."""

from pathlib import Path

import pytest

from tests.snakemake_starts import snakemake

RULES = Path(__file__).resolve().parents[2] / "workflow/rules/job_rate.smk"
LOOKS = """
from snakemake.scheduling.job_scheduler import JobScheduler

ask = JobScheduler._schedule_reevalutation
JobScheduler._schedule_reevalutation = lambda *given: print("another look") or ask(*given)
"""
JOBS = """
rule all:
    input: expand("made/{number}", number=range(4))

rule make:
    output: "made/{number}"
    shell: "touch {output}"
"""


def looks(folder: Path, rules: str, *options: str) -> int:
    """How often the scheduler of a run asked for another look at its jobs."""
    (folder / "Snakefile").write_text(LOOKS + rules + JOBS)
    done = snakemake("--cores", "1", *options, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((folder / "made").iterdir())) == 4
    return done.stdout.count("another look")


def test_no_look_is_ordered_unless_a_limit_is_set(tmp_path: Path) -> None:
    rules = f'include: "{RULES}"\nonstart:\n    start_jobs_as_they_come()\n'
    for name, options, expected in (("default", [], False), ("given", ["--max-jobs-per-timespan", "50/1s"], True)):
        (folder := tmp_path / name).mkdir()
        assert bool(looks(folder, rules, *options)) == expected, name


def test_snakemake_still_needs_it(tmp_path: Path) -> None:
    if not looks(tmp_path, ""):
        pytest.fail("this Snakemake orders no look by itself any more: workflow/rules/job_rate.smk can go")
