"""``python -m benchmarks``: every benchmark that compares two ways of working, each in a process of its own."""

import subprocess
import sys
import time
from pathlib import Path

import click

from benchmarks.page import COMPARING, MEASURED, ON_GPU, folder_of, write_page


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(COMPARING))
@click.option("--size", type=click.Choice(["tiny", "reduced", "full"]), default="reduced", show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--rounds", type=click.IntRange(1), help="turns of each way  [default: the benchmark's own]")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="folder of the reports; without it they are written to benchmarks/measured/, and docs/benchmarks.md from them",
)
def main(names: tuple[str, ...], size: str, device: str, rounds: int | None, output: Path | None) -> None:
    """Run NAMES, or all: on the CPU those that compare two ways, with --device cuda those that a GPU can run."""
    offered = ON_GPU if device == "cuda" else COMPARING
    if missing := [name for name in names if name not in offered]:
        raise click.UsageError(f"not for a GPU: {', '.join(missing)}")
    folder = output or folder_of(size, device)
    failed = [name for name in names or offered if not run(name, size, device, rounds, folder)]
    if output is None:
        write_page()
        click.echo(f"\nreports: {MEASURED.name}/{folder.name}/; the page: docs/benchmarks.md")
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


def run(name: str, size: str, device: str, rounds: int | None, folder: Path) -> bool:
    """One benchmark; whether it went well."""
    words = [sys.executable, "-m", f"benchmarks.{name}"]
    words += ["--size", size] if size != "reduced" else []
    words += ["--device", device] if device != "cpu" else []
    words += ["--rounds", str(rounds)] if rounds else []
    click.echo(f"\n== {name}", nl=True)
    sys.stdout.flush()
    began = time.monotonic()
    done = subprocess.run([*words, "--output", str(folder / f"{name}.json")], check=False)
    click.echo(f"\n{name}: {time.monotonic() - began:.0f} s")
    return done.returncode == 0


if __name__ == "__main__":
    main()
