"""The frozen backbone that an adapter is trained on, trained here or registered, seen from training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cafa.common.errors import InputError
from cafa.common.files import digest_of
from cafa.features.store import FeatureStore
from cafa.models.interface import Conditioning, DenoiserModule
from cafa.models.loading import load_backbone
from cafa.models.registry import is_registered, open_backbone
from cafa.training.silence import Silence


@dataclass(frozen=True)
class FrozenBackbone:
    """What training needs of a backbone; its encoders are not kept.

    Parameters
    ----------
    name : str
        ``stable_audio_backbone`` or ``rectified_flow_backbone`` (trained here), or a name in
        :data:`cafa.models.backbones.BACKBONES`.
    weights_sha256 : str
    encoder_digests : mapping of str to str
        Digests that feature files of ``latents`` and ``text`` must have.
    denoiser : Denoiser
    condition : callable (text (B, L, D), seconds (B,)) -> conditioning
    silence : Silence, optional
        What follows latents that are stored without it.
    """

    name: str
    weights_sha256: str
    encoder_digests: Mapping[str, str]
    denoiser: DenoiserModule
    condition: Callable[[Tensor, Tensor], Conditioning]
    silence: Silence | None = None

    def check(self, latents: FeatureStore, text: FeatureStore, window: int | None) -> None:
        """Refuse features of other encoders than those that it was trained with, or of another length.

        Parameters
        ----------
        latents, text : FeatureStore
        window : int, optional
            Latents that the adapter is to be trained with; by default the backbone's longest.

        Raises
        ------
        InputError
        """
        for name, store in {"latents": latents, "text": text}.items():
            wanted = self.encoder_digests[name]
            if store.encoder_digest != wanted:
                raise InputError(
                    f"{name} features were made by encoder {store.encoder} (digest {store.encoder_digest[:12]}), but "
                    f"the backbone {self.name} was trained with digest {wanted[:12]}: make the features with that "
                    "encoder, or train the backbone again"
                )
        longest = self.denoiser.settings.latents
        asked, stored = window or longest, latents.shape[0]
        fits = stored == asked or (stored < asked and self.silence is not None)
        if not fits or asked > longest:
            raise InputError(
                f"{stored} latents per clip are stored, the adapter is to be trained with {asked}, and the backbone "
                f"takes {longest} at most: set latents in the adapter's settings to what is stored, or encode clips of "
                "another length"
            )


def open_frozen(
    folder: str | Path, device: torch.device, stored: int | None = None, window: int | None = None
) -> FrozenBackbone:
    """Open a model folder that holds a trained or a registered backbone, frozen.

    Parameters
    ----------
    folder : path
    device : torch.device
    stored : int, optional
        Latents that are stored of a clip.
    window : int, optional
        Latents to train with, by default the backbone's longest. Where fewer are stored, a registered backbone's
        autoencoder encodes the silence that follows them.

    Raises
    ------
    WeightsError
        If it holds neither, or a file is missing or is not what the card says.
    """
    if not is_registered(folder):
        own, card = load_backbone(folder)
        own.to(device)
        digests = {name: card["inputs"][name] for name in ("latents", "text")}
        return FrozenBackbone(card["kind"], card["weights_sha256"], digests, own, own.of_captions)
    opened = open_backbone(folder)
    silence, length = None, min(window or opened.latents, opened.latents)
    if stored is not None and stored < length:
        silence = Silence.of(opened.audio.to(device), length)
    # Neither is run in training: their memory is for the adapter.
    del opened.audio, opened.text
    opened.denoiser.to(device)
    digests = {name: digest_of(opened.encoders[name]) for name in ("latents", "text")}
    sha256 = opened.identity["weights_sha256"]
    return FrozenBackbone(opened.name, sha256, digests, opened.denoiser, opened.condition, silence)
