"""PANNs Cnn14: the network behind FAD (Frechet distance), KL and inception score.

The checkpoint brings its own front end: STFT kernels and mel matrix are weights like all others, so the
log-mel spectrogram cannot drift from the one the network was trained on.

=========  =======================  ==========  =====  ============
rate       checkpoint               FFT window  hop    mel range
=========  =======================  ==========  =====  ============
16000 Hz   Cnn14_16k_mAP=0.438.pth  512         160    50..8000 Hz
32000 Hz   Cnn14_mAP=0.431.pth      1024        320    50..14000 Hz
=========  =======================  ==========  =====  ============

The published tables use 16 kHz. Source: Kong et al., "PANNs" (TASLP 2020).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cafa.common.errors import InputError
from cafa.models.weights import WeightSource, load_checkpoint, load_strict, rename_prefixes
from metrics.encoders.audio import prepare_waveform, stack_mono
from metrics.encoders.spectral import TableLogMel, log_mel_tables

CLASSES = 527
WIDTH = 2048
MEL_BINS = 64
_WINDOW = {16000: 512, 32000: 1024}
_HOP = {16000: 160, 32000: 320}
_HIGHEST = {16000: 8000.0, 32000: 14000.0}
_RENAMES = {f"{part}.": f"log_mel.{part}." for part in ("spectrogram_extractor", "logmel_extractor")}
_CHANNELS = (1, 64, 128, 256, 512, 1024, 2048)


def check_rate(rate: int) -> int:
    """Return ``rate`` if there is a Cnn14 for it, else raise `InputError`."""
    if rate not in _WINDOW:
        raise InputError(f"Cnn14 exists for {sorted(_WINDOW)} Hz, not for {rate} Hz")
    return rate


def front_end_tables(rate: int) -> dict[str, Tensor]:
    """The constant tables that a Cnn14 checkpoint holds, by their published names."""
    return log_mel_tables(check_rate(rate), _WINDOW[rate], MEL_BINS, 50.0, _HIGHEST[rate])


def published_shapes(rate: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all 84 tensors of a checkpoint."""
    with torch.device("meta"):
        tensors = Cnn14(rate).state_dict()
    return {name.removeprefix("log_mel."): tuple(tensor.shape) for name, tensor in tensors.items()}


class _ConvBlock(nn.Module):
    """Two 3x3 convolutions without bias, each with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, maps: Tensor) -> Tensor:
        maps = functional.relu(self.bn1(self.conv1(maps)))
        return functional.relu(self.bn2(self.conv2(maps)))


class Cnn14(nn.Module):
    """The network, from waveform to embedding and logits.

    Parameters
    ----------
    rate
        16000 or 32000 Hz.
    channels
        Of the input and of the six blocks; the last is the width of the embedding.
    """

    def __init__(self, rate: int, channels: Sequence[int] = _CHANNELS):
        super().__init__()
        check_rate(rate)
        # Each of five poolings halves time, so 32 frames are the fewest that leave one.
        self.least_samples = 31 * _HOP[rate]
        self.log_mel = TableLogMel(_WINDOW[rate], _HOP[rate], MEL_BINS)
        self.bn0 = nn.BatchNorm2d(MEL_BINS)
        for number, (inputs, outputs) in enumerate(pairwise(channels), start=1):
            self.add_module(f"conv_block{number}", _ConvBlock(inputs, outputs))
        self.fc1 = nn.Linear(channels[-1], channels[-1])
        self.fc_audioset = nn.Linear(channels[-1], CLASSES)

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], rate: int, *, device: torch.device | str = "cpu", **sizes: Sequence[int]
    ) -> "Cnn14":
        """Build from all 84 published tensors, strictly; `sizes` (``channels``) where they are not the published."""
        with torch.device("meta"):
            network = cls(rate, **sizes)
        load_strict(network, rename_prefixes(tensors, _RENAMES), device=device)
        return network

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding ``(clips, 2048)`` after ReLU, and logits ``(clips, 527)`` before the sigmoid."""
        maps = self.bn0(self.log_mel(waveforms).mT[:, :, :, None]).transpose(1, 3)
        for number in range(1, len(_CHANNELS)):
            maps = self.get_submodule(f"conv_block{number}")(maps)
            if number < len(_CHANNELS) - 1:
                maps = functional.avg_pool2d(maps, 2)
        times = maps.mean(3)
        embedding = functional.relu(self.fc1(times.amax(2) + times.mean(2)))
        return embedding, self.fc_audioset(embedding)


class PannsEncoder:
    """Cnn14 as a judge: `embed` for FAD, `embed_with_logits` for KL and inception score as well.

    Parameters
    ----------
    network
        With its weights.
    rate
        16000 or 32000 Hz.
    weights_sha256
        SHA-256 of the weights file.
    """

    frame_rate = None

    def __init__(self, network: Cnn14, rate: int, weights_sha256: str):
        self.network = network
        self.sample_rate = check_rate(rate)
        self.weights_sha256 = weights_sha256
        self.name = f"panns_cnn14_{rate // 1000}k"

    @classmethod
    def from_file(
        cls,
        path: Path,
        source: WeightSource,
        rate: int = 16000,
        *,
        device: torch.device | str = "cpu",
        unverified: bool = False,
        **sizes: Sequence[int],
    ) -> "PannsEncoder":
        """Load a published checkpoint (state dict under ``model``); `sizes` as in `Cnn14`."""
        checkpoint = load_checkpoint(path, source, key="model", unverified=unverified)
        return cls(Cnn14.from_tensors(checkpoint.tensors, rate, device=device, **sizes), rate, checkpoint.sha256)

    def prepare(self, samples: np.ndarray, rate: int, seconds: float | None) -> np.ndarray:
        """Channel mean, DC removed from the whole file, resampled, cut to ``seconds``."""
        return prepare_waveform(samples, rate, self.sample_rate, seconds=seconds, remove_mean=True)

    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings ``(clips, 2048)``, none negative, of clips of one length at ``sample_rate``."""
        return self.embed_with_logits(batch)[0]

    @torch.inference_mode()
    def embed_with_logits(self, batch: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings ``(clips, 2048)`` and AudioSet logits ``(clips, 527)``."""
        waveforms = stack_mono(batch, self.network.least_samples)
        embedding, logits = self.network(waveforms.to(self.network.fc1.weight.device))
        return embedding.cpu().numpy(), logits.cpu().numpy()
