"""`cafa features`: cache a frozen encoder's arrays."""

from pathlib import Path

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


@click.group()
def command() -> None:
    """Cache a frozen encoder's arrays, once per clip."""


@command.command()
@click.argument("kind", nargs=-1, required=True, type=click.Choice(["latents", "av_clip", "clip"]))
@files("--model", help="folder of a registered model, for each kind in order: a backbone for latents, else an encoder")
@click.option("--manifest", required=True, help="manifest of the data set")
@folder("--clips", help="folder of normalised clips of the shard")
@click.option("--ingest-ledger", required=True, help="ledger of ingest of the shard")
@shard_option
@settings_option("cafa.features.encode.EncodeSettings")
@files("--reuse", required=False, help="feature file of another run, or folder of such, whose equal rows are copied")
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
    kind: tuple[str, ...], model: tuple[str, ...], manifest: str, clips: Path, ingest_ledger: str,
    shard: tuple[int, int], settings: str, reuse: tuple[str, ...], like: Path | None, device: str,
    output: tuple[str, ...], ledger: str, keep: bool,
) -> None:  # fmt: skip
    """Features of pretrained encoders, from normalised clips; continues after a kill.

    Several kinds in one job read each clip once: give one --model and one --output for each KIND, in their order.
    """
    from cafa.data.manifest import read_manifest
    from cafa.features.encode import EncodeSettings, encode_shard
    from cafa.features.registered_encoders import names_of_kinds, pretrained_job, same_latents, verdict
    from cafa.models.registry import read_card

    parsed = EncodeSettings.model_validate_json(settings)
    outputs = dict(zip(names_of_kinds(kind, model, output), output, strict=True))
    if like is not None and kind.count("latents") != 1:
        raise InputError(f"--like is for latents of one backbone, not for {', '.join(kind)}")
    job = pretrained_job(kind, model, clips, parsed, device)
    if like is not None:
        mine = model[kind.index("latents")]
        if same := same_latents(mine, like):
            job.alike["latents"].append(read_card(like)["encoders"]["latents"])
        job.notes.append(verdict(mine, like, same, "nothing is copied between them"))
    for note in job.notes:
        click.echo(note)
    counts = encode_shard(
        job.encodings, read_manifest(manifest), ingest_ledger, shard, outputs, ledger, settings=parsed, reuse=reuse,
        alike=job.alike, keep_rows=keep,
    )  # fmt: skip
    _say(counts)


@command.command()
@click.option("--manifest", required=True, help="manifest of the data set")
@folder("--clips", help="folder of normalised clips of the shard")
@click.option("--ingest-ledger", required=True, help="ledger of ingest of the shard")
@shard_option
@settings_option("cafa.features.from_media.MediaSettings")
@click.option("--workers", default=0, type=click.IntRange(0), help="processes that decode; 0: this one")
@files("--reuse", required=False, help="feature file of another run, or folder of such, whose equal rows are copied")
@click.option("--frames", required=True, callback=writable, help="feature file of frames to write")
@click.option("--mel", required=True, callback=writable, help="feature file of log-mels to write")
@click.option("--ledger", required=True, callback=writable, help="ledger to write")
@resume_options
def media(
    manifest: str, clips: Path, ingest_ledger: str, shard: tuple[int, int], settings: str, workers: int,
    reuse: tuple[str, ...], frames: str, mel: str, ledger: str,
) -> None:  # fmt: skip
    """Frames and log-mels of normalised clips, decoded once; continues after a kill."""
    from cafa.data.manifest import read_manifest
    from cafa.features.encode import EncodeSettings, encode_shard
    from cafa.features.from_media import MediaSettings, media_encoding

    encoding = media_encoding(clips, MediaSettings.model_validate_json(settings))
    counts = encode_shard(
        [encoding], read_manifest(manifest), ingest_ledger, shard, {"frames": frames, "mel": mel}, ledger,
        settings=EncodeSettings(workers=workers), reuse=reuse,
    )  # fmt: skip
    _say(counts)


def _say(counts: dict[str, int]) -> None:
    click.echo(", ".join(f"{count} {status}" for status, count in counts.items() if count) or "no clip in this shard")


