"""Generation: the one path from (clip, caption) to a waveform, for every kind of model.

A sample depends on its seed, its caption and its clip alone: noise is drawn per item, so neither batch nor order nor
resume changes it beyond rounding (1e-5), and the same batch gives the same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cafa.backbones.stable_audio import Conditioning, StableAudioBackbone
from cafa.errors import InputError
from cafa.features.mel_autoencoder import MelAutoencoder
from cafa.guidance import adapter_velocity, joint_velocity, text_velocity
from cafa.samplers import per_item_noise, sample_stable_audio
from cafa.schedules import Velocity
from cafa.systems import AdapterSystem, BackboneSystem, GenerativeSystem, JointSystem
from cafa.trained import load_adapter, load_backbone, load_joint


@dataclass(frozen=True)
class Request:
    """What to generate for one item.

    Parameters
    ----------
    text : ndarray, (L, text_dim)
        Text states of the caption.
    video : ndarray, (F, feature_dim), or None
        Video features; None only for a text-only system.
    seed : int
    negative : ndarray, (L, text_dim), optional
        Text states of a negative prompt, which then takes the place of the null text.
    """

    text: np.ndarray
    video: np.ndarray | None
    seed: int
    negative: np.ndarray | None = None


class Generator:
    """A system's models, loaded once.

    Parameters
    ----------
    system : GenerativeSystem
    models : path
        Folder of model folders.
    device : str

    Attributes
    ----------
    inputs : dict of str to str
        Encoder digests that the features of requests must have (``text``, ``video``).
    seconds : float
        Length of what is generated.
    sample_rate : int
    """

    def __init__(self, system: GenerativeSystem, models: str | Path, device: str = "cpu") -> None:
        models = Path(models)
        self.system, self.device = system, torch.device(device)
        self.autoencoder = MelAutoencoder.load(models / "autoencoder")
        self._adapter = self._joint = None
        if isinstance(system, JointSystem):
            self._joint, card = load_joint(models / system.joint)
            self._joint.to(self.device)
            self._backbone: StableAudioBackbone = self._joint.backbone
        else:
            self._backbone, card = load_backbone(models / system.backbone)
            self._backbone.to(self.device)
            if isinstance(system, AdapterSystem):
                self._adapter, adapter_card = load_adapter(models / system.adapter, self._backbone)
                self._adapter.to(self.device)
                if adapter_card["backbone_sha256"] != card["weights_sha256"]:
                    raise InputError(
                        f"adapter {system.adapter} was trained on another backbone than {system.backbone}: train it "
                        "again, or name the backbone it belongs to"
                    )
                card = adapter_card
        self.inputs: dict[str, str] = card["inputs"]
        self.seconds: float = card["settings"]["seconds"]
        self.sample_rate = self.autoencoder.settings.mel.sample_rate
        #: (words, width) of the text states
        self.text_shape: tuple[int, int] = tuple(card["text_shape"])
        self.needs_video = not isinstance(system, BackboneSystem)

    def _velocity(self, conditioning: Conditioning, video: Tensor | None, negative: Conditioning | None) -> Velocity:
        system, scale = self.system, self.system.sampling.guidance_scale
        if isinstance(system, BackboneSystem):
            return text_velocity(self._backbone, conditioning, scale, negative)
        assert video is not None
        if isinstance(system, JointSystem):
            assert self._joint is not None
            return joint_velocity(self._joint, conditioning, video, scale, negative)
        assert self._adapter is not None
        return adapter_velocity(
            self._backbone, self._adapter, conditioning, video, scale, system.asymmetric_scale, negative
        )

    def _condition(self, texts: Sequence[np.ndarray]) -> Conditioning:
        zero = torch.zeros(len(texts), device=self.device)
        return self._backbone.condition(_stack(texts, self.device), zero, zero + self.seconds)

    @torch.inference_mode()
    def latents(self, requests: Sequence[Request]) -> np.ndarray:
        """Latents of a batch, float32 (B, T, C)."""
        conditioning = self._condition([request.text for request in requests])
        negative = None
        negatives = [request.negative for request in requests if request.negative is not None]
        if negatives:
            if len(negatives) < len(requests):
                raise InputError("either every request of a batch has a negative prompt, or none has")
            negative = self._condition(negatives)
        video = None
        if self.needs_video:
            if any(request.video is None for request in requests):
                raise InputError(f"a system of kind {self.system.kind!r} needs video features for every item")
            video = _stack([request.video for request in requests], self.device)
        channels, length = self._backbone.settings.latent_channels, self._backbone.settings.latents
        seeds = [request.seed for request in requests]
        velocity = self._velocity(conditioning, video, negative)
        how = self.system.sampling.model_dump(exclude={"guidance_scale"})
        x = sample_stable_audio(velocity, per_item_noise(seeds, (channels, length), self.device), **how)
        return x.transpose(1, 2).float().cpu().numpy()

    def generate(self, requests: Sequence[Request]) -> list[np.ndarray]:
        """Waveforms of a batch, each float32 (samples,)."""
        latents = self.latents(requests)
        return [self.autoencoder.decode(z, request.seed) for z, request in zip(latents, requests, strict=True)]


def _stack(arrays: Sequence[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(np.stack(arrays).astype(np.float32)).to(device)
