"""Run the reduced miniature through a SLURM of one node, with three accidents, and compare it with a local run.

    python tests/cluster/slurm_run.py

While the workflow runs by `workflow/profiles/slurm`, one running job is cancelled, one is preempted by a job that is
more urgent, and one asks for too little memory and is killed for it. The run must end all the same, with the same
files. Needs root and, where SLURM is missing, Debian's packages; elsewhere it says why it was skipped (with --require
this is an error).
"""

import argparse
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from cluster import Cluster, install, said, why_not
from runs import ROOT, command, differences, digests, run

PROFILE = "workflow/profiles/slurm"
CONFIGS = ("config/test.yaml", "tests/cluster/config.yaml")
CANCELLED, PREEMPTED, STARVED = "train_av_clip", "train_backbone", "check_judges"
#: megabytes of the starved rule's first attempt: more than Snakemake in the job needs, less than torch does
TOO_LITTLE = 400
SUBMITTED = re.compile(r"Job (\d+) has been submitted with SLURM jobid (\d+) \(log: \S+?/rule_(\w+)/")


@dataclass
class Submission:
    """One job of the workflow handed to SLURM once: what SLURM says of it, and each of its ends."""

    job: int
    slurm_id: int
    rule: str
    facts: dict[str, str] = field(default_factory=dict)
    ends: list[dict[str, str]] = field(default_factory=list)

    @property
    def state(self) -> str:
        """How it ended, or was interrupted and then ended."""
        return " then ".join(end["JobState"] for end in self.ends)

    @property
    def memory(self) -> str:
        """Memory that SLURM granted."""
        return dict(part.split("=", 1) for part in self.facts["TRES"].split(","))["mem"]


def slurm_command(results: Path, logs: Path) -> list[str]:
    """Command of the run: the profile as it is, fewer jobs at once, and too little memory for one rule.

    An option on the command line replaces the profile's whole list, so the profile's resources are repeated. The
    miniature runs on CPUs, so the GPU that the rules would ask for with `device: cuda` is asked for here.
    """
    profile = yaml.safe_load((ROOT / PROFILE / "config.yaml").read_text())
    resources = [
        f"{rule}:{name}={value}" for rule, entry in profile["set-resources"].items() for name, value in entry.items()
    ]
    resources += [
        f"{rule}:gpu=1" for rule, entry in profile["set-resources"].items() if entry["slurm_partition"] == "gpu"
    ]
    base = command(results, CONFIGS, cores=1)
    at = base.index("--cores")
    return [
        *base[:at],
        *base[at + 2 :],
        "--workflow-profile",
        PROFILE,
        "--jobs",
        "4",
        "--slurm-logdir",
        str(logs),
        "--slurm-init-seconds-before-status-checks",
        "5",
        "--latency-wait",
        "10",
        "--set-resources",
        *resources,
        f"{STARVED}:mem_mb={TOO_LITTLE}*attempt",
    ]


def running(rule: str) -> int | None:
    """SLURM's id of the running job of a rule."""
    for line in said("squeue", "--noheader", "--states=RUNNING", "--format=%i|%k").splitlines():
        slurm_id, _, comment = line.partition("|")
        if re.fullmatch(rf"rule_{rule}(_wildcards_.*)?", comment):
            return int(slurm_id)
    return None


class Accidents:
    """What happens to jobs that are in the middle of their work, once each."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.cancelled: int | None = None
        self.preempted: int | None = None

    def happen(self) -> None:
        """Cause those whose moment has come: a training that has saved its state is under way."""
        if self.cancelled is None and (slurm_id := self._in_the_middle(CANCELLED, "av_clip")) is not None:
            said("scancel", str(slurm_id))
            self.cancelled = slurm_id
            print(f"cancelled SLURM job {slurm_id} ({CANCELLED})", flush=True)
        if self.preempted is None and (slurm_id := self._in_the_middle(PREEMPTED, "backbone")) is not None:
            options = ("--partition=urgent", "--gpus=2", "--mem=50", "--output=/dev/null")
            urgent = said("sbatch", "--parsable", *options, "--wrap", "sleep 2").strip()
            self.preempted = slurm_id
            print(f"SLURM job {urgent} takes both GPUs from {slurm_id} ({PREEMPTED})", flush=True)

    def _in_the_middle(self, rule: str, model: str) -> int | None:
        return running(rule) if (self.results / f"models/{model}/.resume/state.pt").exists() else None


def run_on_slurm(results: Path, folder: Path, minutes: float) -> tuple[Accidents, Path]:
    """Run the workflow on the cluster that is up, accidents included; its log."""
    folder.mkdir(parents=True)
    log, accidents = folder / "snakemake.log", Accidents(results)
    end = time.monotonic() + 60 * minutes
    with log.open("wb") as file:
        process = subprocess.Popen(
            slurm_command(results, folder / "logs"), cwd=ROOT, stdout=file, stderr=file, start_new_session=True
        )
        try:
            while process.poll() is None:
                if time.monotonic() > end:
                    raise SystemExit(f"not at its end after {minutes} minutes\n{tail(log)}")
                accidents.happen()
                time.sleep(0.2)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)  # its jobs are cancelled when the cluster is taken away
                process.wait()
    if process.returncode != 0:
        raise SystemExit(f"the run on SLURM failed\n{tail(log)}")
    return accidents, log


def tail(log: Path) -> str:
    """End of a log."""
    return log.read_text(errors="replace")[-6000:]


def fields(line: str) -> dict[str, str]:
    """``Name=value`` pairs of a line of SLURM's."""
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def read_submissions(log: str, jobs: str, ends: str) -> list[Submission]:
    """Every submission of Snakemake.

    Parameters
    ----------
    log : str
        Of Snakemake.
    jobs : str
        Of ``scontrol show jobs --oneliner``.
    ends : str
        What SLURM writes when a job ends or is requeued.
    """
    found = {int(m[2]): Submission(int(m[1]), int(m[2]), m[3]) for m in SUBMITTED.finditer(log)}
    for entry in map(fields, jobs.splitlines()):
        if int(entry.get("JobId", -1)) in found:
            found[int(entry["JobId"])].facts = entry
    for entry in map(fields, ends.splitlines()):
        if int(entry["JobId"]) in found:
            found[int(entry["JobId"])].ends.append(entry)
    return list(found.values())


