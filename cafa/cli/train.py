"""`cafa train`: fit the generator's models from cached features."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import (
    device_option,
    files,
    folder,
    resume_options,
    seed_option,
    threads_option,
    validated_settings,
    writable,
)

if TYPE_CHECKING:
    from cafa.models.encoders.miniature_autoencoder import AutoencoderSettings
    from cafa.training.adapter import AdapterTraining
    from cafa.training.av_clip import AVClipTraining
    from cafa.training.backbone import BackboneTraining
    from cafa.training.clip import CLIPTraining
    from cafa.training.joint import JointTraining

manifest_option = click.option("--manifest", required=True, help="manifest of the training data set")
text_option = files("--text", help="feature file of text states")
latents_option = files("--latents", help="feature file of latents")
video_option = files("--video", help="feature file of video features")
output_option = folder("--output", help="model folder to write")


#: read before --device, whose GPUs it counts
processes_option = click.option(
    "--processes", default=1, type=click.IntRange(1), is_eager=True, help="processes of this machine, one per GPU"
)


@click.group()
def command() -> None:
    """Train a model of the generator; an interrupted run continues exactly."""


@command.command()
@files("--mel", help="feature file of log-mels")
@manifest_option
@click.option("--split", default="train", help="split to fit on")
@validated_settings("cafa.models.encoders.miniature_autoencoder.AutoencoderSettings")
@seed_option
@output_option
def autoencoder(
    mel: tuple[str, ...], manifest: str, split: str, settings: "AutoencoderSettings", seed: int, output: Path
) -> None:
    """Fit the autoencoder of log-mels (the seed is recorded; the fit draws nothing)."""
    from cafa.training.from_files import train_autoencoder_from_files

    train_autoencoder_from_files(settings, manifest, mel, split=split, seed=seed, output=output)


@command.command("av-clip")
@files("--frames", help="feature file of frames")
@files("--mel", help="feature file of log-mels")
@manifest_option
@validated_settings("cafa.training.av_clip.AVClipTraining")
@seed_option
@output_option
@threads_option
@device_option
@resume_options
def av_clip(
    frames: tuple[str, ...],
    mel: tuple[str, ...],
    manifest: str,
    settings: "AVClipTraining",
    seed: int,
    output: Path,
    device: str,
) -> None:
    """Train AV-CLIP contrastively on segments of video and sound."""
    from cafa.training.from_files import train_av_clip_from_files
    from cafa.training.generator import TrainingRun

    train_av_clip_from_files(settings, manifest, frames, mel, TrainingRun(seed, output, device))


@command.command()
@files("--frames", help="feature file of frames")
@text_option
@manifest_option
@validated_settings("cafa.training.clip.CLIPTraining")
@seed_option
@output_option
@threads_option
@device_option
@resume_options
def clip(
    frames: tuple[str, ...],
    text: tuple[str, ...],
    manifest: str,
    settings: "CLIPTraining",
    seed: int,
    output: Path,
    device: str,
) -> None:
    """Train the miniature's CLIP contrastively on frames and captions, for CAFA-C."""
    from cafa.training.from_files import train_clip_from_files
    from cafa.training.generator import TrainingRun

    train_clip_from_files(settings, manifest, frames, text, TrainingRun(seed, output, device))


@command.command()
@latents_option
@text_option
@manifest_option
@validated_settings("cafa.training.backbone.BackboneTraining")
@seed_option
@output_option
@threads_option
@device_option
@resume_options
def backbone(
    latents: tuple[str, ...],
    text: tuple[str, ...],
    manifest: str,
    settings: "BackboneTraining",
    seed: int,
    output: Path,
    device: str,
) -> None:
    """Train a text-to-audio backbone on sound and captions only."""
    from cafa.training.from_files import train_backbone_from_files
    from cafa.training.generator import TrainingRun
    from cafa.training.training_files import TrainingFiles

    train_backbone_from_files(settings, TrainingFiles(manifest, latents, text), TrainingRun(seed, output, device))


@command.command()
@folder("--backbone", help="model folder of the frozen backbone, trained or registered")
@click.option("--start-from", type=click.Path(path_type=Path), help="adapter whose weights are the first: phase before")
@latents_option
@files("--video", help="feature file of video features (av_clip; for CAFA-C those of clip as well)")
@text_option
@manifest_option
@validated_settings("cafa.training.adapter.AdapterTraining")
@seed_option
@output_option
@processes_option
@threads_option
@device_option
@resume_options
def adapter(
    backbone: Path,
    start_from: Path | None,
    latents: tuple[str, ...],
    video: tuple[str, ...],
    text: tuple[str, ...],
    manifest: str,
    settings: "AdapterTraining",
    seed: int,
    output: Path,
    processes: int,
    device: str,
) -> None:
    """Train an adapter on a frozen backbone.

    Several processes share every batch and give the same result to rounding; they may also be started by torchrun
    (`torchrun ... -m cafa train adapter ...`), for several machines.
    """
    from cafa.training.job import train_adapter_from_files
    from cafa.training.training_files import TrainingFiles

    train_adapter_from_files(
        settings,
        backbone,
        TrainingFiles(manifest, latents, text, video),
        seed=seed,
        output=output,
        device=device,
        start_from=start_from,
        processes=processes,
    )


@command.command()
@latents_option
@video_option
@text_option
@manifest_option
@validated_settings("cafa.training.joint.JointTraining")
@seed_option
@output_option
@threads_option
@device_option
@resume_options
def joint(
    latents: tuple[str, ...],
    video: tuple[str, ...],
    text: tuple[str, ...],
    manifest: str,
    settings: "JointTraining",
    seed: int,
    output: Path,
    device: str,
) -> None:
    """Train a joint model of video and text from scratch."""
    from cafa.training.from_files import train_joint_from_files
    from cafa.training.generator import TrainingRun
    from cafa.training.training_files import TrainingFiles

    train_joint_from_files(settings, TrainingFiles(manifest, latents, text, video), TrainingRun(seed, output, device))


@command.command()
@files("--card", help="card.json of a trained model")
@click.option(
    "--published", type=click.Path(exists=True, path_type=Path), help="values of the paper, to print beside ours"
)
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    callback=writable,
    help="table (.csv); .md is written beside it",
)
def table(card: tuple[str, ...], published: Path | None, output: Path) -> None:
    """What trainings cost: steps, hardware, batch, GPU hours (the paper's Table 5), from their cards."""
    from cafa.training.cost_table import write_training_table

    write_training_table(card, published, output)
