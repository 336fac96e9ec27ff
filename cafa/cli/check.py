"""`cafa check`: what a run needs of this machine."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import validated_settings, writable

if TYPE_CHECKING:
    from cafa.preflight.machine import PreflightSettings


@click.command()
@validated_settings("cafa.preflight.machine.PreflightSettings")
@click.option("--hash", "hashed", is_flag=True, help="compute the SHA-256 of large weights too: minutes for 30 GB")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    callback=writable,
    help="JSON file of the findings, written if there is no error",
)
def command(settings: "PreflightSettings", hashed: bool, output: Path | None) -> None:
    """Look at everything that a run needs and say all that is wrong at once; code 1 if something will stop it."""
    from cafa.preflight.check import check_machine
    from metrics.judges.named_files import files_of_named_judges

    check_machine(settings, files_of_named_judges, hashed=hashed, output=output)
