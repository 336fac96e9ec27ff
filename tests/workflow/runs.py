"""Run the workflow in a folder of its own, and compare what two runs made: for the scripts beside this file."""

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: files that must be equal byte for byte; ledgers and cards are left out because they hold times of the clock
EXACT = ("*.csv", "*.md", "*.svg", "*.safetensors", "*.arrow", "*.flac", "*.mp4", "prompts/*[!r].parquet")
TABLES_OF_VALUES = ("samples/*/*/*.parquet", "embeddings/**/*.parquet", "scores/**/*.parquet", "manifests/*.parquet")


def command(results: Path, configs: Sequence[str], cores: int, *, preloaded: bool = False) -> list[str]:
    """The command of a run, the same for the first start and for every later one.

    With `preloaded`, jobs are forked from a process that has imported the packages (tests/preloaded_jobs.py).
    """
    snakemake = [str(Path(sys.executable).with_name("snakemake"))]
    return [
        *([sys.executable, "-m", "tests.preloaded_jobs"] if preloaded else snakemake),
        "--cores",
        str(cores),
        "--configfile",
        *configs,
        "--config",
        f"results={results}",
    ]


def run(results: Path, configs: Sequence[str], cores: int, *, preloaded: bool = False) -> None:
    """Run to the end; an error of the workflow is shown and raised."""
    words = command(results, configs, cores, preloaded=preloaded)
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.stdout.write(done.stdout.decode(errors="replace")[-6000:])
        raise SystemExit(f"the run into {results} failed")


def digests(results: Path) -> dict[str, str]:
    """SHA-256 of every file that must not depend on how the run went, by its path below the results."""
    found = {
        path
        for pattern in (*EXACT, *TABLES_OF_VALUES)
        for path in (results.rglob(pattern) if "/" not in pattern else results.glob(pattern))
        if path.is_file()
        and "ledger" not in path.name
        and "refused" not in path.name
        and not any(part.startswith(".") for part in path.relative_to(results).parts)
    }
    return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(found)}


def differences(first: Path, second: Path, keep: Sequence[str] = ("",)) -> list[str]:
    """Files (below one of the prefixes `keep`) that are missing on one side or differ."""
    one, two = digests(first), digests(second)
    names = sorted(name for name in one.keys() | two.keys() if name.startswith(tuple(keep)))
    if not any(name.endswith(".csv") for name in names):
        raise SystemExit(f"no table in {first} and {second}: nothing was compared")
    return [name for name in names if one.get(name) != two.get(name)]
