"""What a benchmark found: medians and spreads of its rounds, the machine, the versions; as JSON and as a table."""

import os
import platform
import re
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, ConfigDict

from benchmarks import THREADS
from benchmarks.rounds import Taken, Way
from cafa import __version__
from cafa.common.files import write_json

ROOT = Path(__file__).resolve().parents[1]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Spread(_Part):
    """Median, least and greatest of the rounds."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Spread of values, at least one."""
        return cls(median=statistics.median(values), least=min(values), greatest=max(values))


class Row(_Part):
    """What a way took.

    Attributes
    ----------
    seconds : tuple of float
        Of one unit, by round.
    median_seconds : float
    times_faster : Spread
        Of the ratio to the peer's seconds of the same round.
    peak_mb, gpu_peak_mb : float
        Largest memory of the way's process, imports included, and of the GPU.
    goal : str
        What the project aims at, in words.
    figures : dict of str to float
        Whatever else belongs to the way, by what it is called in the table.
    """

    way: str
    seconds: tuple[float, ...]
    median_seconds: float
    times_faster: Spread
    peak_mb: float | None = None
    gpu_peak_mb: float | None = None
    goal: str = ""
    figures: dict[str, float] = {}


class Comparison(_Part):
    """Ways of doing the same work.

    Attributes
    ----------
    title : str
    compared_with : str
        The peer's own way, in words; it is the first of `rows`.
    unit : str
        What the seconds are for: clip, step, ...
    clock : str
        Seconds of what: processor, or clock.
    note : str
        What was checked, or has to be known.
    """

    title: str
    compared_with: str
    unit: str
    clock: str
    rows: tuple[Row, ...]
    note: str = ""


class Machine(_Part):
    """Where it ran."""

    processor: str
    cores: int
    memory_gb: float
    gpu: str | None = None
    system: str


class Report(_Part):
    """One benchmark's JSON file.

    Attributes
    ----------
    settings : dict
        What decides the work, beyond `size`.
    threads : int
        Of arithmetic, per process.
    versions : dict
        Of python, the libraries and this project (`commit`: see :func:`commit`).
    """

    benchmark: str
    size: str
    device: str
    rounds: int
    settings: dict[str, Any]
    command: str
    date: str
    threads: int
    machine: Machine
    versions: dict[str, str]
    comparisons: tuple[Comparison, ...]


def row(
    way: Way, taken: Sequence[Taken], peer: Sequence[float], clock: str, goal: str = "", **figures: float | None
) -> Row:
    """Row of a way from what its turns took and the peer's seconds of the same rounds."""
    seconds = seconds_of(way, taken, clock)
    gpu = [turn.gpu_mb for turn in taken if turn.gpu_mb is not None]
    made = row_of(way.name, seconds, peer, goal, **figures)
    memory = {"peak_mb": max(turn.memory_mb for turn in taken), "gpu_peak_mb": max(gpu) if gpu else None}
    return made.model_copy(update=memory)


def row_of(name: str, seconds: Sequence[float], peer: Sequence[float], goal: str = "", **figures: float | None) -> Row:
    """Row of seconds by round, measured or put together from several ways, and the peer's of the same rounds."""
    ratios = [theirs / ours for theirs, ours in zip(peer, seconds, strict=True)]
    return Row(
        way=name,
        seconds=tuple(seconds),
        median_seconds=statistics.median(seconds),
        times_faster=Spread.of(ratios),
        goal=goal,
        figures={key: value for key, value in figures.items() if value is not None},
    )


def seconds_of(way: Way, taken: Sequence[Taken], clock: str) -> list[float]:
    """Seconds of one unit, by round."""
    return [getattr(turn, clock) / way.units for turn in taken]


def clock_of(device: str) -> str:
    """What is counted: the processor's time, which other programs do not take from; for a GPU the clock's."""
    return "processor" if device == "cpu" else "clock"


