"""`cafa train`: fit the generator's models from cached features."""

from pathlib import Path
from typing import Any

import click

from cafa.cli.options import device_option, files, folder, seed_option, settings_option, threads_option

manifest_option = click.option("--manifest", required=True, help="manifest of the training data set")
text_option = click.option("--text", required=True, help="feature file of text states")
latents_option = files("--latents", help="feature file of latents")
video_option = files("--video", help="feature file of video features")
output_option = folder("--output", help="model folder to write")


@click.group()
def command() -> None:
    """Train a model of the generator; an interrupted run continues exactly."""


def _stores(**paths: Any) -> dict[str, Any]:
    from cafa.store import FeatureStore

    return {name: FeatureStore([value] if isinstance(value, str) else value) for name, value in paths.items()}


def _manifest(path: str) -> Any:
    from cafa.manifest import read_manifest

    return read_manifest(path)


@command.command()
@files("--mel", help="feature file of log-mels")
@manifest_option
@click.option("--split", default="train", help="split to fit on")
@settings_option("cafa.features.mel_autoencoder.AutoencoderSettings")
@seed_option
@output_option
def autoencoder(mel: tuple[str, ...], manifest: str, split: str, settings: str, seed: int, output: Path) -> None:
    """Fit the autoencoder of log-mels (the seed is recorded; the fit draws nothing)."""
    from cafa.features.mel_autoencoder import AutoencoderSettings, fit_autoencoder
    from cafa.training.data import clips_with_features

    store = _stores(mel=mel)["mel"]
    clips = clips_with_features(_manifest(manifest), split, [store])["clip_id"]
    card = {"seed": seed, "clips": len(clips), "inputs": {"mel": store.encoder_digest}}
    parsed = AutoencoderSettings.model_validate_json(settings)
    fit_autoencoder((store[clip_id] for clip_id in clips), parsed, output, card)


@command.command("av-clip")
@files("--frames", help="feature file of frames")
@files("--mel", help="feature file of log-mels")
@manifest_option
@settings_option("cafa.training.av_clip.AVClipTraining")
@seed_option
@output_option
@threads_option
@device_option
def av_clip(
    frames: tuple[str, ...], mel: tuple[str, ...], manifest: str, settings: str, seed: int, output: Path, device: str
) -> None:
    """Train AV-CLIP contrastively on segments of video and sound."""
    from cafa.training.av_clip import AVClipTraining, train_av_clip

    parsed = AVClipTraining.model_validate_json(settings)
    train_av_clip(
        parsed, _manifest(manifest), **_stores(frames=frames, mel=mel), seed=seed, output=output, device=device
    )


@command.command()
@latents_option
@text_option
@manifest_option
@settings_option("cafa.training.backbone.BackboneTraining")
@seed_option
@output_option
@threads_option
@device_option
def backbone(
    latents: tuple[str, ...], text: str, manifest: str, settings: str, seed: int, output: Path, device: str
) -> None:
    """Train a text-to-audio backbone on sound and captions only."""
    from cafa.training.backbone import BackboneTraining, train_backbone

    parsed = BackboneTraining.model_validate_json(settings)
    stores = _stores(latents=latents, text=text)
    train_backbone(parsed, _manifest(manifest), **stores, seed=seed, output=output, device=device)


@command.command()
@folder("--backbone", help="model folder of the frozen backbone")
@latents_option
@video_option
@text_option
@manifest_option
@settings_option("cafa.training.adapter.AdapterTraining")
@seed_option
@output_option
@threads_option
@device_option
def adapter(
    backbone: Path, latents: tuple[str, ...], video: tuple[str, ...], text: str, manifest: str, settings: str,
    seed: int, output: Path, device: str,
) -> None:  # fmt: skip
    """Train an adapter on a frozen backbone."""
    from cafa.training.adapter import AdapterTraining, train_adapter

    parsed = AdapterTraining.model_validate_json(settings)
    stores = _stores(latents=latents, text=text, video=video)
    train_adapter(parsed, _manifest(manifest), backbone, **stores, seed=seed, output=output, device=device)


@command.command()
@latents_option
@video_option
@text_option
@manifest_option
@settings_option("cafa.training.joint.JointTraining")
@seed_option
@output_option
@threads_option
@device_option
def joint(
    latents: tuple[str, ...], video: tuple[str, ...], text: str, manifest: str, settings: str, seed: int,
    output: Path, device: str,
) -> None:  # fmt: skip
    """Train a joint model of video and text from scratch."""
    from cafa.training.joint import JointTraining, train_joint

    parsed = JointTraining.model_validate_json(settings)
    stores = _stores(latents=latents, text=text, video=video)
    train_joint(parsed, _manifest(manifest), **stores, seed=seed, output=output, device=device)
