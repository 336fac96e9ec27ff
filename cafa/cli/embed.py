"""`cafa embed`: what the judges make of sounds, pictures and captions."""

from pathlib import Path
from typing import Any

import click

from cafa.cli.options import (
    device_option,
    files,
    folder,
    resume_options,
    settings_option,
    shard_option,
    threads_option,
    writable,
)
from cafa.common.errors import InputError

judges_option = folder("--judges", help="folder of the judges' model folders")
judging_option = settings_option("metrics.embedding.published.JudgingSettings (pretrained judges)")


def frames_option(help: str) -> Any:
    """Frames, which judges that were trained here look at."""
    return files("--frames", required=False, help=f"{help} (judges that were trained here)")


@click.group()
def command() -> None:
    """Embed with all judges, each sound decoded once.

    Judges that were trained here read frames and log-mels; pretrained ones (`cafa judges register`) read files. Which
    they are is on their cards.
    """


def _pretrained(judges: Path, needed: dict[str, object], unused: dict[str, object]) -> bool:
    """Whether the judges are pretrained; the options that they need must be given, and the others must not."""
    from metrics.judges.registry import are_pretrained

    pretrained = are_pretrained(judges)
    wanted, not_wanted = (needed, unused) if pretrained else (unused, needed)
    kind = "pretrained" if pretrained else "trained here"
    if missing := [name for name, value in wanted.items() if not value]:
        raise InputError(f"the judges in {judges} are {kind}: give {', '.join(missing)}")
    if given := [name for name, value in not_wanted.items() if value]:
        raise InputError(f"the judges in {judges} are {kind}: leave out {', '.join(given)}")
    return pretrained


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
@threads_option
@device_option
@resume_options
def truth(
    judges: Path, frames: tuple[str, ...], mel: tuple[str, ...], manifest: str, clips: Path | None,
    ingest_ledger: Path | None, shard: tuple[int, int], settings: str, output_folder: Path, device: str,
) -> None:  # fmt: skip
    """Embed the clips' own sound and pictures."""
    from cafa.data.manifest import read_manifest

    new = {"--clips": clips, "--ingest-ledger": ingest_ledger}
    if _pretrained(judges, new, {"--frames": frames, "--mel": mel}):
        from metrics.embedding.published import JudgingSettings, judge_truth

        assert clips is not None
        assert ingest_ledger is not None
        parsed = JudgingSettings.model_validate_json(settings)
        table = read_manifest(manifest)
        click.echo(judge_truth(judges, table, clips, ingest_ledger, shard, parsed, output_folder, device), err=True)
        return
    from metrics.embedding.miniature import embed_truth
    from metrics.encoders.miniature.all import MicroJudges

    loaded = MicroJudges(judges, device)
    absent = embed_truth(loaded, list(map(Path, frames)), list(map(Path, mel)), read_manifest(manifest), output_folder)
    if absent:
        click.echo(f"{len(absent)} clips have no features (their ledger says why): {', '.join(absent[:5])}", err=True)


@command.command()
@judges_option
@click.option("--prompts", required=True, help="prompt set; its captions and the clips' own are embedded")
@click.option("--output", required=True, type=click.Path(path_type=Path), callback=writable, help="file to write")
@threads_option
@device_option
def text(judges: Path, prompts: str, output: Path, device: str) -> None:
    """Embed every caption of a prompt set."""
    from cafa.data.prompts import read_prompts

    rows = read_prompts(prompts)
    captions = [*rows["caption"], *rows["own_caption"]]
    if _pretrained(judges, {}, {}):
        from metrics.embedding.published import judge_text

        judge_text(judges, captions, output, device)
        return
    from metrics.embedding.miniature import embed_text
    from metrics.encoders.miniature.all import MicroJudges

    embed_text(MicroJudges(judges, device), captions, output)


@command.command()
@judges_option
@click.option("--index", required=True, type=click.Path(path_type=Path), help="index of a shard of samples")
@frames_option("feature file of the clips' frames")
@click.option("--batch-size", type=click.IntRange(1), default=16, help="samples judged together (trained here)")
@files("--truth", required=False, help="folder of `cafa embed truth`, every shard's (pretrained)")
@judging_option
@folder("--output-folder", help="folder of <judge>.parquet; of pretrained judges also index.parquet")
@threads_option
@device_option
@resume_options
def samples(
    judges: Path, index: Path, frames: tuple[str, ...], batch_size: int, truth: tuple[str, ...], settings: str,
    output_folder: Path, device: str,
) -> None:  # fmt: skip
    """Embed one shard of a system's samples."""
    if _pretrained(judges, {"--truth": truth}, {"--frames": frames}):
        from metrics.embedding.published import JudgingSettings, judge_samples

        parsed = JudgingSettings.model_validate_json(settings)
        found = judge_samples(judges, index, list(map(Path, truth)), parsed, output_folder, device)
        click.echo(found, err=True)
        return
    from metrics.embedding.miniature import embed_samples
    from metrics.encoders.miniature.all import MicroJudges

    embed_samples(MicroJudges(judges, device), index, list(map(Path, frames)), batch_size, output_folder)
