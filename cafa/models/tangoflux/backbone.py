"""TangoFlux (arXiv 2412.21037) with its text encoder and autoencoder, from the published files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderOobleck
from torch import Tensor
from transformers import T5Config

from cafa.common.errors import WeightsError
from cafa.common.files import digest_of, read_json
from cafa.models.checkpoint_reader import read_shapes, read_tensors
from cafa.models.encoders.oobleck import OobleckAudio
from cafa.models.encoders.t5 import T5Text
from cafa.models.interface import BackboneFacts, SamplingDefaults
from cafa.models.releases import (
    FLAN_T5_LARGE,
    TANGOFLUX,
    all_parts,
    checked_sha256,
    locate,
    part_digest,
    require,
    require_text_encoder,
)
from cafa.models.tangoflux.denoiser import TangoFluxConditioning, TangoFluxDenoiser, TangoFluxSettings
from cafa.models.weights import assign

TEXT_LENGTH = 64
# Published prefix -> ours. The first is spelled as in the published checkpoint.
PREFIXES = {"duration_emebdder.": "duration.", "fc.": "pool.", "transformer.": "transformer."}
TEXT_ENCODER = "text_encoder."
#: beginnings of the names of a part's files; tangoflux.safetensors may hold the text encoder's own weights
TEXT_FILES, AUDIO_FILES = ("text/", "tangoflux.safetensors"), ("vae.safetensors",)


class TangoFlux:
    """The backbone ``tangoflux`` (:class:`~cafa.models.interface.Backbone`).

    Parameters
    ----------
    denoiser : TangoFluxDenoiser
    audio : OobleckAudio
    text : T5Text
    digests : mapping of str to str
        SHA-256 of the files by name.
    """

    name = "tangoflux"
    defaults = SamplingDefaults("euler", guidance_scale=4.5)

    def __init__(
        self, denoiser: TangoFluxDenoiser, audio: OobleckAudio, text: T5Text, digests: Mapping[str, str]
    ) -> None:
        self.denoiser = denoiser.requires_grad_(False).eval()
        self.audio, self.text = audio, text
        self.identity = {"name": self.name, "files": dict(digests), "weights_sha256": digest_of(dict(digests))}
        self.encoders = encoders_of(digests)
        self.sample_rate, self.samples_per_latent = audio.sample_rate, audio.samples_per_latent
        self.latent_channels, self.latents = denoiser.settings.latent_channels, denoiser.settings.latents
        self.text_shape = (TEXT_LENGTH, denoiser.settings.text_dim)
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
        """Load from a local folder or from the hub.

        Parameters
        ----------
        source : str or Path
            Folder with ``config.json``, ``tangoflux.safetensors`` and ``vae.safetensors``; or ``hub:owner/name``, or
            the published name as it is, of what is in the local cache.
        text_source : str or Path
            Folder, or ``hub:owner/name``, of the T5 encoder; its weights are replaced by those in
            ``tangoflux.safetensors``, if any.
        download : bool
            Ask the hub for what is not in the local cache.
        device : torch.device or str
            Weights are float32; 16 bits are a matter of sampling (:func:`cafa.generation.windows.generate_windows`).
        sha256 : mapping, optional
            Known digests by file name, to be checked.

        Raises
        ------
        WeightsError
            If something is missing or is not what it should be; says what to do.
        """
        files = files_of(source, text_source, download)
        digests = checked_sha256(files, sha256 or {})
        text, weights_file = load_text(files, device), files["tangoflux.safetensors"]
        settings = settings_from_config(read_json(files["config.json"]), text.encoder.config.d_model)
        with torch.device("meta"):
            denoiser = TangoFluxDenoiser(settings)
        assign(denoiser, split_weights(read_tensors(weights_file))[0], weights_file)
        return cls(denoiser.to(device), load_audio(files, device), text, digests)

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
        with torch.no_grad():  # not inference mode: training an adapter keeps these for its backward pass
            null = self.denoiser.condition(nothing, present, seconds, pooled_from=real)
            told = self.denoiser.condition(text, present, seconds)
        return TangoFluxConditioning(told.context, told.present, told.pooled, null)

    def encode_audio(self, waveform: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """Latents (B, 64, T) of sound (B, 2, N); see :meth:`OobleckAudio.encode`."""
        return self.audio.encode(waveform, seeds)

    def decode_audio(self, latents: Tensor) -> Tensor:
        """Sound (B, 2, T * 2048) of latents (B, 64, T)."""
        return self.audio.decode(latents)


def files_of(
    source: str | Path, text_source: str | Path = FLAN_T5_LARGE.name, download: bool = False
) -> dict[str, Path]:
    """Every file that the model is made of, by name; those of the text encoder below ``text/``.

    Raises
    ------
    WeightsError
        Naming all that are missing; see :meth:`TangoFlux.load`.
    """

    def weights() -> dict[str, Path]:
        folder, names = locate(source, TANGOFLUX, download), TANGOFLUX.patterns
        return dict(zip(names, require(folder, names, TANGOFLUX), strict=True))

    def text() -> dict[str, Path]:
        words = locate(text_source, FLAN_T5_LARGE, download)
        return require_text_encoder(words, words, FLAN_T5_LARGE, "text/")

    return all_parts(weights, text)


def encoders_of(digests: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Identities of the text encoder and of the autoencoder, as stored with the features that they make.

    Parameters
    ----------
    digests : mapping of str to str
        SHA-256 of all files by name.
    """
    text, audio = part_digest(digests, *TEXT_FILES), part_digest(digests, *AUDIO_FILES)
    return {
        "text": {"name": "flan_t5", "weights_sha256": text, "length": TEXT_LENGTH},
        "latents": {"name": "oobleck", "weights_sha256": audio, "posterior": "sampled"},
    }


