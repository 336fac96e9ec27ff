"""`cafa score`: one value per clip, caption and metric for a system."""

from pathlib import Path

import click

from cafa.cli.options import files, writable
from cafa.cli.renamed import renamed_option


@click.command()
@click.option("--system", required=True, help="name of the system")
@click.option("--prompts", type=click.Path(exists=True, path_type=Path), required=True, help="prompt set")
@files("--embeddings", help="folder of the judges' embeddings of a shard of the system's samples")
@renamed_option("--truth", "--reference-embeddings")
@files("--reference-embeddings", help="folder of the judges' embeddings of the clips, or of a shard of them")
@click.option(
    "--text",
    type=click.Path(path_type=Path),
    required=True,
    help="CLAP's embeddings of captions; those of other judges lie beside it",
)
@files(
    "--index",
    required=False,
    help="index of a shard of the samples: those that it does not call ok are excused, and reported by the table; "
    "without it every prompt must have a sample",
)
@click.option("--output", type=click.Path(path_type=Path), required=True, callback=writable, help="scores to write")
def command(
    system: str,
    prompts: Path,
    embeddings: tuple[str, ...],
    reference_embeddings: tuple[str, ...],
    text: Path,
    index: tuple[str, ...],
    output: Path,
) -> None:
    """Score a system's samples: CLAP, Acc, KL, IB, DeSync of every one."""
    from metrics.tables.scores_file import ScoreInputs, write_scores

    write_scores(system, ScoreInputs(prompts, embeddings, reference_embeddings, text, index), output)
