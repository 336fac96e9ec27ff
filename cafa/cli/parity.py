"""`cafa parity`: proof that our models equal the published code."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import writable

if TYPE_CHECKING:
    from cafa.parity.golden import ParityRow


@click.group()
def command() -> None:
    """Compare our models with arrays that the published code computed."""


def report(rows: Iterable["ParityRow"]) -> None:
    """Print rows as they come; exit with status 1 if one failed or there was none."""
    click.echo(f"{'array':<42}{'size':>9}{'max abs diff':>13}{'tolerance':>11}  ok")
    failed = count = 0
    for row in rows:
        click.echo(row)
        count += 1
        failed += not row.ok
    click.echo(f"{count} arrays, {failed} failed")
    if failed or not count:
        sys.exit(1)


golden = click.option(
    "--golden", "folder", required=True, help="folder of golden arrays",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)  # fmt: skip
only = click.option("--only", multiple=True, help="name of a file without suffix; may be repeated [default: all]")


@command.command()
@golden
@only
def generator(folder: Path, only: tuple[str, ...]) -> None:
    """Denoiser with adapter, sampler, autoencoder, conditioners and video features.

    A full-size denoiser, where the folder has one, comes last; it takes about 11 GB of memory and several minutes on
    a CPU.
    """
    from cafa.parity.check import check_generator

    report(check_generator(folder, only))


@command.command()
@golden
@only
def evaluators(folder: Path, only: tuple[str, ...]) -> None:
    """Networks and metrics that judge the sound."""
    from metrics.parity.check import check_evaluators

    report(check_evaluators(folder, only))


@command.command()
@click.option(
    "--folder", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="what the published packages left (workflow/scripts/witness.py)",
)  # fmt: skip
@click.option("--output", required=True, type=click.Path(path_type=Path), callback=writable, help="csv to write")
def witnesses(folder: Path, output: Path) -> None:
    """Judges beside the published packages, on the same clips and weights; the csv says what does not agree."""
    from metrics.parity.witnesses import write_parity

    rows = write_parity(folder, output)
    for row in rows:
        click.echo(
            f"{row.package:<24}{row.version:<14}{row.quantity:<22}{row.ours:>14.6g}{row.theirs:>14.6g}"
            f"{row.max_difference:>11.2e}  {row.ok}"
        )
    failed = [row.quantity for row in rows if row.ok == "no"]
    click.echo(f"DO NOT AGREE: {', '.join(failed)}" if failed else "all that was compared agrees")