def facts_of(files: Mapping[str, Path]) -> BackboneFacts:
    """Sizes of the model from its configuration files and the names of its weights; no weights are read."""
    settings = settings_from_config(
        read_json(files["config.json"]), T5Config.from_json_file(files["text/config.json"]).d_model
    )
    file = files["vae.safetensors"]
    with torch.device("meta"):
        audio = OobleckAudio(AutoencoderOobleck(**autoencoder_sizes(read_shapes(file), file)))
    return BackboneFacts(
        audio.sample_rate, audio.channels, audio.samples_per_latent,
        (settings.latent_channels, settings.latents), (TEXT_LENGTH, settings.text_dim),
    )  # fmt: skip


def load_text(files: Mapping[str, Path], device: torch.device | str = "cpu") -> T5Text:
    """The text encoder alone."""
    words, weights_file = files["text/config.json"].parent, files["tangoflux.safetensors"]
    text = T5Text.load(words, words, TEXT_LENGTH, device)
    found = read_tensors(weights_file, prefix=TEXT_ENCODER)
    if weights := {name.removeprefix(TEXT_ENCODER): value for name, value in found.items()}:
        replace_text_weights(text, weights, weights_file)
    return text


def load_audio(files: Mapping[str, Path], device: torch.device | str = "cpu") -> OobleckAudio:
    """The autoencoder alone."""
    file = files["vae.safetensors"]
    with torch.device("meta"):
        autoencoder = AutoencoderOobleck(**autoencoder_sizes(read_shapes(file), file))
    assign(autoencoder, read_tensors(file), file)
    return OobleckAudio(autoencoder.to(device))


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


def autoencoder_sizes(shapes: Mapping[str, tuple[int, ...]], file: Path) -> dict[str, Any]:
    """Arguments of ``AutoencoderOobleck`` from the shapes of its weights: the published files do not say them.

    Raises
    ------
    WeightsError
        If the names are not those of the autoencoder.
    """
    blocks = sum(name.startswith("encoder.block.") and name.endswith(".conv1.weight_v") and "res_unit" not in name
                 for name in shapes)  # fmt: skip
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
