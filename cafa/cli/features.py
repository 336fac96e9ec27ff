"""`cafa features`: cache a frozen encoder's arrays."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import (
    device_option,
    files,
    folder,
    resume_options,
    shard_option,
    threads_option,
    validated_settings,
    writable,
)

if TYPE_CHECKING:
    from cafa.features.correspondence import CorrespondenceSettings
    from cafa.features.encode import EncodeSettings
    from cafa.features.from_media import MediaSettings
    from cafa.models.encoders.miniature_text import TextSettings

manifest_option = click.option("--manifest", required=True, help="manifest of the data set")
clips_option = folder("--clips", help="folder of normalised clips of the shard")
ingest_option = click.option("--ingest-ledger", required=True, help="ledger of ingest of the shard")
output_option = click.option("--output", required=True, callback=writable, help="feature file to write")
reuse_option = files(
    "--reuse", required=False, help="feature file of another run, or folder of such, whose equal rows are copied"
)


@click.group()
def command() -> None:
    """Cache a frozen encoder's arrays, once per clip."""


@command.command()
@click.argument("kind", nargs=-1, required=True)
@files("--model", help="folder of a registered model, for each kind in order: a backbone for latents, else an encoder")
@manifest_option
@clips_option
@ingest_option
@shard_option
@validated_settings("cafa.features.encode.EncodeSettings")
@reuse_option
@click.option(
    "--like",
    type=click.Path(path_type=Path),
    help="folder of another registered backbone, whose latents --reuse may copy if both autoencoders are the same",
)
@device_option
@threads_option
@files("--output", callback=writable, help="feature file to write, for each kind in order")
@click.option("--ledger", required=True, callback=writable, help="ledger to write: one row per clip, for all kinds")
@click.option(
    "--keep", is_flag=True, help="give the files hidden second names, from which a repeated job copies what is the same"
)
@resume_options
def encode(
    kind: tuple[str, ...],
    model: tuple[str, ...],
    manifest: str,
    clips: Path,
    ingest_ledger: str,
    shard: tuple[int, int],
    settings: "EncodeSettings",
    reuse: tuple[str, ...],
    like: Path | None,
    device: str,
    output: tuple[str, ...],
    ledger: str,
    keep: bool,
) -> None:
    """Features of pretrained encoders, from normalised clips; continues after a kill.

    Several kinds in one job read each clip once: give one --model and one --output for each KIND, in their order.
    """
    from cafa.features.clips_of_shard import ShardClips
    from cafa.features.pretrained import Encoders, encode_pretrained

    encoders = Encoders(kind, model, like, device)
    of_shard = ShardClips(manifest, clips, ingest_ledger, shard)
    click.echo(encode_pretrained(encoders, of_shard, settings, output, ledger, reuse=reuse, keep_rows=keep))


@command.command()
@manifest_option
@clips_option
@ingest_option
@shard_option
@validated_settings("cafa.features.from_media.MediaSettings")
@click.option("--workers", default=0, type=click.IntRange(0), help="processes that decode; 0: this one")
@reuse_option
@click.option("--frames", required=True, callback=writable, help="feature file of frames to write")
@click.option("--mel", required=True, callback=writable, help="feature file of log-mels to write")
@click.option("--ledger", required=True, callback=writable, help="ledger to write")
@resume_options
def media(
    manifest: str,
    clips: Path,
    ingest_ledger: str,
    shard: tuple[int, int],
    settings: "MediaSettings",
    workers: int,
    reuse: tuple[str, ...],
    frames: str,
    mel: str,
    ledger: str,
) -> None:
    """Frames and log-mels of normalised clips, decoded once; continues after a kill."""
    from cafa.features.clips_of_shard import ShardClips
    from cafa.features.media import encode_media

    of_shard = ShardClips(manifest, clips, ingest_ledger, shard)
    click.echo(encode_media(of_shard, settings, frames=frames, mel=mel, ledger=ledger, workers=workers, reuse=reuse))


@command.command()
@click.option("--mel", required=True, help="feature file of log-mels")
@folder("--autoencoder", help="model folder of the autoencoder")
@output_option
def latents(mel: str, autoencoder: Path, output: str) -> None:
    """Latents of the frozen autoencoder."""
    from cafa.features.latents import encode_latents

    encode_latents(mel, autoencoder, output)


