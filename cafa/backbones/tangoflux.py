"""TangoFlux (arXiv 2412.21037) with its text encoder and autoencoder, from the published files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderOobleck
from safetensors.torch import load_file
from torch import Tensor

from cafa.backbones.audio import OobleckAudio
from cafa.backbones.interface import SamplingDefaults
from cafa.backbones.sources import FLAN_T5_LARGE, TANGOFLUX, checked_sha256, locate, require
from cafa.backbones.stable_audio_open import assign
from cafa.backbones.tangoflux_denoiser import TangoFluxConditioning, TangoFluxDenoiser, TangoFluxSettings
from cafa.errors import WeightsError
from cafa.features.text_t5 import T5Text
from cafa.files import read_json

TEXT_LENGTH = 64
# Published prefix -> ours. The first is spelled as in the published checkpoint.
PREFIXES = {"duration_emebdder.": "duration.", "fc.": "pool.", "transformer.": "transformer."}
TEXT_ENCODER = "text_encoder."


class TangoFlux:
    """The backbone ``tangoflux`` (:class:`~cafa.backbones.interface.Backbone`).

    Parameters
    ----------
    denoiser : TangoFluxDenoiser
    audio : OobleckAudio
    text : T5Text
    identity : dict
        Names and SHA-256 of the weights.
    """

    name = "tangoflux"
    defaults = SamplingDefaults("euler", guidance_scale=4.5)

    def __init__(
        self, denoiser: TangoFluxDenoiser, audio: OobleckAudio, text: T5Text, identity: dict[str, Any]
    ) -> None:
        self.denoiser = denoiser.requires_grad_(False).eval()
        self.audio, self.text = audio, text
        self.identity = {"name": self.name, **identity}
        self.sample_rate, self.samples_per_latent = audio.sample_rate, audio.samples_per_latent
        self.latent_channels, self.latents = denoiser.settings.latent_channels, denoiser.settings.latents
        # The empty caption as the published code encodes it: padded, and the padding is not zeroed.
        self._null_states, mask = text.encode_padded([""])
        self._null_mask = mask.bool()

    @classmethod
    def load(
        cls,
        source: str | Path = TANGOFLUX.name,
        *,
        text_source: str | Path = FLAN_T5_LARGE.name,
        download: bool = False,
        device: torch.device | str = "cpu",
        sha256: Mapping[str, str] | None = None,
    ) -> "TangoFlux":
        """Load from a local folder or a hub id.

        Parameters
        ----------
        source : str or Path
            Folder with ``config.json``, ``tangoflux.safetensors`` and ``vae.safetensors``, or a hub id.
        text_source : str or Path
            Folder or hub id of the T5 encoder; its weights are replaced by those in ``tangoflux.safetensors``, if any.
        download : bool
            Ask the hub for what is not in the local cache.
        device : torch.device or str
            Weights are float32; 16 bits are a matter of sampling (:func:`cafa.sampling.generate_windows`).
        sha256 : mapping, optional
            Known digests by file name, to be checked.

        Raises
        ------
        WeightsError
            If something is missing or is not what it should be; says what to do.
        """
        folder = locate(source, TANGOFLUX, download)
        config, weights_file, autoencoder_file = require(folder, TANGOFLUX.patterns, TANGOFLUX)
        words = locate(text_source, FLAN_T5_LARGE, download)
        text = T5Text.load(words, words, TEXT_LENGTH, device)
        denoiser_weights, text_weights = split_weights(load_file(weights_file))
        if text_weights:
            replace_text_weights(text, text_weights, weights_file)
        settings = settings_from_config(read_json(config), text.encoder.config.d_model)
        autoencoder_weights = load_file(autoencoder_file)
        with torch.device("meta"):
            denoiser = TangoFluxDenoiser(settings)
            autoencoder = AutoencoderOobleck(**autoencoder_sizes(autoencoder_weights, autoencoder_file))
        assign(denoiser, denoiser_weights, weights_file)
        assign(autoencoder, autoencoder_weights, autoencoder_file)
        identity = {"weights_sha256": checked_sha256([weights_file, autoencoder_file], sha256 or {})}
        return cls(denoiser.to(device), OobleckAudio(autoencoder.to(device)), text, identity)

    def encode_text(self, captions: Sequence[str]) -> Tensor:
        """States of flan-T5, (B, 64, 1024), zero at padded positions (which the denoiser never sees)."""
        return self.text.encode(captions)

    def condition(self, text: Tensor, seconds: Tensor) -> TangoFluxConditioning:
        """Conditioning from text states and lengths (B,) in seconds, with that of the empty caption.

        The published code pads the empty caption to as many tokens as the caption has; so is it done here.
        """
        parameter = next(self.denoiser.parameters())
        present = (text != 0).any(-1).to(parameter.device)
        text, seconds = text.to(parameter), seconds.to(parameter.device)
        nothing = self._null_states.to(parameter).expand(len(text), -1, -1)
        real = self._null_mask.to(parameter.device).expand(len(text), -1)
        with torch.inference_mode():
            null = self.denoiser.condition(nothing, present, seconds, pooled_from=real)
            told = self.denoiser.condition(text, present, seconds)
        return TangoFluxConditioning(told.context, told.present, told.pooled, null)

    def encode_audio(self, waveform: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """Latents (B, 64, T) of sound (B, 2, N); see :meth:`OobleckAudio.encode`."""
        return self.audio.encode(waveform, seeds)

    def decode_audio(self, latents: Tensor) -> Tensor:
        """Sound (B, 2, T * 2048) of latents (B, 64, T)."""
        return self.audio.decode(latents)


def split_weights(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights of denoiser and text encoder, under our names.

    Raises
    ------
    WeightsError
        If a name belongs to neither.
    """
    denoiser: dict[str, Tensor] = {}
    text: dict[str, Tensor] = {}
    for name, value in tensors.items():
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if prefix is not None:
            denoiser[PREFIXES[prefix] + name.removeprefix(prefix)] = value
        elif name.startswith(TEXT_ENCODER):
            text[name.removeprefix(TEXT_ENCODER)] = value
        else:
            raise WeightsError(f"{name} is not a name of a published TangoFlux checkpoint")
    return denoiser, text


