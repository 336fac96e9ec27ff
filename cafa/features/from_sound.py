"""Latents of normalised clips: the frozen autoencoder of a pretrained backbone."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from cafa.common.seeds import seed_for
from cafa.common.stages import stage_version
from cafa.features.encode import EncodeSettings, Encoding
from cafa.features.store import FeatureFormat
from cafa.media.clip_reading import IngestedClip, SoundReader
from cafa.models.interface import AudioAutoencoder

KIND = "latents"


def latents_encoding(
    audio: AudioAutoencoder, identity: dict[str, Any], clips: str | Path, settings: EncodeSettings
) -> Encoding:
    """Latents, float16 (T, C), one draw from the posterior per clip, used in every epoch.

    Parameters
    ----------
    audio : AudioAutoencoder
    identity : dict
        What the features are stamped with.
    clips : path
        Folder of normalised clips of the shard.
    settings : EncodeSettings
        10 s are 216 latents: the sound is followed by silence up to a whole number of latents.
    """
    samples = round(settings.seconds * audio.sample_rate)
    shape = (-(-samples // audio.samples_per_latent), audio.latent_channels)
    how = {"seconds": settings.seconds, "pad_short": settings.pad_short}
    code = stage_version("encode_latents")

    def encode(mine: list[IngestedClip], sounds: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
        # One clip per pass: convolutions are chosen by the size of the batch, and with them the last bits.
        found = [
            audio.encode(torch.from_numpy(np.array(sound))[None], [seed_for(0, KIND, clip.clip_id)])
            for clip, sound in zip(mine, sounds, strict=True)
        ]
        return [{KIND: latents[0].T.float().cpu().numpy()} for latents in found]

    reader = SoundReader(Path(clips), audio.sample_rate, audio.channels, settings.seconds, settings.pad_short)
    return Encoding(
        stage=f"features {KIND}",
        formats={KIND: FeatureFormat(KIND, shape, "float16", identity, how, code=code)},
        sources={KIND: "sound_sha256"},
        read=reader,
        encode=encode,
    )
