"""TangoFlux (arXiv 2412.21037) with its text encoder and autoencoder, from the published files."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from cafa.common.errors import WeightsError
from cafa.common.files import read_json
from cafa.models.checkpoint_reader import read_shapes, read_tensors
from cafa.models.diffusion_backbone import DiffusionBackbone
from cafa.models.encoders.oobleck import OobleckAudio
from cafa.models.encoders.oobleck_network import OobleckSettings
from cafa.models.encoders.t5 import T5Text
from cafa.models.encoders.t5_network import T5Settings
from cafa.models.interface import BackboneFacts, SamplingDefaults
from cafa.models.pretrained import HubSettings, PretrainedSettings
from cafa.models.releases import FLAN_T5_LARGE, TANGOFLUX, Release, all_parts, locate, require, require_text_encoder
from cafa.models.tangoflux.blocks import TangoFluxConditioning, TangoFluxSettings
from cafa.models.tangoflux.denoiser import TangoFluxDenoiser
from cafa.models.weights import load_strict

# Published prefix -> ours. The first is spelled as in the published checkpoint.
PREFIXES = {"duration_emebdder.": "duration.", "fc.": "pool.", "transformer.": "transformer."}
TEXT_ENCODER = "text_encoder."


class TangoFluxModel(HubSettings):
    """TangoFlux."""

    kind: Literal["tangoflux"] = "tangoflux"
    source: str = Field(TANGOFLUX.name, description="folder, or hub:owner/name")
    text_source: str = Field(FLAN_T5_LARGE.name, description="folder, or hub:owner/name of flan-T5")


class TangoFlux(DiffusionBackbone):
    """The backbone ``tangoflux``; see :class:`~cafa.models.diffusion_backbone.DiffusionBackbone`."""

    denoiser: TangoFluxDenoiser
    name = "tangoflux"
    settings: ClassVar[type[PretrainedSettings]] = TangoFluxModel
    defaults = SamplingDefaults("euler", guidance_scale=4.5)
    release: ClassVar[Release | None] = TANGOFLUX
    text_release: ClassVar[Release | None] = FLAN_T5_LARGE
    text_name, text_length = "flan_t5", 64
    #: tangoflux.safetensors may hold the text encoder's own weights
    text_files, audio_files = ("text/", "tangoflux.safetensors"), ("vae.safetensors",)

    def __init__(
        self, denoiser: TangoFluxDenoiser, audio: OobleckAudio, text: T5Text, digests: Mapping[str, str]
    ) -> None:
        super().__init__(denoiser, audio, text, digests)
        # The empty caption as the published code encodes it: padded, and the padding is not zeroed.
        self._null_states, mask = text.encode_padded([""])
        self._null_mask = mask.bool()

    @classmethod
    def files_of(
        cls,
        source: str | Path = TANGOFLUX.name,
        *,
        text_source: str | Path = FLAN_T5_LARGE.name,
        download: bool = False,
    ) -> dict[str, Path]:
        """Every file that the model is made of, by name.

        Parameters
        ----------
        source : str or Path
            Folder with ``config.json``, ``tangoflux.safetensors`` and ``vae.safetensors``; or ``hub:owner/name``, or
            the published name as it is, of what is in the local cache.
        text_source : str or Path
            Folder, or ``hub:owner/name``, of the T5 encoder, whose files are named below ``text/``; its weights are
            replaced by those in ``tangoflux.safetensors``, if any.
        download : bool
            Ask the hub for what is not in the local cache.

        Raises
        ------
        WeightsError
            Naming all that are missing.
        """

        def weights() -> dict[str, Path]:
            folder, names = locate(source, TANGOFLUX, download), TANGOFLUX.patterns
            return dict(zip(names, require(folder, names, TANGOFLUX), strict=True))

        def text() -> dict[str, Path]:
            words = locate(text_source, FLAN_T5_LARGE, download)
            return require_text_encoder(words, words, FLAN_T5_LARGE, "text/")

        return all_parts(weights, text)

    @classmethod
    def facts_of(cls, files: Mapping[str, Path]) -> BackboneFacts:
        """Sizes of the model from its configuration files and the names of its weights; no weights are read."""
        settings = _settings(files)
        file = files["vae.safetensors"]
        audio = OobleckAudio.of_sizes(_audio_settings(file))
        return BackboneFacts(
            audio.sample_rate,
            audio.channels,
            audio.samples_per_latent,
            (settings.latent_channels, settings.latents),
            (cls.text_length, settings.text_dim),
        )

    @classmethod
    def load_text(cls, files: Mapping[str, Path], device: torch.device | str = "cpu") -> T5Text:
        """The text encoder alone."""
        words, weights_file = files["text/config.json"].parent, files["tangoflux.safetensors"]
        text = T5Text.load(words, words, cls.text_length, device)
        found = read_tensors(weights_file, prefix=TEXT_ENCODER)
        if weights := {name.removeprefix(TEXT_ENCODER): value for name, value in found.items()}:
            replace_text_weights(text, weights, weights_file)
        return text

    @classmethod
    def load_audio(cls, files: Mapping[str, Path], device: torch.device | str = "cpu") -> OobleckAudio:
        """The autoencoder alone."""
        file = files["vae.safetensors"]
        return OobleckAudio.from_tensors(_audio_settings(file), read_tensors(file), file, device)

    @classmethod
    def load_denoiser(cls, files: Mapping[str, Path]) -> TangoFluxDenoiser:
        """The denoiser, float32, on the CPU."""
        file = files["tangoflux.safetensors"]
        with torch.device("meta"):
            denoiser = TangoFluxDenoiser(_settings(files))
        load_strict(denoiser, split_weights(read_tensors(file))[0], file=file)
        return denoiser

    def condition(self, text: Tensor, seconds: Tensor) -> TangoFluxConditioning:
        """Conditioning from text states and lengths (B,) in seconds, with that of the empty caption.

        The published code pads the empty caption to as many tokens as the caption has; so is it done here.
        """
        present = (text != 0).any(-1)
        text, seconds = self.for_conditioning(text, seconds)
        # Kept where they are needed: a copy to a GPU in every training step would wait for the step before.
        with torch.inference_mode(False):  # kept while sampling they must also serve training
            self._null_states, self._null_mask = self._null_states.to(text), self._null_mask.to(text.device)
        nothing = self._null_states.expand(len(text), -1, -1)
        real = self._null_mask.expand(len(text), -1)
        with torch.no_grad():  # not inference mode: training an adapter keeps these for its backward pass
            null = self.denoiser.condition(nothing, present, seconds, pooled_from=real)
            given = self.denoiser.condition(text, present, seconds)
        return replace(given, null=null)


def _settings(files: Mapping[str, Path]) -> TangoFluxSettings:
    text = T5Settings.from_file(files["text/config.json"])
    return settings_from_config(read_json(files["config.json"]), text.d_model)


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


def _audio_settings(file: Path) -> OobleckSettings:
    return OobleckSettings.from_sizes(autoencoder_sizes(read_shapes(file), file), file)


def autoencoder_sizes(shapes: Mapping[str, tuple[int, ...]], file: Path) -> dict[str, Any]:
    """Sizes of the autoencoder, by diffusers' names, from the shapes of its weights: the published files say none.

    Raises
    ------
    WeightsError
        If the names are not those of the autoencoder.
    """
    blocks = sum(
        name.startswith("encoder.block.") and name.endswith(".conv1.weight_v") and "res_unit" not in name
        for name in shapes
    )
    try:
        widths = [shapes[f"encoder.block.{index}.conv1.weight_v"] for index in range(blocks)]
        first, last = shapes["encoder.conv1.weight_v"], shapes["decoder.conv1.weight_v"]
    except KeyError as error:
        raise WeightsError(f"{file} is not the autoencoder of TangoFlux: {error} is missing") from error
    return {
        "encoder_hidden_size": first[0],
        "downsampling_ratios": [shape[2] // 2 for shape in widths],  # strided kernels are twice the stride
        "channel_multiples": [shape[0] // first[0] for shape in widths],
        "decoder_channels": shapes["decoder.conv2.weight_v"][1],
        "decoder_input_channels": last[1],
        "audio_channels": first[1],
    }
