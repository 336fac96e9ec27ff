"""Stable Audio Open 1.0 with its text encoder and autoencoder, from diffusers' layout or the original single file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderOobleck, StableAudioDiTModel
from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioProjectionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import T5Config

from cafa.common.errors import WeightsError
from cafa.common.files import digest_of, read_json, whole
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.checkpoint_reader import read_tensors
from cafa.models.encoders.oobleck import OobleckAudio
from cafa.models.encoders.t5 import T5Text
from cafa.models.interface import BackboneFacts, SamplingDefaults
from cafa.models.releases import (
    CAFA_AVCLIP,
    STABLE_AUDIO_OPEN,
    T5_BASE,
    all_parts,
    checked_sha256,
    how_to_get,
    locate,
    part_digest,
    require,
    require_published,
    require_text_encoder,
)
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.checkpoint_config import model_sizes
from cafa.models.stable_audio.checkpoint_names import (
    ADAPTER,
    AUTOENCODER,
    PublishedWeights,
    from_published,
    in_training,
    to_published,
)
from cafa.models.stable_audio.denoiser import Conditioning, StableAudioBackbone, StableAudioSettings
from cafa.models.weights import assign

TEXT_LENGTH = 128
PARTS = ("transformer", "projection_model", "vae")
DIFFUSERS_WEIGHTS = tuple(
    f"{part}/{name}" for part in PARTS for name in ("config.json", "diffusion_pytorch_model.safetensors")
)
SINGLE_FILE = ("model_config.json", "model.safetensors")
#: beginnings of the names of a part's files, by layout
TEXT_FILES = ("text_encoder/", "tokenizer/", "text/")
AUDIO_FILES = ("vae/", *SINGLE_FILE)


class StableAudioOpen:
    """The backbone ``stable_audio_open`` (:class:`~cafa.models.interface.Backbone`).

    Parameters
    ----------
    denoiser : StableAudioBackbone
    audio : OobleckAudio
    text : T5Text
    digests : mapping of str to str
        SHA-256 of the files by name.
    """

    name = "stable_audio_open"
    defaults = SamplingDefaults("dpmpp_3m_sde")

    def __init__(
        self, denoiser: StableAudioBackbone, audio: OobleckAudio, text: T5Text, digests: Mapping[str, str]
    ) -> None:
        self.denoiser = denoiser.requires_grad_(False).eval()
        self.audio, self.text = audio, text
        self.identity = {"name": self.name, "files": dict(digests), "weights_sha256": digest_of(dict(digests))}
        self.encoders = encoders_of(digests)
        self.sample_rate, self.samples_per_latent = audio.sample_rate, audio.samples_per_latent
        self.latent_channels, self.latents = denoiser.settings.latent_channels, denoiser.settings.latents
        self.text_shape = (TEXT_LENGTH, denoiser.settings.text_dim)

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
        """Load from a local folder or from the hub.

        Parameters
        ----------
        source : str or Path
            Folder in diffusers' layout (``model_index.json``, ``transformer/`` ...) or in the original one
            (``model_config.json``, ``model.safetensors``); or ``hub:owner/name``, or the published name as it is,
            of what is in the local cache.
        text_source : str or Path
            T5 for the original layout, which does not hold it; a folder or ``hub:owner/name``, as above.
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
        if "model_index.json" in files:
            denoiser, autoencoder = _from_diffusers(files)
        else:
            denoiser, autoencoder = _from_single_file(files)
        text = load_text(files, device)
        return cls(denoiser.to(device), OobleckAudio(autoencoder.to(device)), text, digests)

    def encode_text(self, captions: Sequence[str]) -> Tensor:
        """States of T5, (B, 128, 768), zero at padded positions."""
        return self.text.encode(captions)

    def condition(self, text: Tensor, seconds: Tensor) -> Conditioning:
        """Conditioning from text states and total seconds (B,); the sound starts at second 0."""
        parameter = next(self.denoiser.parameters())
        seconds = seconds.to(parameter.device)
        with torch.no_grad():  # not inference mode: training an adapter keeps these for its backward pass
            return self.denoiser.condition(text.to(parameter), torch.zeros_like(seconds), seconds)

    def encode_audio(self, waveform: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """Latents (B, 64, T) of sound (B, 2, N); see :meth:`OobleckAudio.encode`."""
        return self.audio.encode(waveform, seeds)

    def decode_audio(self, latents: Tensor) -> Tensor:
        """Sound (B, 2, T * 2048) of latents (B, 64, T)."""
        return self.audio.decode(latents)


def files_of(source: str | Path, text_source: str | Path = T5_BASE.name, download: bool = False) -> dict[str, Path]:
    """Every file that the model is made of, by name; those of the original layout's text encoder below ``text/``.

    Raises
    ------
    WeightsError
        Naming all that are missing; see :meth:`StableAudioOpen.load`.
    """
    folder = locate(source, STABLE_AUDIO_OPEN, download)
    if (folder / "model_index.json").is_file():
        names = ("model_index.json", *DIFFUSERS_WEIGHTS)
        return all_parts(
            lambda: dict(zip(names, require(folder, names, STABLE_AUDIO_OPEN), strict=True)),
            lambda: require_text_encoder(folder / "text_encoder", folder / "tokenizer", STABLE_AUDIO_OPEN, ""),
        )
    if (folder / SINGLE_FILE[0]).is_file():

        def text() -> dict[str, Path]:
            words = locate(text_source, T5_BASE, download)
            return require_text_encoder(words, words, T5_BASE, "text/")

        return all_parts(
            lambda: dict(zip(SINGLE_FILE, require(folder, SINGLE_FILE, STABLE_AUDIO_OPEN), strict=True)), text
        )
    raise WeightsError(
        f"{folder} holds neither model_index.json (diffusers' layout) nor model_config.json (original layout). "
        + how_to_get(STABLE_AUDIO_OPEN, folder)
    )


def encoders_of(digests: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Identities of the text encoder and of the autoencoder, as stored with the features that they make.

    Parameters
    ----------
    digests : mapping of str to str
        SHA-256 of all files by name.
    """
    text, audio = part_digest(digests, *TEXT_FILES), part_digest(digests, *AUDIO_FILES)
    return {
        "text": {"name": "t5", "weights_sha256": text, "length": TEXT_LENGTH},
        "latents": {"name": "oobleck", "weights_sha256": audio, "posterior": "sampled"},
    }


def facts_of(files: Mapping[str, Path]) -> BackboneFacts:
    """Sizes of the model from its configuration files; no weights are read."""
    if "model_index.json" in files:
        with torch.device("meta"):
            dit: Any = StableAudioDiTModel.from_config(read_json(files["transformer/config.json"])).config
            autoencoder = AutoencoderOobleck.from_config(read_json(files["vae/config.json"]))
        latent_channels, latents, text_dim = dit.in_channels, dit.sample_size, dit.cross_attention_dim
        words = files["text_encoder/config.json"]
    else:
        settings, sizes = model_sizes(read_json(files["model_config.json"]))
        with torch.device("meta"):
            autoencoder = AutoencoderOobleck(**sizes)
        latent_channels, latents, text_dim = settings.latent_channels, settings.latents, settings.text_dim
        words = files["text/config.json"]
    if (found := T5Config.from_json_file(words).d_model) != text_dim:
        raise WeightsError(f"{words} is of a text encoder of width {found}, the denoiser takes {text_dim}")
    audio = OobleckAudio(autoencoder)
    return BackboneFacts(
        audio.sample_rate, audio.channels, audio.samples_per_latent, (latent_channels, latents), (TEXT_LENGTH, text_dim)
    )


def load_text(files: Mapping[str, Path], device: torch.device | str = "cpu") -> T5Text:
    """The text encoder alone."""
    encoder, tokenizer = ("text_encoder/", "tokenizer/") if "model_index.json" in files else ("text/", "text/")
    words = next(path for name, path in files.items() if name.startswith(tokenizer) and "token" in path.name)
    return T5Text.load(files[f"{encoder}config.json"].parent, words.parent, TEXT_LENGTH, device)


def load_audio(files: Mapping[str, Path], device: torch.device | str = "cpu") -> OobleckAudio:
    """The autoencoder alone."""
    if "model_index.json" in files:
        autoencoder = _pretrained(AutoencoderOobleck, files["vae/config.json"])
    else:
        weights = read_published(files["model.safetensors"], in_training(AUTOENCODER))
        with torch.device("meta"):
            autoencoder = AutoencoderOobleck(**model_sizes(read_json(files["model_config.json"]))[1])
        assign(autoencoder, weights.autoencoder, files["model.safetensors"])
    return OobleckAudio(autoencoder.to(device))


def _pretrained(kind: Any, config: Path) -> Any:
    # diffusers reads its own layout (use_safetensors: no pickles), as its configuration decides the names.
    # Without low_cpu_mem_usage no further package is needed, and none is asked for in a warning.
    return kind.from_pretrained(
        config.parent, local_files_only=True, use_safetensors=True, torch_dtype=torch.float32, low_cpu_mem_usage=False
    )


def _from_diffusers(files: Mapping[str, Path]) -> tuple[StableAudioBackbone, AutoencoderOobleck]:
    dit = _pretrained(StableAudioDiTModel, files["transformer/config.json"])
    projection = _pretrained(StableAudioProjectionModel, files["projection_model/config.json"])
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
    return denoiser, _pretrained(AutoencoderOobleck, files["vae/config.json"])


def _from_single_file(files: Mapping[str, Path]) -> tuple[StableAudioBackbone, AutoencoderOobleck]:
    weights_file = files["model.safetensors"]
    settings, sizes = model_sizes(read_json(files["model_config.json"]))
    weights = read_published(weights_file)
    with torch.device("meta"):
        denoiser, autoencoder = StableAudioBackbone(settings), AutoencoderOobleck(**sizes)
    assign(denoiser, weights.backbone, weights_file)
    assign(autoencoder, weights.autoencoder, weights_file)
    return denoiser, autoencoder


def read_published(file: str | Path, prefix: str | tuple[str, ...] = "") -> PublishedWeights:
    """Weights of a published file, safetensors or another checkpoint, under our names; of a part with `prefix` alone.

    Raises
    ------
    WeightsError
        If it is missing, is no checkpoint, or has names too many or too few.
    """
    file = Path(file)
    if not file.is_file():
        raise WeightsError(f"there is no file {file}: download the published checkpoint and put it there")
    return from_published(read_tensors(file, prefix=prefix))


def write_published(file: str | Path, weights: PublishedWeights, rotary_dim: int = 32) -> None:
    """Write weights as a published checkpoint; appears whole or not at all."""
    with whole(file) as temporary:
        save_file({name: value.contiguous() for name, value in to_published(weights, rotary_dim).items()}, temporary)


def load_published_adapter(
    file: str | Path, backbone: StableAudioSettings, sha256: str | None = None, *, alone: bool = False
) -> tuple[Adapter, PublishedWeights]:
    """The adapter of a published checkpoint such as ``CAFA_avclip.safetensors``.

    Parameters
    ----------
    file : path
    backbone : StableAudioSettings
        Size of the backbone that it belongs to.
    sha256 : str, optional
        Digest that the file must have.
    alone : bool
        Read nothing else of the file.

    Returns
    -------
    adapter : Adapter
        In evaluation mode, frozen.
    weights : PublishedWeights
        All that the file holds; it may carry the backbone and the autoencoder as well.

    Raises
    ------
    WeightsError
        If the file is not the one of `sha256`, holds no adapter, or one of another size.
    """
    file = require_published(file, CAFA_AVCLIP)
    if sha256 is not None:
        checked_sha256([file], {file.name: sha256})
    weights = read_published(file, in_training(ADAPTER) if alone else "")
    if not weights.adapter:
        raise WeightsError(f"{file} holds no adapter (no names below model.model.controlnet.)")
    hint_dim, feature_dim = weights.adapter["hint.linear2.weight"].shape
    with torch.device("meta"):
        adapter = Adapter(backbone, AdapterSettings(feature_dim=feature_dim, hint_dim=hint_dim))
    assign(adapter, weights.adapter, Path(file))
    return adapter.requires_grad_(False).eval(), weights
