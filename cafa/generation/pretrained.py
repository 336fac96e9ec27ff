"""Generation with a registered backbone, with or without an adapter, published or trained here."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cafa.common.devices import arithmetic
from cafa.common.errors import InputError
from cafa.common.files import digest_of
from cafa.generation.fitting_batches import FittingBatches
from cafa.generation.interface import Request, stacked
from cafa.generation.systems import AdapterSystem, BackboneSystem, Sampling
from cafa.generation.windows import OURS, begin_windows, check_distilled, with_defaults
from cafa.media.sound import FULL_SCALE
from cafa.models.interface import WindowSetting
from cafa.models.precision import half_type, hold_linear_layers
from cafa.models.registry import (
    encoder_digest,
    is_registered,
    open_adapter,
    open_backbone,
    registered_card,
)
from cafa.models.video_encoders import VIDEO_ENCODERS

#: Seconds of sound where no card says so: what the published adapter makes.
SECONDS = 10.0


class PretrainedGenerator:
    """The models of a system with a registered backbone (:class:`~cafa.generation.interface.SoundGenerator`).

    Parameters
    ----------
    system : AdapterSystem or BackboneSystem
    models : path
        Folder of model folders: the backbone, the adapter, and for a published adapter the encoder ``av_clip``.
    device : str

    Raises
    ------
    WeightsError
        If a model is not there, or not what its card says.
    InputError
        If the models do not belong together, or the preset is not for them.
    """

    def __init__(self, system: AdapterSystem | BackboneSystem, models: str | Path, device: str = "cpu") -> None:
        models, sampling = Path(models), system.sampling
        self.backbone, self.device = open_backbone(models / system.backbone, device), torch.device(device)
        self.inputs = {"text": digest_of(self.backbone.encoders["text"])}
        self.identity: dict[str, Any] = {"backbone": self.backbone.identity["weights_sha256"]}
        self.video_kinds: tuple[str, ...] = ()
        self.seconds, self._adapter = SECONDS, None
        if isinstance(system, AdapterSystem):
            self._adapter, card = open_adapter(models / system.adapter, self.backbone, device)
            self._take_card(card, models, system)
        self.seconds = sampling.seconds or self.seconds
        self.official, self._half = sampling.preset == "official", sampling.half
        self._prepare_networks(sampling)
        official = self.backbone.published_window
        if self.official and official is None:
            raise InputError(f"the official preset is not for {self.backbone.name}, which CAFA's published code lacks")
        if self.official and self.seconds > SECONDS:
            raise InputError(f"the official preset makes {SECONDS:g} s at most, {self.seconds:g} s are wanted")
        setting: WindowSetting = official if self.official and official is not None else OURS
        self.setting = setting.model_copy(update={"latents": sampling.latents or setting.latents})
        self.how = with_defaults(sampling, self.backbone.defaults, getattr(system, "asymmetric_scale", None))
        if isinstance(system, AdapterSystem):
            check_distilled(card, system.adapter, self.how)
        self.identity |= {"how": asdict(self.how), "setting": self.setting.model_dump(mode="json"), "half": self._half}
        self._tf32, self._attention = sampling.tf32, sampling.attention
        self._in_parts = FittingBatches("window")
        faster = {"compiled": sampling.compiled, "tf32": sampling.tf32, "attention": sampling.attention}
        self.identity |= {name: value for name, value in faster.items() if value}
        self.sample_rate: int = self.backbone.sample_rate
        self.text_shape: tuple[int, int] = self.backbone.text_shape

    def _prepare_networks(self, sampling: Sampling) -> None:
        """Weights in 16 bits, and compiled blocks, where that is asked for."""
        networks = [self.backbone.denoiser, *([self._adapter] if self._adapter is not None else [])]
        if sampling.half:
            adapter = [self._adapter] if isinstance(self._adapter, nn.Module) else []
            hold_linear_layers([*self.backbone.denoiser.transformer_blocks(), *adapter], half_type(self.device))
        if sampling.compiled:
            for network in networks:
                network.compile_blocks()

    def _take_card(self, card: dict[str, Any], models: Path, system: AdapterSystem) -> None:
        """What the adapter wants to be given."""
        self.video_kinds = tuple(card["video_kinds"])
        self.identity["adapter"] = card["weights_sha256"]
        if is_registered(models / system.adapter):  # its card cannot know where the encoders are registered
            given = {kind: registered_card(models / kind, VIDEO_ENCODERS) for kind in self.video_kinds}
            self.inputs |= {kind: encoder_digest(encoder, kind) for kind, encoder in given.items()}
            return
        if card["inputs"]["text"] != self.inputs["text"]:
            raise InputError(
                f"adapter {system.adapter} was trained with text states of another encoder than that of "
                f"{system.backbone}: train it again, or register the backbone with the same text encoder"
            )
        self.inputs |= {kind: card["inputs"][kind] for kind in self.video_kinds}
        self.seconds = card["settings"]["seconds"]

    def encode_text(self, prompt: str) -> np.ndarray:
        """See :class:`~cafa.generation.interface.SoundGenerator`.

        Raises
        ------
        InputError
            If the prompt is empty.
        """
        _require_word(prompt)
        return self.backbone.encode_text([prompt])[0].cpu().numpy()

    def part_read(self, prompt: str) -> str:
        """See :class:`~cafa.generation.interface.SoundGenerator`."""
        _require_word(prompt)
        return self.backbone.part_read(prompt)

    def _windows(self, requests: Sequence[Request], setting: WindowSetting) -> Callable[[], list[np.ndarray]]:
        """Sample a batch, in as many parts as memory asks for; what is returned decodes it."""
        if setting.published_guidance and self.how.guidance_scale == 1:
            return self._begun(requests, setting)  # there the published code's sound depends on its place in the batch
        parts = self._in_parts(lambda part: self._begun(part, setting), requests)
        return lambda: [sound for decode in parts for sound in decode()]

    def _begun(self, requests: Sequence[Request], setting: WindowSetting) -> Callable[[], list[np.ndarray]]:
        text, video, negative = stacked(requests, bool(self.video_kinds), self.device)
        with arithmetic(self._tf32, self._attention):  # of the blocks; decoders are convolutions
            return begin_windows(
                self.backbone,
                text,
                self.seconds,
                [request.seed for request in requests],
                adapter=self._adapter,
                features=video,
                negative=negative,
                setting=setting,
                defaults=self.how,
                half=self._half,
            )

    def begin(self, requests: Sequence[Request]) -> Callable[[], list[np.ndarray]]:
        """Sample a batch; what is returned decodes it, as :meth:`generate` gives it, and may be called in a thread."""
        decode = self._windows(requests, self.setting)

        def waveforms() -> list[np.ndarray]:
            if self.setting.samples == "int16":
                return [sound.astype(np.float32) / 32768 for sound in decode()]
            return [sound * np.float32(FULL_SCALE) for sound in decode()]

        return waveforms

    def generate(self, requests: Sequence[Request]) -> list[np.ndarray]:
        """Waveforms of a batch, each float32 (channels, samples); a file of 16 bits holds them without a change."""
        return self.begin(requests)()

    def pieces(self, requests: Sequence[Request]) -> list[np.ndarray]:
        """See :class:`~cafa.generation.interface.SoundGenerator`; the official preset knows single windows only."""
        if self.official:
            return self.generate(requests)
        return self._windows(requests, self.setting.model_copy(update={"peak": "none"}))()

    def level(self, sound: np.ndarray) -> np.ndarray:
        """See :class:`~cafa.generation.interface.SoundGenerator`: the peak is brought to full scale."""
        if self.official:
            return sound
        return sound * np.float32(FULL_SCALE / (np.abs(sound).max(initial=0.0) + 1e-8))


def _require_word(prompt: str) -> None:
    if not prompt.strip():
        raise InputError("a prompt must have at least one word")