@command.command()
@click.option("--mel", required=True, help="feature file of log-mels")
@folder("--autoencoder", help="model folder of the autoencoder")
@click.option("--output", required=True, callback=writable, help="feature file to write")
def latents(mel: str, autoencoder: Path, output: str) -> None:
    """Latents of the frozen autoencoder."""
    from cafa.features.store import FeatureStore, write_features
    from cafa.models.encoders.miniature_autoencoder import MelAutoencoder

    model, store = MelAutoencoder.load(autoencoder), FeatureStore([mel])
    settings = model.settings
    if store.encoder.get("bins") != settings.mel.bins:
        raise InputError(f"{mel} was made by {store.encoder}, the autoencoder wants {settings.mel}")
    shape = (store.shape[0] // settings.fold, settings.channels)
    arrays = ((clip_id, model.encode(array)) for clip_id, array in store)
    write_features(
        output, arrays, kind="latents", shape=shape, dtype="float16", encoder=model.encoder, sources=store.sources()
    )


@command.command("av-clip")
@click.option("--frames", required=True, help="feature file of frames")
@folder("--model", help="model folder of AV-CLIP")
@click.option("--output", required=True, callback=writable, help="feature file to write")
@threads_option
def av_clip(frames: str, model: Path, output: str) -> None:
    """Video features of the frozen AV-CLIP."""
    from cafa.features.store import FeatureStore, write_features
    from cafa.models.encoders.miniature_av_clip import AVClipEncoder

    encoder, store = AVClipEncoder(model), FeatureStore([frames])
    shape = (store.shape[0], encoder.settings.dim)
    arrays = ((clip_id, encoder.encode(array)) for clip_id, array in store)
    write_features(
        output, arrays, kind="av_clip", shape=shape, dtype="float16", encoder=encoder.encoder, sources=store.sources()
    )


@command.command()
@files("--manifest", required=False, help="manifests whose captions to encode")
@files("--prompts", required=False, help="prompt sets whose captions to encode")
@click.option(
    "--settings",
    help="JSON object, fields of cafa.models.encoders.miniature_text.TextSettings: the miniature's encoder",
)
@click.option("--model", type=click.Path(path_type=Path), help="folder of a registered backbone: its text encoder")
@shard_option
@click.option("--batch-size", default=32, type=click.IntRange(1), help="captions per pass of a pretrained encoder")
@device_option
@threads_option
@click.option("--output", required=True, callback=writable, help="feature file to write")
@resume_options
def text(
    manifest: tuple[str, ...], prompts: tuple[str, ...], settings: str | None, model: Path | None,
    shard: tuple[int, int], batch_size: int, device: str, output: str,
) -> None:  # fmt: skip
    """Text states of captions, which are dealt to shards by the hash of their text."""
    from cafa.data.manifest import read_manifest
    from cafa.data.prompts import read_prompts
    from cafa.features.text import write_text_features
    from cafa.models.encoders.miniature_text import TextSettings

    captions = [caption for path in manifest for caption in read_manifest(path)["caption"]]
    captions += [caption for path in prompts for caption in read_prompts(path)["caption"]]
    if (settings is None) == (model is None):
        raise InputError("give either --settings (the miniature's encoder) or --model (a registered backbone)")
    if model is None:
        count = write_text_features(output, captions, TextSettings.model_validate_json(settings), shard=shard)
    else:
        from cafa.features.text_states import write_text_states
        from cafa.models.registry import open_text, read_card

        card, encoder = read_card(model), open_text(model, device)
        count = write_text_states(
            output, captions, encoder, card["encoders"]["text"], tuple(card["facts"]["text_shape"]), shard=shard,
            batch_size=batch_size,
        )  # fmt: skip
    click.echo(f"{count} captions")


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
    from cafa.data.manifest import read_manifest
    from cafa.features.verify import verify_features

    asked = None if manifest is None else read_manifest(manifest)["clip_id"]
    report = verify_features(file, ledgers=ledger, asked=asked, shard=shard, clips=clips)
    for line in report.lines:
        click.echo(line)
    for fault in report.faults[:50]:
        click.echo(f"fault: {fault}", err=True)
    if report.faults:
        raise InputError(f"{len(report.faults)} faults in {len(file)} files: make the files named above again")
