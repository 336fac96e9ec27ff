"""Trainings of the miniature's models from files; that of adapters is in :mod:`cafa.training.job`."""

from collections.abc import Sequence
from pathlib import Path

from cafa.common.folder_lock import only_writer_in
from cafa.data.manifest import read_manifest
from cafa.features.store import FeatureStore
from cafa.models.encoders.miniature_autoencoder import AutoencoderSettings, fit_autoencoder
from cafa.training.av_clip import AVClipTraining, train_av_clip
from cafa.training.backbone import BackboneTraining, train_backbone
from cafa.training.batches import clips_with_features
from cafa.training.clip import CLIPTraining, train_clip
from cafa.training.generator import TrainingRun
from cafa.training.joint import JointTraining, train_joint
from cafa.training.training_files import TrainingFiles


def train_autoencoder_from_files(
    settings: AutoencoderSettings,
    manifest: str | Path,
    mel: Sequence[str | Path],
    *,
    split: str,
    seed: int,
    output: str | Path,
) -> None:
    """Fit the autoencoder of log-mels.

    Parameters
    ----------
    settings : AutoencoderSettings
    manifest : path
    mel : sequence of path
        Feature files of log-mels.
    split : str
        Split of the manifest to fit on.
    seed : int
        Recorded; the fit draws nothing.
    output : path
        Model folder to write.
    """
    store = FeatureStore(mel)
    clips = clips_with_features(read_manifest(manifest), split, [store])["clip_id"]
    card = {"seed": seed, "clips": len(clips), "inputs": {"mel": store.encoder_digest}}
    with only_writer_in(output):
        fit_autoencoder((store[clip_id] for clip_id in clips), settings, output, card)


def train_av_clip_from_files(
    settings: AVClipTraining,
    manifest: str | Path,
    frames: Sequence[str | Path],
    mel: Sequence[str | Path],
    run: TrainingRun,
) -> None:
    """Train AV-CLIP contrastively on segments of video and sound.

    Parameters
    ----------
    settings : AVClipTraining
    manifest : path
    frames, mel : sequence of path
        Feature files of frames and of log-mels.
    run : TrainingRun
    """
    frame_store, mel_store = FeatureStore(frames), FeatureStore(mel)
    with only_writer_in(run.output):
        train_av_clip(settings, read_manifest(manifest), frame_store, mel_store, run)


def train_clip_from_files(
    settings: CLIPTraining,
    manifest: str | Path,
    frames: Sequence[str | Path],
    text: Sequence[str | Path],
    run: TrainingRun,
) -> None:
    """Train CLIP contrastively on frames and the captions of their clips.

    Parameters
    ----------
    settings : CLIPTraining
    manifest : path
    frames, text : sequence of path
        Feature files of frames and of text states.
    run : TrainingRun
    """
    frame_store, text_store = FeatureStore(frames), FeatureStore(text)
    with only_writer_in(run.output):
        train_clip(settings, read_manifest(manifest), frame_store, text_store, run)


def train_backbone_from_files(settings: BackboneTraining, files: TrainingFiles, run: TrainingRun) -> None:
    """Train a text-to-audio backbone on sound and captions only.

    Parameters
    ----------
    settings : BackboneTraining
    files : TrainingFiles
        Those of video features are not read.
    run : TrainingRun
    """
    latents, text = FeatureStore(files.latents), FeatureStore(files.text)
    with only_writer_in(run.output):
        train_backbone(
            settings,
            files.rows(),
            latents,
            text,
            seed=run.seed,
            output=run.output,
            device=run.device,
            dataset=files.dataset,
        )


def train_joint_from_files(settings: JointTraining, files: TrainingFiles, run: TrainingRun) -> None:
    """Train a joint model of video and text from scratch.

    Parameters
    ----------
    settings : JointTraining
    files : TrainingFiles
    run : TrainingRun
    """
    latents, text, video = FeatureStore(files.latents), FeatureStore(files.text), FeatureStore(files.video)
    with only_writer_in(run.output):
        train_joint(
            settings,
            files.rows(),
            latents,
            text,
            video,
            seed=run.seed,
            output=run.output,
            device=run.device,
            dataset=files.dataset,
        )
