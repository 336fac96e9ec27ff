"""`cafa parity`: proof that our models equal the published code."""

from pathlib import Path

import click

from cafa.cli.options import writable
from cafa.cli.renamed import renamed_command


@click.group()
def command() -> None:
    """Compare our models with arrays that the published code computed."""


golden = click.option(
    "--golden",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="folder of golden arrays  [default: those of CAFA_GOLDEN, else of the checkout]",
)
only = click.option("--only", multiple=True, help="name of a file without suffix; may be repeated [default: all]")


@command.command()
@golden
@only
def generator(folder: Path | None, only: tuple[str, ...]) -> None:
    """Denoiser with adapter, sampler, autoencoder, conditioners and video features.

    A full-size denoiser, where the folder has one, comes last; it takes about 11 GB of memory and several minutes on
    a CPU.
    """
    from cafa.parity.report import report_generator

    click.echo(report_generator(folder, only))


@command.command()
@golden
@only
def evaluators(folder: Path | None, only: tuple[str, ...]) -> None:
    """Networks and metrics that judge the sound."""
    from metrics.parity.report import report_evaluators

    click.echo(report_evaluators(folder, only))


@command.command()
@click.option(
    "--folder",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="what the published packages left (workflow/scripts/reference.py)",
)
@click.option("--output", required=True, type=click.Path(path_type=Path), callback=writable, help="csv to write")
def packages(folder: Path, output: Path) -> None:
    """Judges beside the published packages, on the same clips and weights; the csv says what does not agree."""
    from metrics.parity.report import report_packages

    click.echo(report_packages(folder, output))


renamed_command(command, "witnesses", "packages")
