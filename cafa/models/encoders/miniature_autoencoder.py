"""Audio latents of the miniature: principal components of the log-mel, back to sound by Griffin-Lim.

It stands where the Oobleck autoencoder stands at full size: fitted once, frozen, waveform to latents and back.
Two mel frames are folded into one latent, so latents have the video's frame rate.
"""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import BaseModel, ConfigDict, Field
from scipy import fft

from cafa.media.mel import MelSettings, hann, mel_filters
from cafa.models.folders import load_model, save_model

KIND = "mel_autoencoder"


class AutoencoderSettings(BaseModel):
    """Size of the autoencoder and effort of its inversion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(16, gt=0, description="latent channels (principal components)")
    fold: int = Field(2, gt=0, description="mel frames per latent")
    griffin_lim_iterations: int = Field(8, gt=0, description="phase iterations when decoding")
    mel: MelSettings = Field(default_factory=MelSettings, description="geometry of the log-mel")


class MelAutoencoder:
    """Whitened principal components of folded log-mel frames.

    Parameters
    ----------
    settings : AutoencoderSettings
    mean : ndarray, (fold * bins,)
    components : ndarray, (channels, fold * bins)
        Orthonormal rows.
    scale : ndarray, (channels,)
        Standard deviation of each component over the training clips.
    encoder : dict
        Identity, as stored with latents.
    """

    def __init__(
        self,
        settings: AutoencoderSettings,
        mean: np.ndarray,
        components: np.ndarray,
        scale: np.ndarray,
        encoder: dict[str, Any],
    ) -> None:
        self.settings, self.mean, self.components, self.scale = settings, mean, components, scale
        self.encoder = encoder
        # Least-squares inverse of the mel filters; negative magnitudes are cut when it is applied.
        self._inverse = np.linalg.pinv(mel_filters(settings.mel)).astype(np.float32)

    @classmethod
    def load(cls, folder: str | Path) -> "MelAutoencoder":
        """Load from a model folder."""
        weights, card = load_model(folder, KIND)
        arrays = {name: tensor.numpy() for name, tensor in weights.items()}
        settings = AutoencoderSettings.model_validate(card["settings"])
        encoder = {"name": KIND, "weights_sha256": card["weights_sha256"], "settings": card["settings"]}
        return cls(settings, arrays["mean"], arrays["components"], arrays["scale"], encoder)

    def encode(self, mel: np.ndarray) -> np.ndarray:
        """Latents of a log-mel: (frames, bins) -> float32 (frames // fold, channels), about unit variance."""
        folded = mel.astype(np.float32).reshape(len(mel) // self.settings.fold, -1)
        return (folded - self.mean) @ self.components.T / self.scale

    def decode_mel(self, latents: np.ndarray) -> np.ndarray:
        """Log-mel of latents: (T, channels) -> float32 (T * fold, bins)."""
        folded = (latents * self.scale) @ self.components + self.mean
        return folded.reshape(-1, self.settings.mel.bins)

    def decode(self, latents: np.ndarray, seed: int) -> np.ndarray:
        """Waveform of latents.

        Parameters
        ----------
        latents : ndarray, (T, channels)
        seed : int
            Of the phases that Griffin-Lim starts from.

        Returns
        -------
        ndarray, float32 (T * fold * hop,)
            Mono; scaled down only if its peak would pass 0.99.
        """
        mel = self.settings.mel
        magnitude = np.exp(np.minimum(self.decode_mel(latents), 3.0)) - mel.floor
        linear = np.maximum(magnitude @ self._inverse, 0.0) * (mel.window / 4)
        waveform = griffin_lim(linear.astype(np.float32), mel, self.settings.griffin_lim_iterations, seed)
        return waveform / max(1.0, float(np.abs(waveform).max()) / 0.99)


@lru_cache(maxsize=8)
def _overlap(frames: int, window: int, hop: int) -> np.ndarray:
    """Sum of the squared tapers at every sample, at least 1e-3."""
    places = np.arange(frames)[:, None] * hop + np.arange(window)
    total = np.bincount(places.ravel(), np.tile(hann(window) ** 2, frames), (frames - 1) * hop + window)
    return np.maximum(total, 1e-3).astype(np.float32)


def _added(pieces: np.ndarray, hop: int) -> np.ndarray:
    """Overlapping pieces (frames, window) added up, at every sample from the first piece to the last."""
    frames, window = pieces.shape
    parts = -(-window // hop)
    rows = np.zeros((frames - 1 + parts, hop), pieces.dtype)
    for part in reversed(range(parts)):  # the last part of a piece lies where the first part of a later one does
        some = pieces[:, part * hop : (part + 1) * hop]
        rows[part : part + frames, : some.shape[1]] += some
    return rows.reshape(-1)[: (frames - 1) * hop + window]


def griffin_lim(magnitude: np.ndarray, settings: MelSettings, iterations: int, seed: int) -> np.ndarray:
    """Waveform whose spectrum has the given magnitude: fast Griffin-Lim (Perraudin et al. 2013, momentum 0.99).

    Parameters
    ----------
    magnitude : ndarray, float32 (frames, window // 2 + 1)
    settings : MelSettings
    iterations : int
    seed : int
        Of the starting phases.

    Returns
    -------
    ndarray, float32 (frames * hop,)
    """
    frames, window, hop = len(magnitude), settings.window, settings.hop
    side = (window - hop) // 2
    taper, weight = hann(window), _overlap(frames, window, hop)
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, magnitude.shape).astype(np.float32)
    angles = np.exp(1j * phases).astype(np.complex64)
    previous = np.zeros_like(angles)
    for iteration in range(iterations + 1):
        signal = _added(fft.irfft(magnitude * angles, n=window, axis=1) * taper, hop) / weight
        if iteration == iterations:
            break
        rebuilt = fft.rfft(sliding_window_view(signal, window)[::hop] * taper, axis=1)
        angles = rebuilt + np.float32(0.99) * (rebuilt - previous)
        # NumPy divides by a complex number by its reciprocal; so does this, without the parts that are zero.
        scale = np.float32(1) / np.maximum(np.abs(angles), np.float32(1e-9))
        angles.view(np.float32)[...] *= np.repeat(scale, 2, axis=1)
        previous = rebuilt
    return signal[side : side + frames * hop]


def fit_autoencoder(
    mels: Iterable[np.ndarray], settings: AutoencoderSettings, folder: str | Path, card: dict[str, Any]
) -> None:
    """Fit to log-mels, streamed, and write a model folder.

    Parameters
    ----------
    mels : iterable of ndarray, (frames, bins)
    settings : AutoencoderSettings
    folder : path
    card : dict
        Provenance to add to the card.
    """
    size = settings.fold * settings.mel.bins
    count, total, products = 0, np.zeros(size), np.zeros((size, size))
    for mel in mels:
        folded = mel.astype(np.float64).reshape(-1, size)
        count += len(folded)
        total += folded.sum(0)
        products += folded.T @ folded
    mean = total / count
    values, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
    order = np.argsort(values)[::-1][: settings.channels]
    components = vectors[:, order].T
    # The sign of an eigenvector is arbitrary: make the largest entry positive.
    components *= np.sign(components[np.arange(len(order)), np.abs(components).argmax(1)])[:, None]
    weights = {"mean": mean, "components": components, "scale": np.sqrt(values[order])}
    explained = float(values[order].sum() / values.sum())
    save_model(
        folder,
        {name: torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)) for name, array in weights.items()},
        {**card, "kind": KIND, "settings": settings.model_dump(), "explained_variance": explained},
    )
