"""`cafa table`: a table of systems by metrics, with intervals and a protocol card."""

import json
from pathlib import Path

import click

from cafa.cli.options import files, folder, settings_option, shards_option, writable
from cafa.common.errors import InputError


@click.command()
@click.option("--name", required=True, help="name of the table, e.g. table1")
@settings_option("metrics.tables.compute.TableSettings")
@files("--scores", help="scores of one system")
@folder("--embeddings-folder", help="holds <system>/<shard>/<judge>.parquet")
@files(
    "--truth",
    required=False,
    help="folder of the judges' embeddings of the clips, or of a shard of them [default: truth in that folder]",
)
@click.option("--prompts", type=click.Path(exists=True, path_type=Path), required=True, help="prompt set")
@folder(
    "--samples-folder",
    help="holds the indices of samples, <system>/<shard>.parquet, or as the judges left them, <shard>/index.parquet",
)
@shards_option("a system's samples")
@click.option("--judges", type=click.Path(exists=True, path_type=Path), required=True, help="check of the judges")
@files("--ledger", required=False, help="ledger of a stage before the samples")
@click.option("--card-extra", default="{}", help="JSON object to record on the protocol card: seeds, settings")
@click.option(
    "--published", type=click.Path(exists=True, path_type=Path), help="values of the paper, to print beside ours"
)
@click.option(
    "--csv", type=click.Path(path_type=Path), required=True, callback=writable, help="table for machines, to write"
)
@click.option(
    "--markdown", type=click.Path(path_type=Path), required=True, callback=writable, help="table for people, to write"
)
@click.option(
    "--card", type=click.Path(path_type=Path), required=True, callback=writable, help="protocol card, JSON, to write"
)
@click.option(
    "--differences",
    type=click.Path(path_type=Path),
    required=True,
    callback=writable,
    help="paired differences, to write",
)
@click.option(
    "--categories", type=click.Path(path_type=Path), callback=writable, help="metrics by category and by pair, to write"
)
def command(
    name: str, settings: str, scores: tuple[str, ...], embeddings_folder: Path, truth: tuple[str, ...], prompts: Path,
    samples_folder: Path, shards: int | None, judges: Path, ledger: tuple[str, ...], card_extra: str,
    published: Path | None, csv: Path, markdown: Path, card: Path, differences: Path, categories: Path | None,
) -> None:  # fmt: skip
    """Compute a table on the samples that all its systems have, and write it for machines and for people."""
    from metrics.tables.compute import TableSettings
    from metrics.tables.write import TableInputs, TableOutputs, write_table

    try:
        extra = json.loads(card_extra)
    except json.JSONDecodeError as error:
        raise InputError(f"--card-extra must be a JSON object, got {card_extra!r}: {error}") from error
    if not isinstance(extra, dict):
        raise InputError(f"--card-extra must be a JSON object, got {card_extra!r}")
    inputs = TableInputs(
        [Path(path) for path in scores], embeddings_folder, prompts, samples_folder, judges,
        [Path(path) for path in ledger], published, [Path(path) for path in truth], shards,
    )  # fmt: skip
    outputs = TableOutputs(csv, markdown, card, differences, categories)
    write_table(name, TableSettings.model_validate_json(settings), inputs, outputs, extra)
