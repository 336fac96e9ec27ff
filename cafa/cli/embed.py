"""`cafa embed`: what the judges make of sounds, pictures and captions."""

from pathlib import Path
from typing import Any

import click

from cafa.cli.options import (
    device_option,
    files,
    folder,
    object_option,
    resume_options,
    shard_option,
    store_option,
    threads_option,
    writable,
)
from cafa.cli.renamed import renamed_command, renamed_option

judges_option = folder("--judges", help="folder of the judges' model folders")
judging_option = object_option(
    "--settings", help="fields of metrics.embedding.published.JudgingSettings (pretrained judges)"
)


def frames_option(help: str) -> Any:
    """Frames, which judges that were trained here look at."""
    return files("--frames", required=False, help=f"{help} (judges that were trained here)")


@click.group()
def command() -> None:
    """Embed with all judges, each sound decoded once.

    Judges that were trained here read frames and log-mels; pretrained ones (`cafa judges register`) read files. Which
    they are is on their cards.
    """


@command.command()
@judges_option
@frames_option("feature file of the clips' frames")
@files("--mel", required=False, help="feature file of the clips' log-mels (judges that were trained here)")
@click.option("--manifest", required=True, help="manifest of the data set")
@click.option("--clips", type=click.Path(path_type=Path), help="folder of a shard's normalised clips (pretrained)")
@click.option("--ingest-ledger", type=click.Path(path_type=Path), help="ledger of that shard (pretrained)")
@shard_option
@judging_option
@folder("--output-folder", help="folder of <judge>.parquet; of pretrained judges also video.arrow, ledger.parquet")
@store_option
@threads_option
@device_option
@resume_options
def reference(
    judges: Path,
    frames: tuple[str, ...],
    mel: tuple[str, ...],
    manifest: str,
    clips: Path | None,
    ingest_ledger: Path | None,
    shard: tuple[int, int],
    settings: dict[str, Any],
    output_folder: Path,
    store: Path | None,
    device: str,
) -> None:
    """Embed the clips' own sound and pictures."""
    from metrics.embedding.from_files import ClipInputs, Judging, embed_clips

    inputs = ClipInputs(manifest, frames, mel, clips, ingest_ledger, shard)
    click.echo(embed_clips(Judging(judges, device, settings, store), inputs, output_folder), err=True)


@command.command()
@judges_option
@click.option("--prompts", required=True, help="prompt set; its captions and the clips' own are embedded")
@click.option("--output", required=True, type=click.Path(path_type=Path), callback=writable, help="file to write")
@store_option
@threads_option
@device_option
def text(judges: Path, prompts: str, output: Path, store: Path | None, device: str) -> None:
    """Embed every caption of a prompt set."""
    from metrics.embedding.from_files import Judging, embed_captions

    embed_captions(Judging(judges, device, store=store), prompts, output)


@command.command()
@judges_option
@click.option("--index", required=True, type=click.Path(path_type=Path), help="index of a shard of samples")
@frames_option("feature file of the clips' frames")
@click.option("--batch-size", type=click.IntRange(1), default=16, help="samples judged together (trained here)")
@renamed_option("--truth", "--reference-embeddings")
@files("--reference-embeddings", required=False, help="folder of `cafa embed reference`, every shard's (pretrained)")
@judging_option
@folder("--output-folder", help="folder of <judge>.parquet; of pretrained judges also index.parquet")
@store_option
@threads_option
@device_option
@resume_options
def samples(
    judges: Path,
    index: Path,
    frames: tuple[str, ...],
    batch_size: int,
    reference_embeddings: tuple[str, ...],
    settings: dict[str, Any],
    output_folder: Path,
    store: Path | None,
    device: str,
) -> None:
    """Embed one shard of a system's samples."""
    from metrics.embedding.from_files import Judging, embed_sounds

    judging = Judging(judges, device, settings, store)
    found = embed_sounds(
        judging, index, output_folder, frames=frames, clips=reference_embeddings, batch_size=batch_size
    )
    click.echo(found, err=True)


renamed_command(command, "truth", "reference")
