"""Stable Audio Open 1.0 with its text encoder and autoencoder, from diffusers' layout or the original single file."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from cafa.common.errors import WeightsError
from cafa.common.files import read_json
from cafa.models.checkpoint_reader import read_tensors
from cafa.models.diffusion_backbone import DiffusionBackbone
from cafa.models.encoders.oobleck import OobleckAudio
from cafa.models.encoders.oobleck_network import OobleckSettings
from cafa.models.encoders.t5 import T5Text
from cafa.models.encoders.t5_network import T5Settings
from cafa.models.interface import BackboneFacts, SamplingDefaults, WindowSetting
from cafa.models.pretrained import HubSettings, InspectedFiles, PretrainedSettings
from cafa.models.releases import (
    CAFA_AVCLIP,
    STABLE_AUDIO_OPEN,
    T5_BASE,
    TOKENIZER,
    Release,
    all_parts,
    how_to_get,
    locate,
    require,
    require_text_encoder,
)
from cafa.models.stable_audio import checkpoint_config, diffusers_layout
from cafa.models.stable_audio.blocks import StableAudioConditioning
from cafa.models.stable_audio.checkpoint_config import model_sizes
from cafa.models.stable_audio.checkpoint_names import AUTOENCODER, in_training
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioSettings
from cafa.models.stable_audio.published_files import read_published
from cafa.models.weights import load_strict

PARTS = ("transformer", "projection_model", "vae")
DIFFUSERS_WEIGHTS = tuple(
    f"{part}/{name}" for part in PARTS for name in ("config.json", "diffusion_pytorch_model.safetensors")
)
SINGLE_FILE = ("model_config.json", "model.safetensors")


class StableAudioOpenModel(HubSettings):
    """Stable Audio Open 1.0, in diffusers' layout, in the original one, or in one checkpoint such as CAFA's."""

    kind: Literal["stable_audio_open"] = "stable_audio_open"
    source: str = Field(
        STABLE_AUDIO_OPEN.name,
        description="folder, hub:owner/name, or a file that holds all but the text encoder (CAFA_avclip.safetensors)",
    )
    text_source: str = Field(T5_BASE.name, description="folder, or hub:owner/name of T5, for the original layout")


class StableAudioOpen(DiffusionBackbone):
    """The backbone ``stable_audio_open``; see :class:`~cafa.models.diffusion_backbone.DiffusionBackbone`."""

    denoiser: StableAudioBackbone
    name = "stable_audio_open"
    settings: ClassVar[type[PretrainedSettings]] = StableAudioOpenModel
    defaults = SamplingDefaults("dpmpp_3m_sde")
    published_window: ClassVar[WindowSetting | None] = WindowSetting(
        latents=1024, seconds_total=10.0, published_guidance=True, peak="window", samples="int16"
    )
    release: ClassVar[Release | None] = STABLE_AUDIO_OPEN
    text_release: ClassVar[Release | None] = T5_BASE
    text_name, text_length = "t5", 128
    text_files = ("text_encoder/", "tokenizer/", "text/")
    audio_files = ("vae/", *SINGLE_FILE)

    @classmethod
    def files_of(
        cls,
        source: str | Path = STABLE_AUDIO_OPEN.name,
        *,
        text_source: str | Path = T5_BASE.name,
        download: bool = False,
    ) -> dict[str, Path]:
        """Every file that the model is made of, by name.

        Parameters
        ----------
        source : str or Path
            Folder in diffusers' layout (``model_index.json``, ``transformer/`` ...) or in the original one
            (``model_config.json``, ``model.safetensors``); or ``hub:owner/name``, or the published name as it is,
            of what is in the local cache. Or one checkpoint under the original names that holds denoiser, timing
            conditioners and autoencoder, such as ``CAFA_avclip.safetensors``; it is called ``model.safetensors`` among
            the files, and has the sizes of Stable Audio Open 1.0.
        text_source : str or Path
            T5 for the original layout, which does not hold it; a folder or ``hub:owner/name``, as above. Its files
            are named below ``text/``.
        download : bool
            Ask the hub for what is not in the local cache.

        Raises
        ------
        WeightsError
            Naming all that are missing.
        """

        def text() -> dict[str, Path]:
            words = locate(text_source, T5_BASE, download)
            return require_text_encoder(words, words, T5_BASE, "text/")

        if Path(source).is_file():
            return all_parts(lambda: {SINGLE_FILE[1]: Path(source)}, text)
        folder = locate(source, STABLE_AUDIO_OPEN, download)
        if (folder / "model_index.json").is_file():
            names = ("model_index.json", *DIFFUSERS_WEIGHTS)
            return all_parts(
                lambda: dict(zip(names, require(folder, names, STABLE_AUDIO_OPEN), strict=True)),
                lambda: require_text_encoder(folder / "text_encoder", folder / "tokenizer", STABLE_AUDIO_OPEN, ""),
            )
        if (folder / SINGLE_FILE[0]).is_file():
            return all_parts(
                lambda: dict(zip(SINGLE_FILE, require(folder, SINGLE_FILE, STABLE_AUDIO_OPEN), strict=True)), text
            )
        raise WeightsError(
            f"{folder} holds neither model_index.json (diffusers' layout) nor model_config.json (original layout). "
            + how_to_get(STABLE_AUDIO_OPEN, folder)
        )

    @classmethod
    def inspect(cls, settings: Any) -> InspectedFiles:
        """Find the files of the model that `settings` describe; raises WeightsError with what to do."""
        found = super().inspect(settings)
        if not (file := Path(settings.source)).is_file():
            return found
        addresses = {name: url for name, url in found.addresses.items() if name != SINGLE_FILE[1]}
        if CAFA_AVCLIP.url.endswith(f"/{file.name}"):
            addresses[SINGLE_FILE[1]] = CAFA_AVCLIP.url
        return replace(found, places={**found.places, "source": file}, addresses=addresses)

    @classmethod
    def facts_of(cls, files: Mapping[str, Path]) -> BackboneFacts:
        """Sizes of the model from its configuration files; no weights are read."""
        if "model_index.json" in files:
            settings = diffusers_layout.denoiser_settings(*_configurations(files))
            words = files["text_encoder/config.json"]
        else:
            settings, _ = _sizes(files)
            words = files["text/config.json"]
        if (found := T5Settings.from_file(words).d_model) != settings.text_dim:
            raise WeightsError(f"{words} is of a text encoder of width {found}, the denoiser takes {settings.text_dim}")
        audio = OobleckAudio.of_sizes(_audio_settings(files))
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
        encoder, tokenizer = ("text_encoder/", "tokenizer/") if "model_index.json" in files else ("text/", "text/")
        words = files[f"{tokenizer}{TOKENIZER}"].parent
        return T5Text.load(files[f"{encoder}config.json"].parent, words, cls.text_length, device)

    @classmethod
    def load_audio(cls, files: Mapping[str, Path], device: torch.device | str = "cpu") -> OobleckAudio:
        """The autoencoder alone."""
        if "model_index.json" in files:
            file = files["vae/config.json"].with_name(diffusers_layout.WEIGHTS)
            return OobleckAudio.from_tensors(_audio_settings(files), read_tensors(file), file, device)
        file = files["model.safetensors"]
        weights = read_published(file, in_training(AUTOENCODER)).autoencoder
        _require_part(weights, "autoencoder", file)
        return OobleckAudio.from_tensors(_audio_settings(files), weights, file, device)

    @classmethod
    def load_denoiser(cls, files: Mapping[str, Path]) -> StableAudioBackbone:
        """The denoiser, float32, on the CPU."""
        if "model_index.json" in files:
            return diffusers_layout.load_denoiser(*_configurations(files))
        return _from_single_file(files)

    def condition(self, text: Tensor, seconds: Tensor) -> StableAudioConditioning:
        """Conditioning from text states and total seconds (B,); the sound starts at second 0."""
        text, seconds = self.for_conditioning(text, seconds)
        with torch.no_grad():  # not inference mode: training an adapter keeps these for its backward pass
            return self.denoiser.condition(text, torch.zeros_like(seconds), seconds)


def _configurations(files: Mapping[str, Path]) -> tuple[Path, Path]:
    return files["transformer/config.json"], files["projection_model/config.json"]


def _from_single_file(files: Mapping[str, Path]) -> StableAudioBackbone:
    file = files["model.safetensors"]
    settings, _ = _sizes(files)
    with torch.device("meta"):
        denoiser = StableAudioBackbone(settings)
    weights = read_published(file).backbone
    _require_part(weights, "backbone", file)
    load_strict(denoiser, weights, file=file)
    return denoiser


def _audio_settings(files: Mapping[str, Path]) -> OobleckSettings:
    """Size of the autoencoder in either layout."""
    if "model_index.json" in files:
        return OobleckSettings.from_file(files["vae/config.json"])
    return OobleckSettings.from_sizes(_sizes(files)[1], files.get(SINGLE_FILE[0], files[SINGLE_FILE[1]]))


def _sizes(files: Mapping[str, Path]) -> tuple[StableAudioSettings, dict[str, Any]]:
    """Sizes of denoiser and autoencoder; a checkpoint without model_config.json has the published ones."""
    config = files.get(SINGLE_FILE[0])
    return model_sizes(checkpoint_config.STABLE_AUDIO_OPEN_1_0 if config is None else read_json(config))


def _require_part(weights: Mapping[str, Tensor], part: str, file: Path) -> None:
    if not weights:
        raise WeightsError(
            f"{file} holds no {part}: name a checkpoint that holds denoiser and autoencoder, such as "
            f"{CAFA_AVCLIP.url.rpartition('/')[2]}, or the folder of Stable Audio Open"
        )