def check(true: bool, what: str) -> None:
    """Stop with a reason."""
    if not true:
        raise SystemExit(f"FAILED: {what}")


def check_accidents(submissions: list[Submission], accidents: Accidents, logs: Path) -> None:
    """What was done to the jobs must have happened, and each of them must have come to a good end."""
    by_id = {submission.slurm_id: submission for submission in submissions}
    check(accidents.cancelled is not None, f"{CANCELLED} ended before it could be cancelled: give it more steps")
    check(accidents.preempted is not None, f"{PREEMPTED} ended before it could be preempted: give it more steps")
    cancelled, preempted = by_id[accidents.cancelled], by_id[accidents.preempted]
    check(cancelled.state.startswith("CANCELLED"), f"the cancelled job is {cancelled.state}")
    check(len(preempted.ends) == 2 and preempted.state.endswith("COMPLETED"), f"the preempted is {preempted.state}")
    starved = [submission for submission in submissions if submission.rule == STARVED]
    first_log = "".join(path.read_text() for path in logs.rglob(f"{starved[0].slurm_id}.log"))
    check("memory limit" in first_log, f"{STARVED} was not killed for its memory\n{first_log[-2000:]}")
    last = {submission.job: submission for submission in submissions}
    unfinished = [submission for submission in last.values() if not submission.state.endswith("COMPLETED")]
    check(not unfinished, f"not completed: {unfinished}")
    again = next(s for s in submissions if s.job == cancelled.job and s.slurm_id > cancelled.slurm_id)
    print(f"cancelled   {CANCELLED}: {cancelled.slurm_id} {cancelled.state}, again as {again.slurm_id} {again.state}")
    print(f"preempted   {PREEMPTED}: {preempted.slurm_id} {preempted.state}")
    memory = ", ".join(f"{s.slurm_id} with {s.memory} {s.state}" for s in starved)
    print(f"out of memory   {STARVED}: {memory}")


def check_gpus(submissions: list[Submission]) -> None:
    """Jobs of the partition `gpu` had one GPU each, others none, and no more than two ran at once."""
    with_gpu = [s for s in submissions if "TresPerJob" in s.facts]
    check(bool(with_gpu), "no job had a GPU")
    wrong = [s for s in submissions if (s.facts["Partition"] == "gpu") != (s.facts.get("TresPerJob") == "gres:gpu:1")]
    check(not wrong, f"GPUs and partitions do not agree: {wrong}")
    changes = sorted(
        change for s in with_gpu for end in s.ends for change in ((end["EndTime"], -1), (end["StartTime"], 1))
    )
    at_once = most = 0
    for _, change in changes:
        at_once += change
        most = max(most, at_once)
    check(most <= 2, f"{most} jobs shared two GPUs")
    print(f"{len(with_gpu)} submissions had a GPU, at most {most} at once")


def check_equal(local: Path, results: Path) -> None:
    """The run on SLURM made the same files as the local one."""
    different = differences(local, results)
    check(not different, f"{len(different)} files differ from the local run: {different[:20]}")
    files = digests(results)
    tables = [name for name in files if re.fullmatch(r"table\d\.csv", name)]
    print(f"{len(files)} files equal byte for byte to the local run's, among them {', '.join(tables)}")


def main() -> None:
    """Do as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--require", action="store_true", help="fail where SLURM cannot be set up")
    parser.add_argument("--cores", type=int, default=2, help="of the local run")
    parser.add_argument("--minutes", type=float, default=45, help="limit of the run on SLURM")
    parser.add_argument("--finished", type=Path, help="results of a local run of the same; otherwise one is made")
    parser.add_argument("--folder", type=Path, help="where everything goes, and stays; otherwise a temporary folder")
    arguments = parser.parse_args()
    if reason := why_not():
        print(f"skipped: {reason}")
        raise SystemExit(1 if arguments.require else 0)
    install()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        local = arguments.finished or folder / "local"
        begun = time.monotonic()
        if arguments.finished is None:
            run(local, CONFIGS, arguments.cores)
            print(f"local run: {time.monotonic() - begun:.0f} s", flush=True)
        begun = time.monotonic()
        with Cluster(folder / "slurm") as cluster:
            print(f"{said('slurmctld', '-V').strip()}, up after {time.monotonic() - begun:.0f} s", flush=True)
            accidents, log = run_on_slurm(folder / "results", folder / "run", arguments.minutes)
            jobs, ends = said("scontrol", "show", "jobs", "--oneliner"), cluster.finished_jobs.read_text()
        print(f"run on SLURM: {time.monotonic() - begun:.0f} s")
        submissions = read_submissions(log.read_text(), jobs, ends)
        counts = Counter(s.rule for s in submissions)
        print(f"{len({s.job for s in submissions})} jobs, {len(submissions)} submissions:")
        print(", ".join(f"{rule} {count}" for rule, count in counts.items()))
        check_accidents(submissions, accidents, folder / "run/logs")
        check_gpus(submissions)
        check_equal(local, folder / "results")


if __name__ == "__main__":
    main()
