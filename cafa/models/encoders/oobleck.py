"""The autoencoder that Stable Audio Open and TangoFlux share, used one way."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cafa.common.errors import InputError

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_oobleck import AutoencoderOobleck


class OobleckAudio:
    """Sound to latents and back.

    Parameters
    ----------
    autoencoder : AutoencoderOobleck
    """

    def __init__(self, autoencoder: "AutoencoderOobleck") -> None:
        self.autoencoder = autoencoder.requires_grad_(False).eval()
        config: Any = autoencoder.config
        self.sample_rate: int = config.sampling_rate
        self.samples_per_latent: int = autoencoder.hop_length
        self.latent_channels: int = config.decoder_input_channels
        self.channels: int = config.audio_channels

    def to(self, device: torch.device | str) -> "OobleckAudio":
        """Move the network; returns itself."""
        module: nn.Module = self.autoencoder  # the types of its own `to` are lost in a decorator
        module.to(device)
        return self

    def posterior(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (B, C, T) of the latents of sound (B, channels, T * samples_per_latent)."""
        parameter = next(self.autoencoder.parameters())
        with torch.inference_mode():
            posterior = self.autoencoder.encode(waveform.to(parameter.device, parameter.dtype)).latent_dist
        return posterior.mean, posterior.std

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
            return self.autoencoder.decode(latents.to(parameter.device, parameter.dtype)).sample.float()
