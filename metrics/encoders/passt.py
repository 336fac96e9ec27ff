"""PaSST: the network behind FD, KL and inception score on PaSST (FD_PaSST, KL_PaSST, IS_PaSST).

A vision transformer on overlapping 16 x 16 patches of a log-mel spectrogram, with separate position tables over
frequency and time, a class token and a distillation token. The embedding is the mean of both tokens, the logits are
those of AudioSet's 527 classes, before the sigmoid. Checkpoint ``passt-s-f128-p16-s10-ap.476-swa.pt``, as in
hear21passt's ``base`` and av-benchmark.

Sound: 32 kHz, channel mean, DC removed, exactly 10 s: shorter sound is filled up with zeros and longer is cut, as in
av-benchmark. Log-mel: pre-emphasis ``x[t] - 0.97 x[t - 1]`` (one sample shorter), centred frames of 800 samples every
320 (symmetric Hann window, FFT 1024, reflected edges), power, 128 Kaldi filters from 0 to 15 kHz, ``log(x + 1e-5)``,
``(x + 4.5) / 5``.

Source: Koutini et al., "Efficient training of audio transformers with patchout" (Interspeech 2022).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cafa.models.encoders.layers import FeedForward
from cafa.models.weights import WeightSource, load_checkpoint, load_strict
from metrics.encoders.audio import prepare_waveform, stack_mono
from metrics.encoders.spectral import mel_filters

SAMPLE_RATE = 32000
CLIP_SAMPLES = 320000
CLASSES = 527
WIDTH = 768
MEL_BINS = 128
_WINDOW, _FFT, _HOP = 800, 1024, 320
_HIGHEST = 15000.0
_PATCH, _STRIDE = 16, 10
#: Patches over frequency and over time that the published position tables cover (998 frames).
GRID = (12, 99)


def log_mel(waveforms: Tensor) -> Tensor:
    """Normalised log-mel ``(clips, 128, frames)`` of mono sound ``(clips, samples)`` at 32 kHz.

    ``1 + (samples - 1) // 320`` frames; at least 513 samples are needed.
    """
    emphasised = waveforms[:, 1:] - 0.97 * waveforms[:, :-1]
    spectrum = torch.stft(
        emphasised,
        n_fft=_FFT,
        hop_length=_HOP,
        win_length=_WINDOW,
        window=torch.hann_window(_WINDOW, periodic=False, device=waveforms.device),
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    mel = mel_filters(SAMPLE_RATE, _FFT, MEL_BINS, 0.0, _HIGHEST, "kaldi").to(power).mT @ power
    return (torch.log(mel + 1e-5) + 4.5) / 5


def fit_length(waveforms: Tensor) -> Tensor:
    """Exactly 10 s at 32 kHz of ``(clips, samples)``: zeros are appended, longer sound is cut."""
    return functional.pad(waveforms, (0, max(0, CLIP_SAMPLES - waveforms.shape[-1])))[..., :CLIP_SAMPLES]


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        split = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(functional.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = FeedForward(width, 4 * width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class Passt(nn.Module):
    """The network, from waveform to embedding and logits; names are those of the checkpoint.

    Parameters
    ----------
    width, depth, heads
        Of the transformer; the defaults are the published ones.
    """

    def __init__(self, width: int = WIDTH, depth: int = 12, heads: int = 12):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, width))
        self.new_pos_embed = nn.Parameter(torch.zeros(1, 2, width))
        self.freq_new_pos_embed = nn.Parameter(torch.zeros(1, width, GRID[0], 1))
        self.time_new_pos_embed = nn.Parameter(torch.zeros(1, width, 1, GRID[1]))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(1, width, _PATCH, _STRIDE)})
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, CLASSES))

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], *, device: torch.device | str = "cpu", **sizes: int
    ) -> "Passt":
        """Build from a published state dict, strictly; the head of distillation is left out, as no answer uses it."""
        with torch.device("meta"):
            network = cls(**sizes)
        load_strict(network, tensors, unused=("head_dist.",), device=device)
        return network

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding ``(clips, 768)`` and logits ``(clips, 527)`` of mono sound of up to 10 s at 32 kHz."""
        return self.from_mel(log_mel(waveforms))

    def from_mel(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, from what `log_mel` gives."""
        patches = self.patch_embed["proj"](mel[:, None])
        patches = patches + self.time_new_pos_embed[..., : patches.shape[-1]] + self.freq_new_pos_embed
        first = torch.cat((self.cls_token, self.dist_token), dim=1) + self.new_pos_embed
        tokens = torch.cat((first.expand(len(mel), -1, -1), patches.flatten(2).mT), dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        embedding = self.norm(tokens[:, :2]).mean(1)
        return embedding, self.head(embedding)


def published_shapes(**sizes: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of a checkpoint."""
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in Passt(**sizes).state_dict().items()}
    width = shapes["norm.weight"][0]
    return shapes | {"head_dist.weight": (CLASSES, width), "head_dist.bias": (CLASSES,)}


class PasstEncoder:
    """PaSST as a judge: `embed` for the Frechet distance, `embed_with_logits` for KL and inception score as well."""

    name = "passt_s_swa_p16_128_ap476"
    sample_rate = SAMPLE_RATE
    frame_rate = None

    def __init__(self, network: Passt, weights_sha256: str):
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
        **sizes: int,
    ) -> "PasstEncoder":
        """Load the published checkpoint (a flat state dict); `sizes` as in `Passt`."""
        checkpoint = load_checkpoint(path, source, unverified=unverified)
        return cls(Passt.from_tensors(checkpoint.tensors, device=device, **sizes), checkpoint.sha256)

    def prepare(self, samples: np.ndarray, rate: int, seconds: float | None) -> np.ndarray:
        """Channel mean, DC removed from the whole file, resampled, cut to ``seconds``."""
        return prepare_waveform(samples, rate, self.sample_rate, seconds=seconds, remove_mean=True)

    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings ``(clips, 768)`` of clips of one length; only the first 10 s are heard."""
        return self.embed_with_logits(batch)[0]

    @torch.inference_mode()
    def embed_with_logits(self, batch: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings ``(clips, 768)`` and AudioSet logits ``(clips, 527)``."""
        waveforms = fit_length(stack_mono(batch, 1))
        embedding, logits = self.network(waveforms.to(self.network.cls_token.device))
        return embedding.cpu().numpy(), logits.cpu().numpy()