def machine() -> Machine:
    """This one."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(
        processor=_processor(),
        cores=cores,
        memory_gb=round(memory, 1),
        gpu=_gpu(),
        system=f"{platform.system()} {platform.machine()}",
    )


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", listed.read_text(), re.MULTILINE) if listed.is_file() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _gpu() -> str | None:
    import torch  # here, since a process that measures how long imports take begins with this module

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def versions() -> dict[str, str]:
    """Of what decides how fast it is."""
    found = {"python": platform.python_version(), "cafa": __version__}
    found |= {name: metadata.version(name) for name in ("torch", "numpy", "scipy", "diffusers", "transformers")}
    checked_out = commit(ROOT)
    return found | ({"commit": checked_out} if checked_out else {})


def commit(checkout: Path) -> str | None:
    """Short name of the commit, with ``-dirty`` if tracked files differ from it; None outside of a checkout of git.

    What the benchmarks write themselves does not count: the first one of a run would make the others' tree dirty.
    """

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=checkout, capture_output=True, text=True)

    named = git("rev-parse", "--short", "HEAD")
    if named.returncode != 0:
        return None
    written = (":(exclude)benchmarks/measured", ":(exclude)docs/benchmarks.md")
    changed = git("diff", "--quiet", "HEAD", "--", ".", *written).returncode != 0
    return named.stdout.strip() + ("-dirty" if changed else "")


def options(
    sizes: Sequence[str], gpu: bool = False, rounds: int = 5
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options that every benchmark has: --size, --rounds, --output, and --device where a GPU can be used."""
    taken = [
        click.option(
            "--size", type=click.Choice(list(sizes)), default="reduced", show_default=True, help="of the work"
        ),
        click.option("--rounds", type=click.IntRange(1), default=rounds, show_default=True, help="turns of each way"),
        click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="JSON file for the report"),
    ]
    if gpu:
        taken.append(click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True))

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(taken):
            function = option(function)
        return function

    return decorate


def command_line(benchmark: str) -> str:
    """The command that runs, as another person would type it: without --output and without paths of this machine."""
    context = click.get_current_context()
    words = ["python", "-m", f"benchmarks.{benchmark}"]
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
        if not given or parameter.name == "output":
            continue
        value = context.params[parameter.name or ""]
        words.append(parameter.opts[0])
        if not isinstance(value, bool):
            words.append("FOLDER" if isinstance(value, Path) else str(value))
    return " ".join(words)


def finish(
    benchmark: str,
    size: str,
    device: str,
    rounds: int,
    settings: Mapping[str, Any],
    comparisons: Sequence[Comparison],
    output: Path | None,
) -> Report:
    """Put a report together, print it, and write it if somewhere is named."""
    report = Report(
        benchmark=benchmark,
        size=size,
        device=device,
        rounds=rounds,
        settings=dict(settings),
        command=command_line(benchmark),
        date=date.today().isoformat(),
        threads=THREADS,
        machine=machine(),
        versions=versions(),
        comparisons=tuple(comparisons),
    )
    for comparison in report.comparisons:
        click.echo(f"\n{as_text(comparison)}")
    if output is not None:
        write_json(output, report.model_dump(mode="json", exclude_none=True))
    return report


def read_report(path: Path) -> Report:
    """A report from its file."""
    return Report.model_validate_json(path.read_text(encoding="utf-8"))


def as_text(comparison: Comparison) -> str:
    """Title, what is compared with, and the table of a comparison, in Markdown."""
    parts = [f"**{comparison.title}.** Compared with: {comparison.compared_with}.", "", table(comparison)]
    return "\n".join(parts + (["", comparison.note] if comparison.note else []))


def table(comparison: Comparison) -> str:
    """Rows of a comparison in Markdown; columns that no row has are left out."""
    of_what = "processor seconds" if comparison.clock == "processor" else "seconds"
    columns: dict[str, list[str]] = {
        "way": [row.way for row in comparison.rows],
        f"{of_what} per {comparison.unit}": [number(row.median_seconds) for row in comparison.rows],
        "times faster": [number(row.times_faster.median) for row in comparison.rows],
        "least to greatest": [
            f"{number(row.times_faster.least)} to {number(row.times_faster.greatest)}" for row in comparison.rows
        ],
        "peak memory, MB": [f"{row.peak_mb:.0f}" if row.peak_mb else "" for row in comparison.rows],
        "of the GPU, MB": [f"{row.gpu_peak_mb:.0f}" if row.gpu_peak_mb else "" for row in comparison.rows],
    }
    for name in dict.fromkeys(name for row in comparison.rows for name in row.figures):
        values = [row.figures.get(name) for row in comparison.rows]
        columns[name] = ["" if value is None else number(value) for value in values]
    columns["goal"] = [row.goal for row in comparison.rows]
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    lines = [list(shown), ["---" if name in ("way", "goal") else "--:" for name in shown]]
    lines += [list(cells) for cells in zip(*shown.values(), strict=True)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """Three digits that count, or all before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")
