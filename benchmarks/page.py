"""The figures of docs/benchmarks.md, made from the reports.

    python -m benchmarks.page

writes the part between the two marks again, from the JSON files in benchmarks/measured/.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import ROOT, Report, as_text, number, read_report
from cafa.common.files import atomic_write

PAGE = ROOT / "docs" / "benchmarks.md"
MEASURED = ROOT / "benchmarks" / "measured"
BEGIN, END = "<!-- figures: written by python -m benchmarks.page -->", "<!-- end of the figures -->"
#: Those that compare two ways of working, in the order of the page; and of these, those that a GPU can run.
COMPARING = ("training", "generation", "judges", "caching", "frechet", "starts")
ON_GPU = ("training", "generation", "caching")


def folder_of(size: str, device: str, measured: Path = MEASURED) -> Path:
    """Where the reports of a size and device are."""
    return measured / f"{size}_{device}"


def reports_in(folder: Path) -> list[Report]:
    """Reports of a folder, in the order of the page."""
    return [read_report(path) for name in COMPARING if (path := folder / f"{name}.json").is_file()]


def figures(measured: Path = MEASURED) -> str:
    """The generated part of the page."""
    reports = reports_in(folder_of("reduced", "cpu", measured))
    on_gpu = reports_in(folder_of("full", "cuda", measured))
    parts = ["## At a glance", "", summary(reports), "", "## One processor core, reduced size", "", *sections(reports)]
    parts += ["## One GPU, full size", ""]
    parts += sections(on_gpu) if on_gpu else ["**Not run here.** `python -m benchmarks --size full --device cuda`", ""]
    return "\n".join(parts)


def summary(reports: Sequence[Report]) -> str:
    """A row for everything that the project has a goal for."""
    lines = ["| what | way | times faster | least to greatest | goal |", "|---|---|--:|--:|---|"]
    for report in reports:
        for comparison in report.comparisons:
            for row in comparison.rows:
                if row.goal:
                    spread = row.times_faster
                    found = f"{number(spread.median)} | {number(spread.least)} to {number(spread.greatest)}"
                    lines.append(f"| {comparison.title} | {row.way} | {found} | {row.goal} |")
    return "\n".join(lines)


def sections(reports: Sequence[Report]) -> list[str]:
    """Tables of reports, with where and how each was measured."""
    parts = []
    for report in reports:
        parts += [f"### {report.benchmark.capitalize()}", "", f"`{report.command}`: {provenance(report)}", ""]
        for comparison in report.comparisons:
            parts += [as_text(comparison), ""]
    return parts


def provenance(report: Report) -> str:
    """Machine, versions and date in a sentence."""
    machine = report.machine
    named = ", ".join(f"{name} {version}" for name, version in sorted(report.versions.items()))
    gpu = f", {machine.gpu}" if machine.gpu else ""
    threads = "1 thread" if report.threads == 1 else f"{report.threads} threads"
    return (
        f"{report.rounds} rounds, {threads}, {report.date}; {machine.processor}, {machine.cores} cores, "
        f"{machine.memory_gb:.0f} GB{gpu}; {named}."
    )


def with_figures(page: str, text: str) -> str:
    """The page with another generated part."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN} and {END}")
    return f"{before}{begin}\n\n{text}\n{end}{after}"


def write_page(measured: Path = MEASURED, page: Path = PAGE) -> None:
    """Write the generated part of the page again."""
    text = with_figures(page.read_text(encoding="utf-8"), figures(measured))
    with atomic_write(page) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_page()
