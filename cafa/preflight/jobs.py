"""What jobs ask for, compared with what the machine has, or with the partitions of SLURM that a profile names."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from cafa.common.gpus import visible_gpus
from cafa.preflight.finding import Finding

#: limits of a container, version 2 and version 1 of control groups
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


class JobNeeds(BaseModel):
    """The most that the jobs of one rule ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    memory_mb: int = Field(0, ge=0, description="megabytes of a job's first attempt")
    threads: int = Field(1, ge=1, description="CPUs")
    minutes: int = Field(0, ge=0, description="time limit")
    gpus: int = Field(0, ge=0, description="GPUs")
    partition: str | None = Field(None, description="partition of SLURM; null: the jobs run on this machine")


class Partition(NamedTuple):
    """A partition of SLURM: its time limit in minutes (None: no limit), and the largest node it has."""

    minutes: int | None
    memory_mb: int
    cpus: int
    gpus: int
    up: bool


def machine_megabytes() -> int:
    """Memory of this machine, or of the container that this process runs in."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in MEMORY_LIMITS:
        if file.is_file() and (text := file.read_text().strip()).isdecimal():
            sizes.append(int(text))
    return min(sizes) // 10**6


def findings_of_jobs(jobs: Sequence[JobNeeds]) -> Iterator[Finding]:
    """What the machine or the cluster cannot give.

    Parameters
    ----------
    jobs : sequence of JobNeeds

    Yields
    ------
    Finding
    """
    here = [job for job in jobs if job.partition is None]
    yield from _on_this_machine(here, machine_megabytes(), len(os.sched_getaffinity(0)))
    if there := [job for job in jobs if job.partition is not None]:
        yield from _on_slurm(there)


def _on_this_machine(jobs: Sequence[JobNeeds], memory_mb: int, cpus: int) -> Iterator[Finding]:
    if not jobs:
        return
    largest = max(jobs, key=lambda job: job.memory_mb)
    if largest.memory_mb > memory_mb:
        yield Finding(
            "warning",
            f"a job of {largest.rule} asks for {largest.memory_mb / 1000:.0f} GB of memory, and this machine has "
            f"{memory_mb / 1000:.0f} GB: it may be killed",
        )
    busiest = max(jobs, key=lambda job: job.threads)
    if busiest.threads > cpus:
        yield Finding(
            "warning", f"a job of {busiest.rule} uses {busiest.threads} CPUs, and this machine has {cpus}: it is slower"
        )
    hungriest = max(jobs, key=lambda job: job.gpus)
    if (names := visible_gpus()) and hungriest.gpus > len(names):
        yield Finding(
            "error",
            f"a job of {hungriest.rule} needs {hungriest.gpus} GPUs (`processes`), and {len(names)} are visible here",
        )


def _on_slurm(jobs: Sequence[JobNeeds]) -> Iterator[Finding]:
    if shutil.which("sinfo") is None:
        yield Finding("error", "jobs are for SLURM, and there is no `sinfo` here: start Snakemake where `sbatch` works")
        return
    words = ["sinfo", "--noheader", "--format=%R|%l|%m|%c|%G|%a"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        yield Finding("warning", "SLURM's `sinfo` did not answer within a minute: partitions are not checked")
        return
    if answer.returncode != 0:
        yield Finding("warning", f"partitions are not checked: sinfo says {answer.stderr.strip().splitlines()[-1:]}")
        return
    partitions = read_partitions(answer.stdout)
    for job in jobs:
        for name in str(job.partition).split(","):
            yield from _in_partition(job, name, partitions)


def read_partitions(text: str) -> dict[str, Partition]:
    """Partitions from lines of ``sinfo --format=%R|%l|%m|%c|%G|%a``: one line for each kind of node."""
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        name, limit, memory, cpus, gres, state = line.strip().split("|")
        gpus = sum(int(count) for count in re.findall(r"gpu(?::[^:,()]+)?:(\d+)", gres))
        numbers = [_first_number(value) for value in (memory, cpus)]
        before = found.get(name, Partition(None, 0, 0, 0, False))
        found[name] = Partition(
            minutes_of(limit),
            max(numbers[0], before.memory_mb),
            max(numbers[1], before.cpus),
            max(gpus, before.gpus),
            state == "up",
        )
    return found


def _first_number(value: str) -> int:
    """The number that a value begins with (``64000+`` where nodes differ); 0, unknown, for ``N/A`` or ``UNLIMITED``."""
    match = re.match(r"\d+", value)
    return int(match[0]) if match else 0


def minutes_of(limit: str) -> int | None:
    """Minutes of a time limit in SLURM's words (``1-12:00:00``, ``30:00``); None if there is no limit."""
    if not (match := re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)):
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return days * 1440 + hours * 60 + minutes + (seconds > 0)


def _in_partition(job: JobNeeds, name: str, partitions: Mapping[str, Partition]) -> Iterator[Finding]:
    if name not in partitions:
        known = ", ".join(sorted(partitions))
        yield Finding("error", f"{job.rule}: SLURM has no partition {name!r}, it has {known}: edit the profile")
        return
    partition = partitions[name]
    if not partition.up:
        yield Finding("warning", f"{job.rule}: the partition {name} is not up")
    if partition.minutes is not None and job.minutes > partition.minutes:
        yield Finding(
            "error",
            f"{job.rule} asks for {job.minutes} minutes, and the partition {name} allows {partition.minutes}: write "
            f"`runtime: {partition.minutes}` for it under `set-resources` of the profile (work that takes longer goes "
            "on in the next attempt: `retries`)",
        )
    for asked, most, what in (
        (job.memory_mb, partition.memory_mb or job.memory_mb, "MB of memory"),
        (job.threads, partition.cpus or job.threads, "CPUs"),
        (job.gpus, partition.gpus, "GPUs"),
    ):
        if asked > most:
            yield Finding(
                "error", f"{job.rule} asks for {asked} {what}, and the largest node of the partition {name} has {most}"
            )