@command.command("av-clip")
@click.option("--frames", required=True, help="feature file of frames")
@folder("--model", help="model folder of AV-CLIP")
@output_option
@threads_option
def av_clip(frames: str, model: Path, output: str) -> None:
    """Video features of the frozen AV-CLIP."""
    from cafa.features.av_clip import encode_av_clip

    encode_av_clip(frames, model, output)


@command.command()
@click.option("--frames", required=True, help="feature file of frames")
@folder("--model", help="model folder of the miniature's CLIP")
@output_option
@threads_option
def clip(frames: str, model: Path, output: str) -> None:
    """Picture features of the miniature's frozen CLIP."""
    from cafa.features.clip import encode_clip

    encode_clip(frames, model, output)


@command.command()
@manifest_option
@files("--frames", help="feature file of frames")
@files("--mel", help="feature file of log-mels")
@folder("--model", help="model folder of AV-CLIP")
@validated_settings("cafa.features.correspondence.CorrespondenceSettings")
@click.option("--output", required=True, callback=writable, help="manifest of the kept clips to write")
@click.option("--scores", required=True, callback=writable, help="score of every clip to write")
@click.option("--ledger", required=True, callback=writable, help="ledger to write: one row per clip")
@threads_option
def correspondence(
    manifest: str,
    frames: tuple[str, ...],
    mel: tuple[str, ...],
    model: Path,
    settings: "CorrespondenceSettings",
    output: str,
    scores: str,
    ledger: str,
) -> None:
    """Manifest of the clips whose sound fits their picture, by the frozen AV-CLIP."""
    from cafa.features.correspondence import filter_clips

    click.echo(filter_clips(manifest, frames, mel, model, settings, output=output, scores=scores, ledger=ledger))


@command.command()
@files("--manifest", required=False, help="manifests whose captions to encode")
@files("--prompts", required=False, help="prompt sets whose captions to encode")
@validated_settings("cafa.models.encoders.miniature_text.TextSettings", more=": the miniature's encoder", default=None)
@click.option("--model", type=click.Path(path_type=Path), help="folder of a registered backbone: its text encoder")
@click.option(
    "--wording",
    multiple=True,
    help="what a system is told of a row of the prompt sets in place of the caption, with {caption}, {label}, "
    "{own_caption}, {own_label}; an empty one is no text; encoded beside the captions",
)
@shard_option
@click.option("--batch-size", default=32, type=click.IntRange(1), help="captions per pass of a pretrained encoder")
@device_option
@click.option(
    "--threads",
    default=1,
    type=click.IntRange(1),
    help="threads of a pretrained encoder; results are equal bit for bit only at equal counts",
)
@output_option
@resume_options
def text(
    manifest: tuple[str, ...],
    prompts: tuple[str, ...],
    settings: "TextSettings | None",
    model: Path | None,
    wording: tuple[str, ...],
    shard: tuple[int, int],
    batch_size: int,
    device: str,
    threads: int,
    output: str,
) -> None:
    """Text states of captions, which are dealt to shards by the hash of their text."""
    from cafa.features.captions import Captions, encode_captions

    captions = Captions(manifest, prompts, shard, wording)
    said = encode_captions(captions, settings, model, output, batch_size=batch_size, device=device, threads=threads)
    click.echo(said)


@command.command()
@click.argument("file", nargs=-1, required=True)
@files("--ledger", required=False, help="ledgers of the stage: every clip that is ok is in a file, and no other")
@click.option("--manifest", help="manifest: every clip of its shard is in the ledgers")
@shard_option
@click.option("--clips", type=click.Path(path_type=Path), help="folder of normalised clips (of the shard, or above)")
def verify(
    file: tuple[str, ...], ledger: tuple[str, ...], manifest: str | None, shard: tuple[int, int], clips: Path | None
) -> None:
    """Check feature files as a whole; exits with 1 if something is wrong."""
    from cafa.features.verify_files import check_features

    click.echo(check_features(file, ledgers=ledger, manifest=manifest, shard=shard, clips=clips))
