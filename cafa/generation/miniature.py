"""Generation: the one path from (clip, caption) to a waveform, for every kind of model.

A sample depends on its seed, its caption and its clip alone: noise is drawn per item, so neither batch nor order nor
resume changes it beyond rounding (1e-5), and the same batch gives the same bits.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cafa.common.errors import InputError
from cafa.diffusion.guidance import adapter_velocity, joint_velocity, text_velocity
from cafa.diffusion.samplers import FlowModel
from cafa.diffusion.schedules import FLOW_PATHS, Velocity
from cafa.generation.interface import Request, stacked
from cafa.generation.systems import AdapterSystem, BackboneSystem, GenerativeSystem, JointSystem
from cafa.generation.windows import check_distilled, in_half_precision, sample_latents, with_defaults
from cafa.models.encoders.miniature_autoencoder import MelAutoencoder
from cafa.models.encoders.miniature_text import TextSettings, text_states
from cafa.models.interface import SamplingDefaults
from cafa.models.loading import TrainedBackbone, load_backbone, load_joint
from cafa.models.registry import open_adapter

#: How the miniature is sampled unless a system says otherwise: path of its backbone -> settings.
MINIATURE = {
    "cosine": SamplingDefaults("dpmpp_3m_sde", steps=16, guidance_scale=3.0, sigma_min=0.05, sigma_max=80.0),
    "straight": SamplingDefaults("euler", steps=16, guidance_scale=3.0),
}


@dataclass(frozen=True)
class _TrainedBackbone:
    """See :class:`cafa.models.interface.AdapterTarget`."""

    name: str
    denoiser: TrainedBackbone
    weights_sha256: str


class Generator:
    """The models of a system that was trained here from nothing (:class:`SoundGenerator`); sound is mono.

    Parameters
    ----------
    system : GenerativeSystem
    models : path
        Folder of model folders.
    device : str
    """

    def __init__(self, system: GenerativeSystem, models: str | Path, device: str = "cpu") -> None:
        models = Path(models)
        self.system, self.device = system, torch.device(device)
        _refuse_settings_of_pretrained(system)
        self.autoencoder = MelAutoencoder.load(models / "autoencoder")
        self.identity = {"autoencoder": self.autoencoder.encoder["weights_sha256"]}
        self._adapter = self._joint = None
        if isinstance(system, JointSystem):
            self._joint, card = load_joint(models / system.joint)
            self._joint.to(self.device)
            self._backbone: TrainedBackbone = self._joint.backbone
            self.identity["joint"] = card["weights_sha256"]
        else:
            self._backbone, card = load_backbone(models / system.backbone)
            self._backbone.to(self.device)
            self.identity["backbone"] = card["weights_sha256"]
            if isinstance(system, AdapterSystem):
                target = _TrainedBackbone(card["kind"], self._backbone, card["weights_sha256"])
                self._adapter, card = open_adapter(models / system.adapter, target, self.device)
                self.identity["adapter"] = card["weights_sha256"]
        sees = not isinstance(system, BackboneSystem)
        if sees and "video_kinds" not in card:
            raise InputError(
                f"the {card['kind']} in {models} does not say which video features it wants: train it again"
            )
        self.video_kinds: tuple[str, ...] = tuple(card["video_kinds"]) if sees else ()
        self.inputs: dict[str, str] = {kind: card["inputs"][kind] for kind in ("text", *self.video_kinds)}
        self.seconds: float = card["settings"]["seconds"]
        self.sample_rate = self.autoencoder.settings.mel.sample_rate
        self.text_shape: tuple[int, int] = tuple(card["text_shape"])
        self.how = with_defaults(
            system.sampling, MINIATURE[self._backbone.flow_path], getattr(system, "asymmetric_scale", None)
        )
        if isinstance(system, AdapterSystem):
            check_distilled(card, system.adapter, self.how)
        self.identity["how"] = asdict(self.how)

    def encode_text(self, prompt: str) -> np.ndarray:
        """See :class:`SoundGenerator`; hashed words, of which a prompt has at least one."""
        words, dim = self.text_shape
        return text_states(prompt, TextSettings(words=words, dim=dim))

    def part_read(self, prompt: str) -> str:
        """See :class:`SoundGenerator`; a prompt that is too long is refused, none is cut."""
        self.encode_text(prompt)
        return prompt

    def _velocity(self, conditioning: Any, video: Tensor | None, negative: Any | None) -> Velocity:
        scale = self.how.guidance_scale
        if video is None:
            return text_velocity(self._backbone, conditioning, scale, negative)
        if self._joint is not None:
            return joint_velocity(self._joint, conditioning, video, scale, negative)
        assert self._adapter is not None
        gamma = self.how.asymmetric_scale
        return adapter_velocity(self._backbone, self._adapter, conditioning, video, scale, gamma, negative)

    def _condition(self, text: Tensor) -> Any:
        return self._backbone.of_captions(text, torch.full((len(text),), self.seconds, device=self.device))

    @torch.inference_mode()
    def latents(self, requests: Sequence[Request]) -> np.ndarray:
        """Latents of a batch, float32 (B, T, C)."""
        text, video, negative = stacked(requests, bool(self.video_kinds), self.device)
        against = None if negative is None else self._condition(negative)
        velocity = self._velocity(self._condition(text), video, against)
        if self.system.sampling.half:
            velocity = in_half_precision(velocity, self.device)
        shape = (self._backbone.settings.latent_channels, self._backbone.settings.latents)
        model = FlowModel(velocity, FLOW_PATHS[self._backbone.flow_path])
        x = sample_latents(model, [request.seed for request in requests], shape, self.how, self.device)
        return x.transpose(1, 2).float().cpu().numpy()

    def generate(self, requests: Sequence[Request]) -> list[np.ndarray]:
        """Waveforms of a batch, each float32 (samples,)."""
        latents = self.latents(requests)
        return [self.autoencoder.decode(z, request.seed) for z, request in zip(latents, requests, strict=True)]

    def pieces(self, requests: Sequence[Request]) -> list[np.ndarray]:
        """See :class:`SoundGenerator`; the miniature's autoencoder keeps the level."""
        return self.generate(requests)

    def level(self, sound: np.ndarray) -> np.ndarray:
        """See :class:`SoundGenerator`."""
        return sound / max(1.0, float(np.abs(sound).max(initial=0.0)) / 0.99)


def _refuse_settings_of_pretrained(system: GenerativeSystem) -> None:
    sampling = system.sampling
    if sampling.preset != "ours" or sampling.latents is not None or sampling.seconds is not None:
        raise InputError(
            "the settings `preset: official`, `latents` and `seconds` are for pretrained backbones: a model that was "
            "trained here from nothing knows the window it was trained with"
        )
    for name in ("compiled", "tf32", "attention"):
        if getattr(sampling, name):
            raise InputError(f"the setting `{name}` is for pretrained backbones: it would save nothing in this model")
