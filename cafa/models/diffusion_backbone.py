"""The base class of pretrained text-to-audio models: a denoiser with its text encoder and its autoencoder.

Shapes: B batch, C latent channels, T latents, L text states.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from cafa.common.files import digest_of
from cafa.models.interface import (
    AudioAutoencoder,
    BackboneFacts,
    Conditioning,
    DenoiserModule,
    SamplingDefaults,
    TextEncoder,
    WindowSetting,
)
from cafa.models.pretrained import HUB, InspectedFiles, PretrainedSettings
from cafa.models.releases import Release, checked_sha256, part_digest


class DiffusionBackbone(ABC):
    """A pretrained text-to-audio model (:class:`~cafa.models.interface.Backbone`), frozen.

    Parameters
    ----------
    denoiser : Denoiser
        A module, such as :class:`cafa.models.block_denoiser.BlockDenoiser`.
    audio : AudioAutoencoder
    text : TextEncoder
    digests : mapping of str to str
        SHA-256 of the files by name.

    Attributes
    ----------
    name : str
        Its name in :data:`cafa.models.backbones.BACKBONES`, and the ``kind`` of its settings.
    settings : type of PretrainedSettings
        Has ``source``, and ``text_source`` and ``download`` where :meth:`files_of` takes them.
    defaults : SamplingDefaults
        How it is sampled unless a system says otherwise.
    published_window : WindowSetting or None
        How the published code of CAFA makes a window with it; None if it does not.
    release, text_release : Release or None
        Where its files, and those below ``text/``, are published.
    text_name, text_length : str, int
        Name of the text encoder in the identity of text states, and states of a caption.
    audio_name : str
        Name of the autoencoder in the identity of latents.
    text_files, audio_files : tuple of str
        Beginnings of the names of the files that text states and latents depend on.
    """

    name: ClassVar[str]
    settings: ClassVar[type[PretrainedSettings]]
    defaults: ClassVar[SamplingDefaults]
    published_window: ClassVar[WindowSetting | None] = None
    release: ClassVar[Release | None] = None
    text_release: ClassVar[Release | None] = None
    text_name: ClassVar[str]
    text_length: ClassVar[int]
    audio_name: ClassVar[str] = "oobleck"
    text_files: ClassVar[tuple[str, ...]]
    audio_files: ClassVar[tuple[str, ...]]

    def __init__(
        self, denoiser: DenoiserModule, audio: AudioAutoencoder, text: TextEncoder, digests: Mapping[str, str]
    ) -> None:
        self.denoiser = denoiser.requires_grad_(False).eval()
        self.audio, self.text = audio, text
        self.identity: dict[str, Any] = {
            "name": self.name,
            "files": dict(digests),
            "weights_sha256": digest_of(dict(digests)),
        }
        self.encoders = self.encoders_of(digests)
        self.sample_rate, self.samples_per_latent = audio.sample_rate, audio.samples_per_latent
        self.latent_channels, self.latents = self.denoiser.settings.latent_channels, self.denoiser.settings.latents
        self.text_shape = (self.text_length, self.denoiser.settings.text_dim)

    @classmethod
    @abstractmethod
    def files_of(cls, source: str | Path, *, download: bool = False) -> dict[str, Path]:
        """Every file that the model is made of, by name; those of a text encoder of its own place below ``text/``.

        Raises
        ------
        WeightsError
            Naming all that are missing, with what to do.
        """

    @classmethod
    @abstractmethod
    def facts_of(cls, files: Mapping[str, Path]) -> BackboneFacts:
        """Sizes of the model; reads no weights."""

    @classmethod
    @abstractmethod
    def load_denoiser(cls, files: Mapping[str, Path]) -> DenoiserModule:
        """The denoiser, float32, on the CPU."""

    @classmethod
    @abstractmethod
    def load_audio(cls, files: Mapping[str, Path], device: torch.device | str = "cpu") -> AudioAutoencoder:
        """The autoencoder alone (:class:`~cafa.models.interface.AudioAutoencoder`)."""

    @classmethod
    @abstractmethod
    def load_text(cls, files: Mapping[str, Path], device: torch.device | str = "cpu") -> TextEncoder:
        """The text encoder alone (:class:`~cafa.models.interface.TextEncoder`)."""

    @abstractmethod
    def condition(self, text: Tensor, seconds: Tensor) -> Conditioning:
        """Conditioning from text states (B, L, text_dim) and lengths (B,) in seconds; see :meth:`for_conditioning`."""

    @classmethod
    def load(
        cls,
        *source: str | Path,
        device: torch.device | str = "cpu",
        sha256: Mapping[str, str] | None = None,
        **places: Any,
    ) -> Self:
        """Load from local folders or from the hub.

        Parameters
        ----------
        *source, **places
            As :meth:`files_of` takes them.
        device : torch.device or str
            Weights are float32; 16 bits are a matter of sampling (:func:`cafa.generation.windows.generate_windows`).
        sha256 : mapping, optional
            Known digests by file name, to be checked.

        Raises
        ------
        WeightsError
            If something is missing or is not what it should be; says what to do.
        """
        files = cls.files_of(*source, **places)
        digests = checked_sha256(files, sha256 or {})
        denoiser = cls.load_denoiser(files).to(device)
        return cls(denoiser, cls.load_audio(files, device), cls.load_text(files, device), digests)

    @classmethod
    def encoders_of(cls, digests: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """Identities of the text encoder and of the autoencoder, as stored with the features that they make.

        Parameters
        ----------
        digests : mapping of str to str
            SHA-256 of all files by name.
        """
        text, audio = part_digest(digests, *cls.text_files), part_digest(digests, *cls.audio_files)
        return {
            "text": {"name": cls.text_name, "weights_sha256": text, "length": cls.text_length},
            "latents": {"name": cls.audio_name, "weights_sha256": audio, "posterior": "sampled"},
        }

    @classmethod
    def inspect(cls, settings: Any) -> InspectedFiles:
        """Find the files of the model that `settings` describe; raises WeightsError with what to do."""
        asked = ("source", "text_source", "download")
        files = cls.files_of(**{name: getattr(settings, name) for name in asked if name in type(settings).model_fields})
        places = {"source": next(path for name, path in files.items() if "/" not in name).parent}
        if "text/config.json" in files:
            places["text_source"] = files["text/config.json"].parent
        return InspectedFiles(
            places, files, cls.encoders_of, lambda: asdict(cls.facts_of(files)), cls._addresses(files)
        )

    @classmethod
    def _addresses(cls, files: Mapping[str, Path]) -> dict[str, str]:
        addresses = {}
        for name in files:
            release = cls.text_release if name.startswith("text/") else cls.release
            if release is not None:
                addresses[name] = HUB.format(name=release.name, file=name.removeprefix("text/"))
        return addresses

    @property
    def weights_sha256(self) -> str:
        """One digest of all files."""
        return self.identity["weights_sha256"]

    def encode_text(self, captions: Sequence[str]) -> Tensor:
        """States of the text encoder, (B, L, text_dim), zero at padded positions."""
        return self.text.encode(captions)

    def part_read(self, caption: str) -> str:
        """The beginning of a caption that its states are made of; all of it, unless the text encoder says otherwise."""
        part: str = self.text.part_read(caption) if hasattr(self.text, "part_read") else caption
        return part

    def for_conditioning(self, text: Tensor, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """Text states and lengths as the denoiser takes them: on its device, text in its type."""
        parameter = next(self.denoiser.parameters())
        return text.to(parameter), seconds.to(parameter.device)

    def decode_audio(self, latents: Tensor) -> Tensor:
        """Sound (B, channels, T * samples_per_latent) of latents (B, C, T)."""
        return self.audio.decode(latents)
