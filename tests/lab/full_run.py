"""What a laboratory does with this project, from outside: weights and clips are put where they belong, and it runs.

    python -m tests.lab.full_run --cores 2                                   # everything: half an hour
    python -m tests.lab.full_run --cores 2 --table table1 --table table4     # every model and judge, two of the tables
    python -m tests.lab.full_run --small-classifier --preloaded ...          # the same in less time

A folder gets stand-ins of all weights in their published forms (tests/lab/weights.py), a few real clips in archives and
a folder, and a server on this machine gives the lists, the archives and a mirror in place of the internet, which
nothing can reach. Then `preflight` and config/paper.yaml run there, with an overlay that changes sizes, addresses and
folders alone (tests/lab/overlay.py), and what they made is checked (tests/lab/checks.py). Every model and judge is
registered by the digest in its table of weights. Weights are random, and training is two steps: no number means
anything.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.lab.checks import TABLES, check
from tests.lab.clips import write_clips, write_generations, write_lists
from tests.lab.overlay import overlay
from tests.lab.server import NO_INTERNET, Web, serving
from tests.lab.weights import make_all

ROOT = Path(__file__).resolve().parents[2]
#: what most jobs of this configuration import besides: that of a judge
CLAP = "transformers.models.clap.modeling_clap"
ARCHIVES = ("vggsound_00.tar.gz", "vggsound_01.tar")


def say(text: str) -> None:
    """A line of the log, with the seconds since the start of the process."""
    print(f"[lab {time.monotonic() - STARTED:6.0f} s] {text}", flush=True)


STARTED = time.monotonic()


def prepare(root: Path, web: Path, films: Path, full_panns: bool = True) -> tuple[dict[str, str], dict[str, Any]]:
    """Fill the folder of a laboratory and that of its web.

    Returns
    -------
    tuple
        SHA-256 of the lists by name; sizes of the judges' networks that are not the published ones.
    """
    root.mkdir(parents=True, exist_ok=True)
    if not (root / "config").exists():
        (root / "config").symlink_to(ROOT / "config")
    digests = write_lists(web / "lists")
    write_clips(root, web, films)
    write_generations(root / "published")
    return digests, make_all(root / "weights", full_panns)


def fetch_archives(root: Path, web: Web) -> None:
    """As `hf download` does: the archives as they are, into a folder."""
    (root / "archives").mkdir(exist_ok=True)
    for name in ARCHIVES:
        answer = httpx.get(f"{web.address}/archives/{name}", trust_env=False).raise_for_status()
        if not (place := root / "archives" / name).is_file() or place.read_bytes() != answer.content:
            place.write_bytes(answer.content)


def snakemake(root: Path, *arguments: str, config: dict[str, Any] | None = None, preloaded: bool = False) -> list[str]:
    """Command of a run in the laboratory's folder; with `config`, the overlay is written first.

    With `preloaded`, jobs are forked from a process that has imported the packages (tests/preloaded_jobs.py).
    """
    if config is not None:
        (root / "overlay.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    program = [str(Path(sys.executable).with_name("snakemake"))]
    return [
        *([sys.executable, "-m", "tests.preloaded_jobs", "--also", CLAP] if preloaded else program),
        *arguments,
        "--directory",
        str(root),
        "--configfile",
        str(ROOT / "config/paper.yaml"),
        str(root / "overlay.yaml"),
    ]


def environment() -> dict[str, str]:
    """What processes of a run are given: no internet."""
    return {**os.environ, **NO_INTERNET, "PYTHONPATH": str(ROOT)}


def run(root: Path, cores: int, arguments: Sequence[str], preloaded: bool = False) -> None:
    """Preflight, then everything (or what `arguments` say)."""
    for words in (["--cores", "1", "preflight"], ["--cores", str(cores), *arguments]):
        quiet = () if "--dry-run" in words else ("--quiet", "rules", "progress")
        command = snakemake(root, *words, *quiet, preloaded=preloaded and "preflight" not in words)
        say("snakemake " + " ".join(words))
        subprocess.run(command, cwd=ROOT, env=environment(), check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("CAFA_SHARED", ROOT.parent / "shared")))
    parser.add_argument("--folder", type=Path, help="where to run; kept. By default a temporary folder")
    parser.add_argument(
        "--port", type=int, default=0, help="of the server; to continue a run in a folder that was kept"
    )
    parser.add_argument(
        "--table", action="append", default=[], choices=TABLES, help="only this; may be repeated. Everything by default"
    )
    parser.add_argument("--small-classifier", action="store_true", help="PANNs, too, in small shapes")
    parser.add_argument(
        "--preloaded", action="store_true", help="jobs are forked from a process that has imported the packages"
    )
    parser.add_argument("arguments", nargs="*", help="of Snakemake, after --, in place of the whole run and its checks")
    options = parser.parse_args()
    if options.table and options.arguments:
        parser.error("--table and arguments after --: give results/paper/NAME.csv among the arguments")
    films = options.shared.resolve() / "clips/groundtruth"
    if not films.is_dir():
        raise SystemExit(f"no real clips at {films}: set CAFA_SHARED or --shared")
    with tempfile.TemporaryDirectory() as temporary:
        root = (options.folder or Path(temporary) / "lab").resolve()
        web_folder = root.with_name(f"{root.name}.web")
        say(f"stand-ins of weights, lists and clips in {root}")
        digests, sizes = prepare(root, web_folder, films, full_panns=not options.small_classifier)
        with serving(web_folder, options.port) as web:
            fetch_archives(root, web)
            snakemake(root, config=overlay(web.address, digests, sizes))
            targets = options.arguments or [f"results/paper/{name}.csv" for name in options.table]
            run(root, options.cores, targets, options.preloaded)
            say(f"{len(web.asked)} requests, all to {web.address}")
        if not options.arguments:
            check(root, web.asked, options.table)
            say("everything is as it must be")


if __name__ == "__main__":
    main()
