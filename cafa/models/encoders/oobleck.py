"""The autoencoder that Stable Audio Open and TangoFlux share, used one way."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from cafa.common.errors import InputError
from cafa.models.encoders.oobleck_network import Oobleck, OobleckSettings
from cafa.models.weights import load_strict


class OobleckAudio:
    """Sound to latents and back.

    Parameters
    ----------
    autoencoder : Oobleck
    """

    def __init__(self, autoencoder: Oobleck) -> None:
        self.autoencoder = autoencoder.requires_grad_(False).eval()
        settings = autoencoder.settings
        self.sample_rate = settings.sampling_rate
        self.samples_per_latent = autoencoder.samples_per_latent
        self.latent_channels = settings.decoder_input_channels
        self.channels = settings.audio_channels

    @classmethod
    def of_sizes(cls, settings: OobleckSettings) -> "OobleckAudio":
        """Without weights, to be asked about its sizes."""
        with torch.device("meta"):
            return cls(Oobleck(settings))

    @classmethod
    def from_tensors(
        cls, settings: OobleckSettings, tensors: Mapping[str, Tensor], file: Path, device: torch.device | str = "cpu"
    ) -> "OobleckAudio":
        """With weights of `file` by the names of diffusers, float32.

        Raises
        ------
        WeightsError
            If they do not fit.
        """
        audio = cls.of_sizes(settings)
        load_strict(audio.autoencoder, tensors, file=file, device=device)
        return audio

    def to(self, device: torch.device | str) -> "OobleckAudio":
        """Move the network; returns itself."""
        self.autoencoder.to(device)
        return self

    def posterior(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (B, C, T) of the latents of sound (B, channels, T * samples_per_latent)."""
        parameter = next(self.autoencoder.parameters())
        with torch.inference_mode():
            return self.autoencoder.posterior(waveform.to(parameter.device, parameter.dtype))

    def encode(self, waveform: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """Latents (B, C, T) of sound (B, channels, N).

        Parameters
        ----------
        waveform : Tensor
            In [-1, 1]; N is padded with silence to a whole number of latents. One channel is copied to all.
        seeds : sequence of int, optional
            One per item: sample the posterior (as training does, which caches what it sees); without them the mean.
        """
        if waveform.ndim != 3 or waveform.shape[1] not in (1, self.channels):
            raise InputError(f"sound must be (items, 1 or {self.channels}, samples), got {tuple(waveform.shape)}")
        waveform = waveform.expand(-1, self.channels, -1)
        rest = -waveform.shape[2] % self.samples_per_latent
        mean, deviation = self.posterior(torch.nn.functional.pad(waveform, (0, rest)))
        if seeds is None:
            return mean.clone()
        shape = mean.shape[1:]
        noise = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        return mean + deviation * noise.to(mean)

    def decode(self, latents: Tensor) -> Tensor:
        """Sound (B, channels, T * samples_per_latent), float32, of latents (B, C, T)."""
        parameter = next(self.autoencoder.parameters())
        with torch.inference_mode():
            return self.autoencoder.decode(latents.to(parameter.device, parameter.dtype)).float()
