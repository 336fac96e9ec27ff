"""VGGish: the network behind the FAD of Kilgour et al. and av-benchmark's FD on VGGish (FD_VGG).

A clip is heard in pieces of 0.96 s that do not overlap; each becomes 128 values, and the Frechet distance is that of
all pieces of all clips. What follows the last layer differs between those who print the number:

=========================================  =====================  ==================
who                                        ReLU after last layer  PCA and 8-bit steps
=========================================  =====================  ==================
av-benchmark, audioldm_eval, fadtk         no                     no
torchvggish as it comes                    yes                    yes
torchvggish, ``postprocess=False``         yes                    no
=========================================  =====================  ==================

The first row is the default here. Checkpoint ``vggish-10086976.pth`` of torchvggish, a conversion of Google's.

Sound: 16 kHz, channel mean, DC removed and resampled as in av-benchmark (torchvggish resamples with resampy and keeps
DC). Log-mel: whole frames of 400 samples every 160 (periodic Hann window, FFT 512), *magnitude*, 64 triangles that are
straight on the mel axis, 125 to 7500 Hz, ``log(x + 0.01)``, in float64.

Sources: Hershey et al., "CNN architectures for large-scale audio classification" (ICASSP 2017); Kilgour et al.,
"Frechet audio distance" (Interspeech 2019).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cafa.models.weights import WeightSource, load_checkpoint, load_strict
from metrics.encoders.audio import prepare_waveform, stack_mono
from metrics.encoders.spectral import mel_filters

SAMPLE_RATE = 16000
WIDTH = 128
MEL_BINS = 64
PIECE_FRAMES = 96
_WINDOW, _FFT, _HOP = 400, 512, 160
#: Samples of one piece of 96 frames, with the end of its last frame.
LEAST_SAMPLES = (PIECE_FRAMES - 1) * _HOP + _WINDOW
_CHANNELS = (1, 64, 128, 256, 256, 512, 512)
#: Convolutions after which the map is halved, counted from 1.
_HALVED = (1, 2, 4, 6)
_HIDDEN = 4096
QUANTISED = (-2.0, 2.0)


def log_mel_pieces(waveforms: Tensor) -> Tensor:
    """Log-mels of pieces of 0.96 s: float32 ``(clips, pieces, 96, 64)`` of sound ``(clips, samples)`` at 16 kHz.

    What is left after the last whole piece is not heard.
    """
    frames = waveforms.double().unfold(-1, _WINDOW, _HOP)
    window = torch.hann_window(_WINDOW, periodic=True, dtype=torch.float64, device=waveforms.device)
    magnitude = torch.fft.rfft(frames * window, n=_FFT).abs()
    filters = mel_filters(SAMPLE_RATE, _FFT, MEL_BINS, 125.0, 7500.0, "kaldi").to(magnitude)
    mel = torch.log(magnitude @ filters + 0.01)
    pieces = mel.shape[1] // PIECE_FRAMES
    return mel[:, : pieces * PIECE_FRAMES].unflatten(1, (pieces, PIECE_FRAMES)).float()


class Vggish(nn.Module):
    """The network, from log-mels of pieces to 128 values each; names are those of the checkpoint.

    Parameters
    ----------
    channels
        Of the input and of the six convolutions.
    hidden
        Width of the two hidden layers.
    last_relu
        Whether the 128 values pass a ReLU, as in torchvggish.
    """

    def __init__(self, channels: Sequence[int] = _CHANNELS, hidden: int = _HIDDEN, *, last_relu: bool = False):
        super().__init__()
        layers: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise(channels), start=1):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if number in _HALVED else []
        self.features = nn.Sequential(*layers)
        places = (PIECE_FRAMES // 16) * (MEL_BINS // 16)
        self.embeddings = nn.Sequential(
            nn.Linear(places * channels[-1], hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, WIDTH),
        )  # fmt: skip
        self.last_relu = last_relu

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], *, device: torch.device | str = "cpu", **settings: Any
    ) -> "Vggish":
        """Build from a published state dict, strictly; `settings` as in the class."""
        with torch.device("meta"):
            network = cls(**settings)
        load_strict(network, tensors, device=device)
        return network

    def forward(self, pieces: Tensor) -> Tensor:
        """Embeddings ``(n, 128)`` of log-mels ``(n, 96, 64)``."""
        maps = self.features(pieces[:, None])
        # TensorFlow's order: frame, band, channel
        found = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return functional.relu(found) if self.last_relu else found


def published_shapes(**settings: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all 18 tensors of a checkpoint."""
    with torch.device("meta"):
        network = Vggish(**settings)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def postprocess(embeddings: np.ndarray, eigenvectors: np.ndarray, means: np.ndarray) -> np.ndarray:
    """AudioSet's release form of embeddings: PCA with whitening, cut to [-2, 2], in 256 steps.

    For use with embeddings after the last ReLU; no column of a table uses it.

    Parameters
    ----------
    embeddings
        ``(..., 128)``.
    eigenvectors, means
        ``pca_eigen_vectors`` (128, 128), a row per component, and ``pca_means`` (128) of the published parameters.

    Returns
    -------
    numpy.ndarray
        float32 whole numbers, 0 to 255, of the shape of `embeddings`.
    """
    low, high = QUANTISED
    turned = (embeddings.astype(np.float32) - means.reshape(-1).astype(np.float32)) @ eigenvectors.astype(np.float32).T
    return np.rint((np.clip(turned, low, high) - low) * np.float32(255 / (high - low)))


class VggishEncoder:
    """VGGish as a judge.

    Parameters
    ----------
    network
        With its weights.
    weights_sha256
        SHA-256 of the weights file.
    """

    name = "vggish"
    sample_rate = SAMPLE_RATE
    frame_rate = None

    def __init__(self, network: Vggish, weights_sha256: str):
        self.network = network
        self.weights_sha256 = weights_sha256

    @classmethod
    def from_file(
        cls,
        path: Path,
        source: WeightSource,
        *,
        device: torch.device | str = "cpu",
        unverified: bool = False,
        **settings: Any,
    ) -> "VggishEncoder":
        """Load the published checkpoint (a flat state dict); `settings` as in `Vggish`."""
        checkpoint = load_checkpoint(path, source, unverified=unverified)
        return cls(Vggish.from_tensors(checkpoint.tensors, device=device, **settings), checkpoint.sha256)

    def prepare(self, samples: np.ndarray, rate: int, seconds: float | None) -> np.ndarray:
        """Channel mean, DC removed from the whole file, resampled, cut to ``seconds``."""
        return prepare_waveform(samples, rate, self.sample_rate, seconds=seconds, remove_mean=True)

    @torch.inference_mode()
    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings ``(clips, pieces, 128)`` of clips of one length: a row per whole 0.96 s.

        Raises
        ------
        ClipError
            Reason ``short`` if there is no whole piece.
        """
        waveforms = stack_mono(batch, LEAST_SAMPLES).to(next(self.network.parameters()).device)
        pieces = log_mel_pieces(waveforms)
        return self.network(pieces.flatten(0, 1)).unflatten(0, pieces.shape[:2]).cpu().numpy()
