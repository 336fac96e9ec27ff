"""Training of the miniature's CLIP."""

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from cafa.common.devices import sent
from cafa.common.errors import InputError
from cafa.features.store import FeatureStore
from cafa.models.encoders.miniature_clip import CLIP, KIND, CLIPSettings
from cafa.training.batches import EpochOrder, clips_with_features, text_ids_of
from cafa.training.contrastive import EncoderTraining, train_encoder
from cafa.training.generator import TrainingRun, seeded


class CLIPTraining(EncoderTraining):
    """Settings of the training of the miniature's CLIP."""

    model: CLIPSettings = Field(default_factory=CLIPSettings, description="size of the encoder")


def train_clip(
    settings: CLIPTraining, manifest: pd.DataFrame, frames: FeatureStore, text: FeatureStore, run: TrainingRun
) -> None:
    """Train the towers of pictures and captions contrastively and write the model folder.

    A step sees one frame of each clip of its batch, drawn at random, and the clip's caption.

    Parameters
    ----------
    settings : CLIPTraining
    manifest : DataFrame
    frames : FeatureStore
        Pictures, uint8 (F, 32, 32, 3).
    text : FeatureStore
        States of the captions, (L, text_dim), by :func:`cafa.features.text.text_id`.
    run : TrainingRun

    Raises
    ------
    InputError
        If the states have another width than the settings say.
    MissingClipError
        If no clip of the split has pictures, or a caption has no states.
    """
    if text.shape[-1] != settings.model.text_dim:
        raise InputError(
            f"text states have width {text.shape[-1]}, text_dim of the settings is {settings.model.text_dim}: set "
            "it to the width of the states (features.text.dim of a configuration)"
        )
    rows = clips_with_features(manifest, settings.split, [frames])
    clips, told = rows["clip_id"].tolist(), text_ids_of(rows, text)
    order = EpochOrder(len(clips), settings.loop.batch_size, run.seed)
    device = torch.device(run.device)
    model = seeded(run.seed, lambda: CLIP(settings.model)).to(device)

    def make_batch(index: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = order.batch(index)
        places = torch.randint(frames.shape[0], (len(chosen),), generator=generator).tolist()
        pictures = np.stack([frames[clips[p]][place] for p, place in zip(chosen, places, strict=True)])
        states = torch.from_numpy(text.stack([told[p] for p in chosen])).float()
        return sent(torch.from_numpy(pictures), device), sent(states, device)

    inputs = {"frames": frames.encoder_digest, "text": text.encoder_digest}
    train_encoder(
        KIND,
        model,
        lambda model, batch: model.contrastive_loss(*batch),
        make_batch,
        settings,
        run,
        data=rows[["clip_id", "caption"]].to_numpy().tolist(),
        inputs=inputs,
    )
