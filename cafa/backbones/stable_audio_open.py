"""Stable Audio Open 1.0 with its text encoder and autoencoder, from diffusers' layout or the original single file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderOobleck, StableAudioDiTModel
from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioProjectionModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from cafa.adapter import Adapter, AdapterSettings
from cafa.backbones.audio import OobleckAudio
from cafa.backbones.interface import SamplingDefaults
from cafa.backbones.official import PublishedWeights, from_published, to_published
from cafa.backbones.official_config import model_sizes
from cafa.backbones.sources import STABLE_AUDIO_OPEN, T5_BASE, checked_sha256, how_to_get, locate, require
from cafa.backbones.stable_audio import Conditioning, StableAudioBackbone, StableAudioSettings
from cafa.errors import WeightsError
from cafa.features.text_t5 import T5Text
from cafa.files import read_json, whole

TEXT_LENGTH = 128
DIFFUSERS_WEIGHTS = tuple(
    f"{part}/diffusion_pytorch_model.safetensors" for part in ("transformer", "projection_model", "vae")
)
SINGLE_FILE = ("model_config.json", "model.safetensors")


class StableAudioOpen:
    """The backbone ``stable_audio_open`` (:class:`~cafa.backbones.interface.Backbone`).

    Parameters
    ----------
    denoiser : StableAudioBackbone
    audio : OobleckAudio
    text : T5Text
    identity : dict
        Names and SHA-256 of the weights.
    """

    name = "stable_audio_open"
    defaults = SamplingDefaults("dpmpp_3m_sde")

    def __init__(
        self, denoiser: StableAudioBackbone, audio: OobleckAudio, text: T5Text, identity: dict[str, Any]
    ) -> None:
        self.denoiser = denoiser.requires_grad_(False).eval()
        self.audio, self.text = audio, text
        self.identity = {"name": self.name, **identity}
        self.sample_rate, self.samples_per_latent = audio.sample_rate, audio.samples_per_latent
        self.latent_channels, self.latents = denoiser.settings.latent_channels, denoiser.settings.latents

    @classmethod
    def load(
        cls,
        source: str | Path = STABLE_AUDIO_OPEN.name,
        *,
        text_source: str | Path = T5_BASE.name,
        download: bool = False,
        device: torch.device | str = "cpu",
        sha256: Mapping[str, str] | None = None,
    ) -> "StableAudioOpen":
        """Load from a local folder or a hub id.

        Parameters
        ----------
        source : str or Path
            Folder in diffusers' layout (``model_index.json``, ``transformer/`` ...) or in the original one
            (``model_config.json``, ``model.safetensors``); or a hub id that is in the local cache.
        text_source : str or Path
            T5 for the original layout, which does not hold it; a folder or a hub id.
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
        folder = locate(source, STABLE_AUDIO_OPEN, download)
        if (folder / "model_index.json").is_file():
            denoiser, autoencoder, files = _from_diffusers(folder)
            text = T5Text.load(folder / "text_encoder", folder / "tokenizer", TEXT_LENGTH, device)
        elif (folder / SINGLE_FILE[0]).is_file():
            denoiser, autoencoder, files = _from_single_file(folder)
            words = locate(text_source, T5_BASE, download)
            text = T5Text.load(words, words, TEXT_LENGTH, device)
        else:
            raise WeightsError(
                f"{folder} holds neither model_index.json (diffusers' layout) nor model_config.json (original layout). "
                + how_to_get(STABLE_AUDIO_OPEN, folder)
            )
        identity = {"weights_sha256": checked_sha256(files, sha256 or {})}
        return cls(denoiser.to(device), OobleckAudio(autoencoder.to(device)), text, identity)

    def encode_text(self, captions: Sequence[str]) -> Tensor:
        """States of T5, (B, 128, 768), zero at padded positions."""
        return self.text.encode(captions)

    def condition(self, text: Tensor, seconds: Tensor) -> Conditioning:
        """Conditioning from text states and total seconds (B,); the sound starts at second 0."""
        parameter = next(self.denoiser.parameters())
        seconds = seconds.to(parameter.device)
        with torch.inference_mode():
            return self.denoiser.condition(text.to(parameter), torch.zeros_like(seconds), seconds)

    def encode_audio(self, waveform: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """Latents (B, 64, T) of sound (B, 2, N); see :meth:`OobleckAudio.encode`."""
        return self.audio.encode(waveform, seeds)

    def decode_audio(self, latents: Tensor) -> Tensor:
        """Sound (B, 2, T * 2048) of latents (B, 64, T)."""
        return self.audio.decode(latents)


def _from_diffusers(folder: Path) -> tuple[StableAudioBackbone, AutoencoderOobleck, list[Path]]:
    files = require(folder, DIFFUSERS_WEIGHTS, STABLE_AUDIO_OPEN)
    # Without low_cpu_mem_usage no further package is needed, and none is asked for in a warning.
    arguments: dict[str, Any] = {
        "local_files_only": True, "use_safetensors": True, "torch_dtype": torch.float32, "low_cpu_mem_usage": False,
    }  # fmt: skip
    dit = StableAudioDiTModel.from_pretrained(folder / "transformer", **arguments)
    projection = StableAudioProjectionModel.from_pretrained(folder / "projection_model", **arguments)
    config: Any = dit.config
    settings = StableAudioSettings(
        latent_channels=config.in_channels,
        latents=config.sample_size,
        blocks=config.num_layers,
        heads=config.num_attention_heads,
        head_dim=config.attention_head_dim,
        key_value_heads=config.num_key_value_attention_heads,
        text_dim=config.cross_attention_dim,
        time_dim=config.time_proj_dim,
        maximum_seconds=projection.config.max_value,
    )
    with torch.device("meta"):
        denoiser = StableAudioBackbone(settings)
    denoiser.dit, denoiser.projection = dit, projection
    autoencoder = AutoencoderOobleck.from_pretrained(folder / "vae", **arguments)
    return denoiser, autoencoder, files


def _from_single_file(folder: Path) -> tuple[StableAudioBackbone, AutoencoderOobleck, list[Path]]:
    config, weights_file = require(folder, SINGLE_FILE, STABLE_AUDIO_OPEN)
    settings, sizes = model_sizes(read_json(config))
    weights = read_published(weights_file)
    with torch.device("meta"):
        denoiser, autoencoder = StableAudioBackbone(settings), AutoencoderOobleck(**sizes)
    assign(denoiser, weights.backbone, weights_file)
    assign(autoencoder, weights.autoencoder, weights_file)
    return denoiser, autoencoder, [weights_file]


def assign(network: torch.nn.Module, tensors: Mapping[str, Tensor], file: Path) -> None:
    """Put tensors into a network on the ``meta`` device, strictly, as float32 and without a second copy.

    Raises
    ------
    WeightsError
        If a name or a shape does not fit.
    """
    try:
        network.load_state_dict({name: value.float() for name, value in tensors.items()}, strict=True, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"{file} does not fit {type(network).__name__}: {error}") from error


def read_published(file: str | Path) -> PublishedWeights:
    """Weights of a published ``.safetensors`` file under our names.

    Raises
    ------
    WeightsError
        If it is missing, of another format, or has names too many or too few.
    """
    file = Path(file)
    if not file.is_file():
        raise WeightsError(f"there is no file {file}: download the published checkpoint and put it there")
    if file.suffix != ".safetensors":
        raise WeightsError(f"{file} is not a .safetensors file: other formats can run code when they are read")
    return from_published(load_file(file))


def write_published(file: str | Path, weights: PublishedWeights, rotary_dim: int = 32) -> None:
    """Write weights as a published checkpoint; appears whole or not at all."""
    with whole(file) as temporary:
        save_file({name: value.contiguous() for name, value in to_published(weights, rotary_dim).items()}, temporary)


def load_published_adapter(file: str | Path, backbone: StableAudioSettings) -> tuple[Adapter, PublishedWeights]:
    """The adapter of a published checkpoint such as ``CAFA_avclip.safetensors``.

    Returns
    -------
    adapter : Adapter
        In evaluation mode, frozen.
    weights : PublishedWeights
        All that the file holds; it may carry the backbone and the autoencoder as well.

    Raises
    ------
    WeightsError
        If the file holds no adapter, or one of another size.
    """
    weights = read_published(file)
    if not weights.adapter:
        raise WeightsError(f"{file} holds no adapter (no names below model.model.controlnet.)")
    hint_dim, feature_dim = weights.adapter["hint.linear2.weight"].shape
    with torch.device("meta"):
        adapter = Adapter(backbone, AdapterSettings(feature_dim=feature_dim, hint_dim=hint_dim))
    assign(adapter, weights.adapter, Path(file))
    return adapter.requires_grad_(False).eval(), weights
