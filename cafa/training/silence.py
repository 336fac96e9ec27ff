"""The silence that follows a clip in a backbone's window.

Stable Audio Open and TangoFlux were trained on windows of 47.55 s and 30 s in which shorter sounds are followed by
silence (the length says so); the loss counts the silence too. Stored are the latents of the clip alone (216 of 1024):
the silence is the same for all clips but for the posterior's noise, so it is put behind them when they are read. Not
exact where the autoencoder's view reaches over the clip's end, a few latents.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cafa.common.devices import sent
from cafa.common.seeds import seed_for
from cafa.models.interface import AudioAutoencoder


@dataclass(frozen=True)
class Silence:
    """Posterior of the autoencoder for silence.

    Parameters
    ----------
    mean, deviation : ndarray, float32 (C, T)
        T latents of a whole window.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, audio: AudioAutoencoder, latents: int) -> "Silence":
        """Encode a window of silence."""
        nothing = torch.zeros(1, audio.channels, latents * audio.samples_per_latent)
        return cls(*(part[0].float().cpu().numpy() for part in audio.posterior(nothing)))

    def after(self, latents: np.ndarray, clip_ids: Sequence[str]) -> np.ndarray:
        """Latents (B, C, t) of clips, followed by silence up to the window, (B, C, T); one draw per clip."""
        start = latents.shape[2]
        mean, deviation = self.mean[:, start:], self.deviation[:, start:]
        noise = [np.random.default_rng(seed_for(0, "silence", clip)).standard_normal(mean.shape) for clip in clip_ids]
        tails = (mean + deviation * np.stack(noise)).astype(latents.dtype)
        return np.concatenate([latents, tails], axis=2)

    def behind(self, latents: Tensor, clip_ids: Sequence[str]) -> Tensor:
        """As :meth:`after`, drawn on the device of the latents: other numbers, and again one draw per clip."""
        start, device = latents.shape[2], latents.device
        mean, deviation = (sent(torch.from_numpy(part[:, start:]), device) for part in (self.mean, self.deviation))
        seeds = [seed_for(0, "silence", clip) for clip in clip_ids]
        noise = [
            torch.randn(mean.shape, generator=torch.Generator(device).manual_seed(seed), device=device)
            for seed in seeds
        ]
        return torch.cat([latents, mean + deviation * torch.stack(noise)], dim=2)
