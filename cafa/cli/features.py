"""`cafa features`: cache a frozen encoder's arrays."""

from pathlib import Path

import click

from cafa.cli.options import files, folder, settings_option, shard_option, threads_option
from cafa.errors import InputError


@click.group()
def command() -> None:
    """Cache a frozen encoder's arrays, once per clip."""


@command.command()
@click.option("--manifest", required=True, help="manifest of the data set")
@folder("--clips", help="folder of normalised clips of the shard")
@click.option("--ingest-ledger", required=True, help="ledger of ingest of the shard")
@shard_option
@settings_option("cafa.features.from_media.MediaSettings")
@click.option("--frames", required=True, help="feature file of frames to write")
@click.option("--mel", required=True, help="feature file of log-mels to write")
@click.option("--ledger", required=True, help="ledger to write")
def media(
    manifest: str, clips: Path, ingest_ledger: str, shard: tuple[int, int], settings: str, frames: str, mel: str,
    ledger: str,
) -> None:  # fmt: skip
    """Frames and log-mels of normalised clips, decoded once."""
    from cafa.features.from_media import MediaSettings, write_media_features
    from cafa.manifest import read_manifest

    parsed = MediaSettings.model_validate_json(settings)
    write_media_features(read_manifest(manifest), clips, ingest_ledger, shard, parsed, frames, mel, ledger)


@command.command()
@click.option("--mel", required=True, help="feature file of log-mels")
@folder("--autoencoder", help="model folder of the autoencoder")
@click.option("--output", required=True, help="feature file to write")
def latents(mel: str, autoencoder: Path, output: str) -> None:
    """Latents of the frozen autoencoder."""
    from cafa.features.mel_autoencoder import MelAutoencoder
    from cafa.store import FeatureStore, write_features

    model, store = MelAutoencoder.load(autoencoder), FeatureStore([mel])
    settings = model.settings
    if store.encoder.get("bins") != settings.mel.bins:
        raise InputError(f"{mel} was made by {store.encoder}, the autoencoder wants {settings.mel}")
    shape = (store.shape[0] // settings.fold, settings.channels)
    arrays = ((clip_id, model.encode(array)) for clip_id, array in store)
    write_features(output, arrays, kind="latents", shape=shape, dtype="float16", encoder=model.encoder)


@command.command("av-clip")
@click.option("--frames", required=True, help="feature file of frames")
@folder("--model", help="model folder of AV-CLIP")
@click.option("--output", required=True, help="feature file to write")
@threads_option
def av_clip(frames: str, model: Path, output: str) -> None:
    """Video features of the frozen AV-CLIP."""
    from cafa.features.av_clip import AVClipEncoder
    from cafa.store import FeatureStore, write_features

    encoder, store = AVClipEncoder(model), FeatureStore([frames])
    shape = (store.shape[0], encoder.settings.dim)
    arrays = ((clip_id, encoder.encode(array)) for clip_id, array in store)
    write_features(output, arrays, kind="av_clip", shape=shape, dtype="float16", encoder=encoder.encoder)


@command.command()
@files("--manifest", required=False, help="manifests whose captions to encode")
@files("--prompts", required=False, help="prompt sets whose captions to encode")
@settings_option("cafa.features.text.TextSettings")
@click.option("--output", required=True, help="feature file to write")
def text(manifest: tuple[str, ...], prompts: tuple[str, ...], settings: str, output: str) -> None:
    """Text states of captions."""
    from cafa.features.text import TextSettings, write_text_features
    from cafa.manifest import read_manifest
    from cafa.prompts import read_prompts

    captions = [caption for path in manifest for caption in read_manifest(path)["caption"]]
    captions += [caption for path in prompts for caption in read_prompts(path)["caption"]]
    write_text_features(output, captions, TextSettings.model_validate_json(settings))
