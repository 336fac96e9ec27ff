"""`cafa parity`: proof that our models equal the published code."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click


@click.group()
def command() -> None:
    """Compare our models with arrays that the published code computed."""


def report(rows: Iterable, heading: str) -> None:
    """Print rows as they come; exit with status 1 if one failed or there was none."""
    click.echo(heading)
    failed = count = 0
    for row in rows:
        click.echo(row)
        count += 1
        failed += row.status == "FAIL"
    click.echo(f"{count} arrays, {failed} failed")
    if failed or not count:
        sys.exit(1)


@command.command()
@click.option(
    "--golden", "folder", required=True, help="folder of golden arrays (<name>.json with <name>.npz beside it)",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)  # fmt: skip
@click.option("--only", multiple=True, help="name of a pair of files; may be repeated [default: all]")
def generator(folder: Path, only: tuple[str, ...]) -> None:
    """Denoiser with adapter, sampler, autoencoder, conditioners and video features.

    A full-size denoiser, where the folder has one, takes about 11 GB of memory and several minutes on a CPU.
    """
    from cafa.parity import Row, check_generator

    report(check_generator(folder, only), Row.heading())
