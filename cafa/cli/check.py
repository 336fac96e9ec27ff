"""`cafa check`: what a run needs of this machine."""

from pathlib import Path

import click

from cafa.cli.options import settings_option, writable


@click.command()
@settings_option("cafa.preflight.PreflightSettings")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    callback=writable,
    help="JSON file of the findings, written if there is no error",
)
def command(settings: str, output: Path | None) -> None:
    """Look at everything that a run needs and say all that is wrong at once; code 1 if something will stop it."""
    from cafa.errors import InputError
    from cafa.files import write_json
    from cafa.preflight import PreflightSettings, findings

    found = list(findings(PreflightSettings.model_validate_json(settings)))
    for finding in sorted(found):
        click.echo(f"{finding.kind}: {finding.text}")
    if errors := sum(finding.kind == "error" for finding in found):
        raise InputError(f"{errors} of these would stop the run")
    if output is not None:
        write_json(output, [finding._asdict() for finding in found])
