"""`cafa check`: what a run needs of this machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import settings_option, writable

if TYPE_CHECKING:
    from cafa.preflight.finding import Finding
    from cafa.preflight.machine import PreflightSettings


@click.command()
@settings_option("cafa.preflight.machine.PreflightSettings")
@click.option("--hash", "hashed", is_flag=True, help="compute the SHA-256 of large weights too: minutes for 30 GB")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    callback=writable,
    help="JSON file of the findings, written if there is no error",
)
def command(settings: str, hashed: bool, output: Path | None) -> None:
    """Look at everything that a run needs and say all that is wrong at once; code 1 if something will stop it."""
    from cafa.common.errors import InputError
    from cafa.common.files import write_json
    from cafa.preflight.machine import PreflightSettings, findings
    from cafa.preflight.weights import findings_of_models

    wanted = PreflightSettings.model_validate_json(settings)
    if wanted.weights_table is not None and not wanted.weights_table.is_file():
        raise InputError(f"there is no table of weights at {wanted.weights_table}")
    found = [
        *findings(wanted),
        *findings_of_models(wanted.models, wanted.weights_table, hashed=hashed),
        *_findings_of_judges(wanted, hashed),
    ]
    for finding in sorted(set(found)):
        click.echo(f"{finding.kind}: {finding.text}".replace("\n", "\n    "))
    if errors := sum(finding.kind == "error" for finding in set(found)):
        raise InputError(f"{errors} of these would stop the run")
    if output is not None:
        write_json(output, [finding._asdict() for finding in found])


def _findings_of_judges(wanted: "PreflightSettings", hashed: bool) -> "Iterator[Finding]":
    """What is wrong with the files of the judges."""
    if not wanted.judges:
        return
    from cafa.preflight.finding import Finding
    from cafa.preflight.weights import faults
    from metrics.judges.files import files_of_judges
    from metrics.judges.registry import PretrainedSettings

    for file in files_of_judges(wanted.judges, PretrainedSettings.model_validate(wanted.judge_settings)):
        if file.fault:
            yield Finding("error", f"judge {file.judge}: {file.fault}")
        else:
            yield from faults(f"judge {file.judge}", file.path, file.source, file.source.sha256, hashed=hashed)
