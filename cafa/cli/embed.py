"""`cafa embed`: what the judges make of sounds, pictures and captions."""

from pathlib import Path

import click

from cafa.cli.options import device_option, files, folder, threads_option

judges_option = folder("--judges", help="folder of the judges' model folders")
frames_option = files("--frames", help="feature file of the clips' frames")


@click.group()
def command() -> None:
    """Embed with all judges, each sound decoded once."""


@command.command()
@judges_option
@frames_option
@files("--mel", help="feature file of the clips' log-mels")
@click.option("--manifest", required=True, help="manifest of the data set")
@folder("--output-folder", help="folder of <judge>.parquet")
@threads_option
@device_option
def truth(
    judges: Path, frames: tuple[str, ...], mel: tuple[str, ...], manifest: str, output_folder: Path, device: str
) -> None:
    """Embed the clips' own sound and pictures."""
    from cafa.manifest import read_manifest
    from metrics.embedding import embed_truth
    from metrics.encoders.micro_judges import MicroJudges

    loaded = MicroJudges(judges, device)
    absent = embed_truth(loaded, list(map(Path, frames)), list(map(Path, mel)), read_manifest(manifest), output_folder)
    if absent:
        click.echo(f"{len(absent)} clips have no features (their ledger says why): {', '.join(absent[:5])}", err=True)


@command.command()
@judges_option
@click.option("--prompts", required=True, help="prompt set; its captions and the clips' own are embedded")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="file to write")
@threads_option
@device_option
def text(judges: Path, prompts: str, output: Path, device: str) -> None:
    """Embed every caption of a prompt set."""
    from cafa.prompts import read_prompts
    from metrics.embedding import embed_text
    from metrics.encoders.micro_judges import MicroJudges

    rows = read_prompts(prompts)
    embed_text(MicroJudges(judges, device), [*rows["caption"], *rows["own_caption"]], output)


@command.command()
@judges_option
@click.option("--index", required=True, type=click.Path(path_type=Path), help="index of a shard of samples")
@frames_option
@click.option("--batch-size", type=click.IntRange(1), default=16, help="samples judged together")
@folder("--output-folder", help="folder of <judge>.parquet")
@threads_option
@device_option
def samples(
    judges: Path, index: Path, frames: tuple[str, ...], batch_size: int, output_folder: Path, device: str
) -> None:
    """Embed one shard of a system's samples."""
    from metrics.embedding import embed_samples
    from metrics.encoders.micro_judges import MicroJudges

    embed_samples(MicroJudges(judges, device), index, list(map(Path, frames)), batch_size, output_folder)
