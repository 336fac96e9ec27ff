"""The workflow used from another folder: named by `-s`, and as a module of another workflow."""

import os
from pathlib import Path

import pytest

from tests.snakemake_starts import snakemake

ROOT = Path(__file__).resolve().parents[2]

OTHER = """
configfile: "{root}/config/config.yaml"
configfile: "{root}/config/test.yaml"


module foley:
    snakefile:
        "{root}/workflow/Snakefile"
    config:
        {{**config, "results": "sounds"}}


use rule * from foley as foley_*


rule everything:
    default_target: True
    input:
        rules.foley_all.input,
"""


def dry_run(folder: Path, *arguments: str) -> str:
    """What a dry run in a folder prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    done = snakemake("--dry-run", "--cores", "2", *arguments, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def jobs_of(printed: str) -> dict[str, int]:
    """Rule -> number of jobs, of the table of a dry run."""
    lines = printed.partition("Job stats:")[2].splitlines()
    found = [line.split() for line in lines if len(line.split()) == 2 and line.split()[1].isdecimal()]
    return {
        name.removeprefix("foley_"): int(count)
        for name, count in found[: found.index(next(f for f in found if f[0] == "total"))]
    }


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Jobs of the reduced miniature where it lies."""
    results = tmp_path_factory.mktemp("own") / "results"
    return jobs_of(dry_run(ROOT, "--configfile", "config/test.yaml", "--config", f"results={results}"))


def test_from_another_folder(own: dict[str, int], tmp_path: Path) -> None:
    arguments = ("-s", str(ROOT / "workflow" / "Snakefile"), "--configfile", str(ROOT / "config" / "test.yaml"))
    found = jobs_of(dry_run(tmp_path, *arguments))
    assert found.pop("all") == own.pop("default", 1)
    own = {name: count for name, count in own.items() if name != "all"}
    assert found == own


def test_as_a_module(own: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(OTHER.format(root=ROOT))
    printed = dry_run(tmp_path)
    found = jobs_of(printed)
    assert found.pop("everything") == 1
    assert found == {name: count for name, count in own.items() if name not in ("all", "default")}
    assert "sounds/table1.csv" in printed


def test_a_plugin_that_is_not_there_stops_before_any_job(tmp_path: Path) -> None:
    configuration = tmp_path / "more.yaml"
    configuration.write_text("plugins: [no_such_module_of_mine]\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = snakemake("--dry-run", "--cores", "1", "--configfile", str(configuration), cwd=ROOT, env=environment)
    assert done.returncode != 0
    assert "no_such_module_of_mine" in done.stdout + done.stderr


def test_jobs_import_the_plugins(tmp_path: Path) -> None:
    (tmp_path / "my_plugin.py").write_text("LOADED = True\n")
    (tmp_path / "more.yaml").write_text("plugins: [my_plugin]\n")
    arguments = ("-s", str(ROOT / "workflow" / "Snakefile"), "--configfile", str(tmp_path / "more.yaml"))
    dry_run(tmp_path, *arguments)
