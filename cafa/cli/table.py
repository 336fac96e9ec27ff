"""`cafa table`: a table of systems by metrics, with intervals and a protocol card."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cafa.cli.options import files, folder, object_option, shards_option, validated_settings, writable
from cafa.cli.renamed import renamed_option

if TYPE_CHECKING:
    from metrics.tables.compute import TableSettings


@click.command()
@click.option("--name", required=True, help="name of the table, e.g. table1")
@validated_settings("metrics.tables.compute.TableSettings")
@files("--scores", paths=True, help="scores of one system")
@folder("--embeddings-folder", help="holds <system>/<shard>/<judge>.parquet")
@renamed_option("--truth", "--reference-embeddings")
@files(
    "--reference-embeddings",
    required=False,
    paths=True,
    help="folder of the judges' embeddings of the clips, or of a shard of them [default: reference_set in that folder]",
)
@click.option("--prompts", type=click.Path(exists=True, path_type=Path), required=True, help="prompt set")
@folder(
    "--samples-folder",
    help="holds the indices of samples, <system>/<shard>.parquet, or as the judges left them, <shard>/index.parquet",
)
@shards_option("a system's samples")
@click.option("--judges", type=click.Path(exists=True, path_type=Path), required=True, help="check of the judges")
@files("--ledger", required=False, paths=True, help="ledger of a stage before the samples")
@object_option("--card-extra", help="more to record on the protocol card: seeds, settings")
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
    name: str,
    settings: "TableSettings",
    scores: tuple[Path, ...],
    embeddings_folder: Path,
    reference_embeddings: tuple[Path, ...],
    prompts: Path,
    samples_folder: Path,
    shards: int | None,
    judges: Path,
    ledger: tuple[Path, ...],
    card_extra: dict[str, Any],
    published: Path | None,
    csv: Path,
    markdown: Path,
    card: Path,
    differences: Path,
    categories: Path | None,
) -> None:
    """Compute a table on the samples that all its systems have, and write it for machines and for people."""
    from metrics.tables.write import TableInputs, TableOutputs, write_table

    inputs = TableInputs(
        scores=scores,
        embeddings_folder=embeddings_folder,
        prompts=prompts,
        samples_folder=samples_folder,
        judges=judges,
        ledgers=ledger,
        published=published,
        reference=reference_embeddings,
        shards=shards,
    )
    outputs = TableOutputs(csv, markdown, card, differences, categories)
    write_table(name, settings, inputs, outputs, card_extra)
