"""Kill a run at random moments, start the same command again each time, and compare with a run left alone.

    python tests/workflow/kill_and_resume.py --kills 10 --config config/test.yaml --cores 2

Every kill is SIGKILL to the whole process group: no handler runs, nothing is tidied up. The end must be the same files,
byte for byte: tables, samples, features, embeddings, scores, weights.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from runs import ROOT, command, differences, digests, run


class Moment(NamedTuple):
    """When to kill: so many seconds after a share of a start's jobs, in [0, 1], is done, on machines of any speed."""

    share: float
    seconds: float


def jobs_of(group: int) -> list[str]:
    """What the command line is doing in a process group: `train adapter`, `samples make --system cafa`..."""
    listed = subprocess.run(["ps", "-eo", "pgid=,args="], capture_output=True, text=True, check=True).stdout
    found = []
    for line in listed.splitlines():
        pgid, _, arguments = line.strip().partition(" ")
        if int(pgid) == group and (match := re.search(r"python\S*(?: -IS)? \S*/bin/cafa (.+)", arguments)):
            found.append(re.split(r" --(?!system)", match.group(1))[0])
    return sorted(found)


def share_done(log: Path) -> float:
    """Share of the jobs that this start had to do, in [0, 1], by its last line "k of n steps (p%) done"."""
    counted = re.findall(r"^(\d+) of (\d+) steps ", log.read_text(errors="replace"), re.MULTILINE)
    return int(counted[-1][0]) / int(counted[-1][1]) if counted else 0.0


def killed(results: Path, words: list[str], after: Moment, log: Path) -> list[str] | None:
    """Start the run, kill it at a moment; the jobs that were hit, or None if it had ended by then."""
    with log.open("wb") as file:
        process = subprocess.Popen(words, cwd=ROOT, stdout=file, stderr=file, start_new_session=True)
        while process.poll() is None and share_done(log) < after.share:
            time.sleep(0.2)
        try:
            code = process.wait(timeout=after.seconds)
        except subprocess.TimeoutExpired:
            hit = jobs_of(process.pid)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return hit
    if code != 0:
        print(log.read_text(errors="replace")[-6000:])
        raise SystemExit(f"the run into {results} failed instead of going on")
    return None


def kill_repeatedly(results: Path, arguments: argparse.Namespace) -> Counter[str]:
    """Kill as often as asked, at moments that together cover the run; count the jobs that were hit."""
    draw = random.Random(arguments.seed)
    hits: Counter[str] = Counter()
    results.mkdir(parents=True, exist_ok=True)
    words = command(results, [arguments.config], arguments.cores, preloaded=arguments.preloaded)
    for number in range(1, arguments.kills + 1):
        # of what is left; on the average as many jobs end before the first kill as between two, and after the last
        after = Moment(draw.uniform(0.0, 2.0 / (arguments.kills - number + 2)), draw.uniform(0.0, 3.0))
        hit = killed(results, words, after, results / ".log")
        if hit is None:
            print(f"the run ended before kill {number}")
            break
        print(f"kill {number} after {after.share:.0%} of the jobs, running: {', '.join(hit) or 'no job'}", flush=True)
        hits.update(hit or ["between jobs"])
    return hits


def main() -> None:
    """Do as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--config", default="config/test.yaml")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--finished", type=Path, help="results of a run left alone; otherwise one is made")
    parser.add_argument("--folder", type=Path, help="where the killed run goes; otherwise a temporary folder")
    parser.add_argument(
        "--preloaded",
        action="store_true",
        help="jobs of the killed run are forked from a process that has the packages",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["TMPDIR"] = temporary  # what killed processes leave goes with it
        whole = arguments.finished or Path(temporary) / "whole"
        if arguments.finished is None:
            begun = time.monotonic()
            run(whole, [arguments.config], arguments.cores)
            print(f"left alone: {time.monotonic() - begun:.0f} s, {len(digests(whole))} files to compare", flush=True)
        cut = arguments.folder or Path(temporary) / "cut"
        hits = kill_repeatedly(cut, arguments)
        run(cut, [arguments.config], arguments.cores, preloaded=arguments.preloaded)
        print("jobs hit: " + ", ".join(f"{name} x{count}" for name, count in sorted(hits.items())))
        if not hits:
            raise SystemExit("the run was never killed: nothing was tested; another --seed")
        if different := differences(whole, cut):
            raise SystemExit(f"{len(different)} files differ after {sum(hits.values())} hits: {different[:20]}")
        print(f"{len(digests(cut))} files equal byte for byte")


if __name__ == "__main__":
    main()