def replace_text_weights(text: T5Text, tensors: Mapping[str, Tensor], file: Path) -> None:
    """Put the text encoder of a checkpoint in place of the given one; the shared embedding may be stored once."""
    missing, unknown = text.encoder.load_state_dict(dict(tensors), strict=False)
    odd = [*unknown, *(name for name in missing if name != "encoder.embed_tokens.weight")]
    if odd:
        raise WeightsError(f"{file} holds another text encoder than the given one: {', '.join(odd[:4])}")


def settings_from_config(config: Mapping[str, Any], text_dim: int) -> TangoFluxSettings:
    """Size of the denoiser from the published ``config.json``; what it does not say is the published default."""
    names = {
        "latent_channels": "in_channels",
        "latents": "audio_seq_len",
        "double_blocks": "num_layers",
        "single_blocks": "num_single_layers",
        "heads": "num_attention_heads",
        "head_dim": "attention_head_dim",
        "joint_dim": "joint_attention_dim",
        "maximum_seconds": "max_duration",
    }
    given = {ours: config[theirs] for ours, theirs in names.items() if theirs in config}
    if "axes_dims_rope" in config:
        given["rotary_axes"] = tuple(config["axes_dims_rope"])
    return TangoFluxSettings(text_dim=text_dim, **given)


def autoencoder_sizes(tensors: Mapping[str, Tensor], file: Path) -> dict[str, Any]:
    """Arguments of ``AutoencoderOobleck`` from its weights: the published files do not say them.

    Raises
    ------
    WeightsError
        If the names are not those of the autoencoder.
    """
    blocks = sum(name.startswith("encoder.block.") and name.endswith(".conv1.weight_v") and "res_unit" not in name
                 for name in tensors)  # fmt: skip
    try:
        widths = [tensors[f"encoder.block.{index}.conv1.weight_v"].shape for index in range(blocks)]
        first, last = tensors["encoder.conv1.weight_v"].shape, tensors["decoder.conv1.weight_v"].shape
    except KeyError as error:
        raise WeightsError(f"{file} is not the autoencoder of TangoFlux: {error} is missing") from error
    return {
        "encoder_hidden_size": first[0],
        "downsampling_ratios": [shape[2] // 2 for shape in widths],  # strided kernels are twice the stride
        "channel_multiples": [shape[0] // first[0] for shape in widths],
        "decoder_channels": tensors["decoder.conv2.weight_v"].shape[1],
        "decoder_input_channels": last[1],
        "audio_channels": first[1],
    }
