"""`cafa train`: fit the generator's models from cached features."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from cafa.cli.options import (
    device_option,
    files,
    folder,
    resume_options,
    seed_option,
    settings_option,
    threads_option,
    writable,
)
from cafa.common.folder_lock import only_writer_in

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


def _stores(**paths: tuple[str, ...]) -> dict[str, Any]:
    from cafa.features.store import FeatureStore

    return {name: FeatureStore(value) for name, value in paths.items()}


def _manifest(path: str) -> Any:
    from cafa.data.manifest import read_manifest

    return read_manifest(path)


@command.command()
@files("--mel", help="feature file of log-mels")
@manifest_option
@click.option("--split", default="train", help="split to fit on")
@settings_option("cafa.models.encoders.miniature_autoencoder.AutoencoderSettings")
@seed_option
@output_option
def autoencoder(mel: tuple[str, ...], manifest: str, split: str, settings: str, seed: int, output: Path) -> None:
    """Fit the autoencoder of log-mels (the seed is recorded; the fit draws nothing)."""
    from cafa.models.encoders.miniature_autoencoder import AutoencoderSettings, fit_autoencoder
    from cafa.training.batches import clips_with_features

    store = _stores(mel=mel)["mel"]
    clips = clips_with_features(_manifest(manifest), split, [store])["clip_id"]
    card = {"seed": seed, "clips": len(clips), "inputs": {"mel": store.encoder_digest}}
    parsed = AutoencoderSettings.model_validate_json(settings)
    with only_writer_in(output):
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
@resume_options
def av_clip(
    frames: tuple[str, ...], mel: tuple[str, ...], manifest: str, settings: str, seed: int, output: Path, device: str
) -> None:
    """Train AV-CLIP contrastively on segments of video and sound."""
    from cafa.training.av_clip import AVClipTraining, train_av_clip

    parsed = AVClipTraining.model_validate_json(settings)
    stores = _stores(frames=frames, mel=mel)
    with only_writer_in(output):
        train_av_clip(parsed, _manifest(manifest), **stores, seed=seed, output=output, device=device)


@command.command()
@latents_option
@text_option
@manifest_option
@settings_option("cafa.training.backbone.BackboneTraining")
@seed_option
@output_option
@threads_option
@device_option
@resume_options
def backbone(
    latents: tuple[str, ...], text: tuple[str, ...], manifest: str, settings: str, seed: int, output: Path, device: str
) -> None:
    """Train a text-to-audio backbone on sound and captions only."""
    from cafa.training.backbone import BackboneTraining, train_backbone

    parsed = BackboneTraining.model_validate_json(settings)
    stores = _stores(latents=latents, text=text)
    with only_writer_in(output):
        train_backbone(
            parsed, _manifest(manifest), **stores, seed=seed, output=output, device=device, dataset=Path(manifest).stem
        )


@command.command()
@folder("--backbone", help="model folder of the frozen backbone, trained or registered")
@click.option("--start-from", type=click.Path(path_type=Path), help="adapter whose weights are the first: phase before")
@latents_option
@files("--video", help="feature file of video features (av_clip; for CAFA-C those of clip as well)")
@text_option
@manifest_option
@settings_option("cafa.training.adapter.AdapterTraining")
@seed_option
@output_option
@processes_option
@threads_option
@device_option
@resume_options
def adapter(
    backbone: Path, start_from: Path | None, latents: tuple[str, ...], video: tuple[str, ...], text: tuple[str, ...],
    manifest: str, settings: str, seed: int, output: Path, processes: int, device: str,
) -> None:  # fmt: skip
    """Train an adapter on a frozen backbone.

    Several processes share every batch and give the same result to rounding; they may also be started by torchrun
    (`torchrun ... -m cafa train adapter ...`), for several machines.
    """
    import torch

    from cafa.training.adapter import AdapterTraining
    from cafa.training.job import AdapterJob

    job = AdapterJob(
        AdapterTraining.model_validate_json(settings), backbone, output, start_from, manifest, latents, text, video,
        seed, device, torch.get_num_threads(),
    )  # fmt: skip
    # Of several processes that were launched together the first one holds the folder, for all.
    with only_writer_in(output) if os.environ.get("RANK", "0") == "0" else nullcontext():
        job.run_in(processes)


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
@resume_options
def joint(
    latents: tuple[str, ...], video: tuple[str, ...], text: tuple[str, ...], manifest: str, settings: str, seed: int,
    output: Path, device: str,
) -> None:  # fmt: skip
    """Train a joint model of video and text from scratch."""
    from cafa.training.joint import JointTraining, train_joint

    parsed = JointTraining.model_validate_json(settings)
    stores = _stores(latents=latents, text=text, video=video)
    with only_writer_in(output):
        train_joint(
            parsed, _manifest(manifest), **stores, seed=seed, output=output, device=device, dataset=Path(manifest).stem
        )


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

    write_training_table([Path(path) for path in card], published, output)
