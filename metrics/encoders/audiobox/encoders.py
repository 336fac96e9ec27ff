"""Audiobox-Aesthetics as a judge: production quality and complexity, content enjoyment and usefulness (PQ, PC, CE, CU).

Values are ratings as people gave them, 1 to 10; nothing is compared with a reference. Published form: ``config.json``
and ``model.safetensors`` of facebook/audiobox-aesthetics.

Sound: 16 kHz, channel mean, heard in pieces of 10 s that do not overlap; the last one is filled up with zeros, which
the network leaves out. A clip's value is the mean of its pieces, weighted by what was filled in.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from cafa.models.weights import WeightSource, load_checkpoint
from metrics.encoders.audio import prepare_waveform, stack_mono
from metrics.encoders.audiobox.network import AXES, Aesthetics, Settings

SAMPLE_RATE = 16000
PIECE_SAMPLES = 10 * SAMPLE_RATE
#: Fewest samples that give WavLM a frame of which something was heard.
LEAST_SAMPLES = 400

__all__ = ["AXES", "AudioboxEncoder"]


class AudioboxEncoder:
    """Sound at 16 kHz to four ratings.

    Parameters
    ----------
    network
        With its weights.
    weights_sha256
        SHA-256 of the weights file.
    """

    name = "audiobox_aesthetics"
    sample_rate = SAMPLE_RATE
    frame_rate = None

    def __init__(self, network: Aesthetics, weights_sha256: str):
        self.network = network
        self.weights_sha256 = weights_sha256

    @classmethod
    def from_files(
        cls,
        weights: Path,
        config: Path,
        source: WeightSource,
        *,
        device: torch.device | str = "cpu",
        unverified: bool = False,
        **wavlm: object,
    ) -> "AudioboxEncoder":
        """Load the published ``model.safetensors`` and ``config.json``; `wavlm` as in `wavlm_config` (for tests)."""
        settings = replace(Settings.from_file(config), wavlm=wavlm)
        checkpoint = load_checkpoint(weights, source, unverified=unverified)
        return cls(Aesthetics.from_tensors(checkpoint.tensors, settings, device=device), checkpoint.sha256)

    def prepare(self, samples: np.ndarray, rate: int, seconds: float | None) -> np.ndarray:
        """Channel mean, resampled, cut to ``seconds``; DC stays."""
        return prepare_waveform(samples, rate, self.sample_rate, seconds=seconds)

    @torch.inference_mode()
    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Ratings ``(clips, 4)`` in the order of `AXES`, of clips of one length."""
        waveforms = stack_mono(batch, LEAST_SAMPLES).to(self.network.wavlm.device)
        clips, samples = waveforms.shape
        count = -(-samples // PIECE_SAMPLES)
        pieces = functional.pad(waveforms, (0, count * PIECE_SAMPLES - samples)).view(clips * count, PIECE_SAMPLES)
        heard = (torch.arange(count * PIECE_SAMPLES, device=pieces.device) < samples).view(count, PIECE_SAMPLES)
        found = self.network(pieces, heard.repeat(clips, 1)).view(clips, count, len(AXES))
        weights = heard.float().mean(1)
        return ((found * weights[:, None]).sum(1) / weights.sum()).cpu().numpy()
