"""Synchformer's audio encoder: an Audio Spectrogram Transformer on segments of 0.64 s.

ViT-B on overlapping 16 x 16 patches (stride 10) of a 128 x 66 log-mel: 12 places in frequency times 6 in
time. The two leading tokens are dropped, and one transformer layer pools over frequency, which leaves 6
vectors per segment. Sources: Gong et al., "AST" (Interspeech 2021); Iashin et al., "Synchformer" (ICASSP
2024); parameter names are those of the published checkpoint.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from cafa.common.errors import ClipError, InputError
from cafa.models.encoders.layers import ClsPooling
from cafa.models.weights import load_strict
from metrics.encoders.spectral import synchformer_log_mel

SAMPLE_RATE = 16000
SEGMENT_SAMPLES = 10240
SEGMENT_STRIDE = 5120
MEL_SHAPE = (128, 66)

_OTHER_TOWERS = ("vfeat_extractor.", "vproj.", "aproj.", "transformer.")


def take_audio_segments(waveforms: Tensor) -> Tensor:
    """Segments ``(clips, segments, 10240)`` every 5120 samples of ``(clips, samples)`` at 16 kHz, as a view.

    The counts are those of the video segments every 8 frames at 25 fps: 4.8 s give 14, 8 s give 24.

    Raises
    ------
    ClipError
        Reason ``short`` if there is no whole segment.
    """
    samples = waveforms.shape[-1]
    if samples < SEGMENT_SAMPLES:
        raise ClipError("short", f"sound has {samples} samples at 16 kHz, a segment needs {SEGMENT_SAMPLES}")
    return waveforms.unfold(-1, SEGMENT_SAMPLES, SEGMENT_STRIDE)


class _Dense(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.dense = nn.Linear(inputs, outputs)


class _AstBlock(nn.Module):
    """Pre-norm transformer block under the names that Hugging Face gave it."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        projections = {part: nn.Linear(width, width) for part in ("query", "key", "value")}
        self.attention = nn.ModuleDict({"attention": nn.ModuleDict(projections), "output": _Dense(width, width)})
        self.intermediate = _Dense(width, 4 * width)
        self.output = _Dense(4 * width, width)
        self.layernorm_before = nn.LayerNorm(width, eps=1e-12)
        self.layernorm_after = nn.LayerNorm(width, eps=1e-12)

    def forward(self, tokens: Tensor) -> Tensor:
        normal = self.layernorm_before(tokens)
        projections, output = self.attention["attention"], self.attention["output"]
        assert isinstance(projections, nn.ModuleDict)
        assert isinstance(output, _Dense)
        query, key, value = (
            projections[part](normal).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + output.dense(mixed.transpose(1, 2).flatten(2))
        hidden = functional.gelu(self.intermediate.dense(self.layernorm_after(tokens)))
        return tokens + self.output.dense(hidden)


class _AstEmbeddings(nn.Module):
    def __init__(self, width: int, patches: int):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.distillation_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 2 + patches, width))
        self.patch_embeddings = nn.ModuleDict({"projection": nn.Conv2d(1, width, 16, 10)})

    def forward(self, mel: Tensor) -> Tensor:
        patches = self.patch_embeddings["projection"](mel[:, None]).flatten(2).mT
        lead = torch.cat((self.cls_token, self.distillation_token), dim=1).expand(len(mel), -1, -1)
        return torch.cat((lead, patches), dim=1) + self.position_embeddings


class _Ast(nn.Module):
    def __init__(self, width: int, depth: int, heads: int, patches: int):
        super().__init__()
        self.embeddings = _AstEmbeddings(width, patches)
        blocks = nn.ModuleList(_AstBlock(width, heads) for _ in range(depth))
        self.encoder = nn.ModuleDict({"layer": blocks})
        self.layernorm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, mel: Tensor) -> Tensor:
        tokens = self.embeddings(mel)
        layers = self.encoder["layer"]
        assert isinstance(layers, nn.ModuleList)
        for block in layers:
            tokens = block(tokens)
        return self.layernorm(tokens)


class AudioFeatures(nn.Module):
    """AST and the pooling over frequency (``afeat_extractor`` of the checkpoint)."""

    def __init__(self, width: int, depth: int, heads: int):
        super().__init__()
        self.grid = tuple((side - 16) // 10 + 1 for side in MEL_SHAPE)
        self.ast = _Ast(width, depth, heads, self.grid[0] * self.grid[1])
        self.freq_attn_agg = ClsPooling(width, heads, 4 * width)

    def forward(self, mel: Tensor) -> Tensor:
        """Encode log-mels ``(n, 128, 66)`` as ``(n, 6, width)``."""
        if mel.shape[1:] != MEL_SHAPE:
            raise InputError(f"log-mels have shape {tuple(mel.shape[1:])}, expected {MEL_SHAPE}")
        patches = self.ast(mel)[:, 2:].unflatten(1, self.grid)
        return self.freq_attn_agg(patches.transpose(1, 2).flatten(0, 1)).unflatten(0, (-1, self.grid[1]))


class SynchformerAudio(nn.Module):
    """Waveform segments to 6 vectors each, before ``aproj``; the defaults are the published size."""

    def __init__(self, width: int = 768, depth: int = 12, heads: int = 12):
        super().__init__()
        self.afeat_extractor = AudioFeatures(width, depth, heads)

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], *, device: torch.device | str = "cpu", **sizes: int
    ) -> "SynchformerAudio":
        """Build from a published Synchformer state dict, strictly; the other towers are left out."""
        with torch.device("meta"):
            network = cls(**sizes)
        load_strict(network, tensors, unused=_OTHER_TOWERS, device=device)
        return network

    def forward(self, segments: Tensor, *, segments_per_pass: int = 64) -> Tensor:
        """Encode waveforms ``(clips, segments, 10240)`` as ``(clips, segments, 6, width)``."""
        flat = synchformer_log_mel(segments).flatten(0, 1)
        parts = [self.afeat_extractor(part) for part in flat.split(segments_per_pass)]
        return torch.cat(parts).unflatten(0, segments.shape[:2])
