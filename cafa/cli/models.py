"""`cafa models`: pretrained models of the generator."""

from pathlib import Path

import click

from cafa.cli.options import folder


@click.group()
def command() -> None:
    """Register pretrained models."""


@command.command()
@click.option("--settings", required=True, help="JSON object, fields of cafa.pretrained.PretrainedModel (by `kind`)")
@click.option("--weights-table", type=click.Path(path_type=Path), default=None, help="config/weights.tsv, for digests")
@folder("--output", help="model folder to write")
def register(settings: str, weights_table: Path | None, output: Path) -> None:
    """Check a pretrained model's files and write its card; later stages use the folder like a trained model's."""
    from cafa.pretrained import parse_pretrained
    from cafa.pretrained import register as register_model

    card = register_model(parse_pretrained(settings), output, weights_table)
    unknown = sorted(set(card["files"]) - set(card["checked"]))
    click.echo(
        f"{card['model']}: {len(card['files'])} files, weights {card['weights_sha256'][:12]}; the SHA-256 of "
        f"{len(card['checked'])} was known, that of {len(unknown)} is recorded as found: {', '.join(unknown)}"
    )
