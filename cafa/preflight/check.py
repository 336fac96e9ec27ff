"""`cafa check`: everything that a run needs of this machine, and all that is wrong at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from cafa.common.errors import InputError
from cafa.common.files import write_json
from cafa.common.weight_files import WeightSource, packaged_table
from cafa.preflight.finding import Finding
from cafa.preflight.machine import PreflightSettings, findings
from cafa.preflight.weights import faults, findings_of_models


class JudgeFile(Protocol):
    """A file that a judge is registered from."""

    @property
    def judge(self) -> str:
        """Whose file it is."""
        ...

    @property
    def path(self) -> Path:
        """Where it must be."""
        ...

    @property
    def source(self) -> WeightSource:
        """Its row of the table of weights."""
        ...

    @property
    def fault(self) -> str | None:
        """Why registration would refuse it."""
        ...


#: from names of judges, and the settings of their registration, to their files
JudgeFiles = Callable[[Sequence[str], Mapping[str, Any]], Iterable[JudgeFile]]


def check_machine(
    settings: PreflightSettings, judge_files: JudgeFiles, *, hashed: bool = False, output: Path | None = None
) -> None:
    """Look at everything that a run needs, and print all that is found.

    Parameters
    ----------
    settings : PreflightSettings
    judge_files : callable
        Gives the files of the judges, which this package does not know.
    hashed : bool
        Compute the SHA-256 of large weights too: minutes for 30 GB.
    output : path, optional
        JSON of the findings, written if there is no error.

    Raises
    ------
    InputError
        If something will stop the run, or there is no such table of weights.
    """
    if settings.weights_table is not None and not settings.weights_table.is_file():
        raise InputError(f"there is no table of weights at {settings.weights_table}")
    found = [
        *findings(settings),
        *findings_of_models(settings.models, settings.weights_table or packaged_table(), hashed=hashed),
        *_findings_of_judges(settings, judge_files, hashed),
    ]
    for finding in sorted(set(found)):
        print(f"{finding.kind}: {finding.text}".replace("\n", "\n    "))
    if not found:
        print(_all_is_there(settings))
    if errors := sum(finding.kind == "error" for finding in set(found)):
        raise InputError(f"{errors} of these would stop the run")
    if output is not None:
        write_json(output, [finding._asdict() for finding in found])


def _all_is_there(settings: PreflightSettings) -> str:
    """What was looked at, where nothing was found."""
    counts = {
        "paths": len(settings.paths),
        "lists": len(settings.lists),
        "models": len(settings.models),
        "judges": len(settings.judges),
        "sources of clips": sum(len(fetch.sources) for fetch in settings.fetch.values()),
        "packages": len(settings.packages),
        "rules": len(settings.jobs),
    }
    named = "".join(f"; {what}: {count}" for what, count in counts.items() if count)
    return f"nothing would stop the run; looked at: device {settings.device}, room in {settings.results}{named}"


def _findings_of_judges(settings: PreflightSettings, judge_files: JudgeFiles, hashed: bool) -> Iterator[Finding]:
    """What is wrong with the files of the judges."""
    if not settings.judges:
        return
    for file in judge_files(settings.judges, settings.judge_settings):
        if file.fault:
            yield Finding("error", f"judge {file.judge}: {file.fault}")
        else:
            yield from faults(f"judge {file.judge}", file.path, file.source, file.source.sha256, hashed=hashed)
