"""ImageBind's vision and audio towers (the "huge" model), one network each.

Both are pre-norm transformers with a CLS token that end in LayerNorm, a linear layer without bias and L2
normalisation. They differ where the published model does: the vision tower has a LayerNorm before its
blocks; the audio tower has one after its patches, an extra learned key and value in every attention, and
multiplies its normalised output by 20. Source: Girdhar et al., "ImageBind" (CVPR 2023).
"""

from collections.abc import Mapping
from math import log
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from cafa.common.errors import InputError
from cafa.models.encoders.layers import FeedForward
from cafa.models.weights import load_strict, rename_prefixes

FRAME_SIZE = 224
PAIR = 2
MEL_SHAPE = (128, 204)
EMBEDDING = 1024
_LARGEST_SCALE = 100.0

_GROUPS = ("modality_preprocessors", "modality_trunks", "modality_heads", "modality_postprocessors")
_MODALITIES = ("vision", "audio", "text", "depth", "thermal", "imu")


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, extra_key: bool):
        super().__init__()
        self.norm_1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        if extra_key:
            # Not by `add_bias_kv`: its values are drawn, which imports torch's compiler where tensors have no values.
            self.attn.bias_k = nn.Parameter(torch.zeros(1, 1, width))
            self.attn.bias_v = nn.Parameter(torch.zeros(1, 1, width))
        self.norm_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = FeedForward(width, 4 * width)

    def forward(self, tokens: Tensor) -> Tensor:
        normal = self.norm_1(tokens)
        tokens = tokens + self.attn(normal, normal, normal, need_weights=False)[0]
        return tokens + self.mlp(self.norm_2(tokens))


class _Tower(nn.Module):
    """Everything after the patches; `patches` is the only thing that a tower adds."""

    modality: str
    input_shape: tuple[int, ...]
    extra_key: ClassVar[bool]

    def __init__(self, width: int, depth: int, heads: int, patches: int, embedding: int):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, 1 + patches, width))
        self.entry_norm: nn.Module = nn.Identity()
        self.blocks = nn.ModuleList(_Block(width, heads, self.extra_key) for _ in range(depth))
        self.exit_norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, embedding, bias=False)

    @classmethod
    def renames(cls) -> dict[str, str]:
        """Published prefixes and this network's."""
        steps = {group: f"{group}.{cls.modality}." for group in _GROUPS}
        stem, trunk, head, last = (steps[group] for group in _GROUPS)
        return {
            f"{stem}cls_token": "cls_token",
            f"{stem}pos_embedding_helper.pos_embed": "position",
            f"{stem}rgbt_stem.norm_layer.": "patch_norm.",
            f"{stem}rgbt_stem.proj.": "patch_projection.",
            f"{trunk}pre_transformer_layer.0.": "entry_norm.",
            f"{trunk}blocks.": "blocks.",
            f"{head}0.": "exit_norm.",
            f"{head}2.": "head.",
            f"{last}1.": "",
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], *, device: torch.device | str = "cpu", **sizes: int) -> Self:
        """Build from a published ImageBind state dict, strictly; other modalities are left out."""
        with torch.device("meta"):
            network = cls(**sizes)
        others = [f"{group}.{modality}." for group in _GROUPS for modality in _MODALITIES if modality != cls.modality]
        load_strict(network, rename_prefixes(tensors, cls.renames()), unused=others, device=device)
        return network

    def patches(self, clips: Tensor) -> Tensor:
        """Patch vectors ``(n, patches, width)``."""
        raise NotImplementedError

    def forward(self, clips: Tensor, *, clips_per_pass: int = 16) -> Tensor:
        """Embeddings ``(n, 1024)`` of prepared clips, L2 normalised."""
        if clips.shape[1:] != self.input_shape:
            raise InputError(f"{self.modality} clips have shape {tuple(clips.shape[1:])}, not {self.input_shape}")
        return torch.cat([self._encode(part) for part in clips.split(clips_per_pass)])

    def _encode(self, clips: Tensor) -> Tensor:
        patches = self.patches(clips)
        tokens = torch.cat((self.cls_token.expand(len(patches), -1, -1), patches), dim=1) + self.position
        tokens = self.entry_norm(tokens)
        for block in self.blocks:
            tokens = block(tokens)
        return functional.normalize(self.head(self.exit_norm(tokens[:, 0])), dim=-1)


class ImageBindVision(_Tower):
    """Pairs of frames ``(n, 3, 2, 224, 224)`` to embeddings of norm 1."""

    modality = "vision"
    input_shape = (3, PAIR, FRAME_SIZE, FRAME_SIZE)
    extra_key = False

    def __init__(self, width: int = 1280, depth: int = 32, heads: int = 16, embedding: int = EMBEDDING):
        super().__init__(width, depth, heads, (FRAME_SIZE // 14) ** 2, embedding)
        # Index 1: in the published model a parameter-free step that repeats still images comes first.
        projection = nn.Conv3d(3, width, (PAIR, 14, 14), (PAIR, 14, 14), bias=False)
        self.patch_projection = nn.ModuleDict({"1": projection})
        self.entry_norm = nn.LayerNorm(width, eps=1e-6)

    def patches(self, clips: Tensor) -> Tensor:
        """Patch vectors ``(n, 256, width)``."""
        return self.patch_projection["1"](clips).flatten(2).mT


class ImageBindAudio(_Tower):
    """Log-mels ``(n, 128, 204)`` of 2 s to embeddings of norm 20."""

    modality = "audio"
    input_shape = MEL_SHAPE
    extra_key = True
    log_logit_scale: Tensor

    def __init__(self, width: int = 768, depth: int = 12, heads: int = 12, embedding: int = EMBEDDING):
        places = [(side - 16) // 10 + 1 for side in MEL_SHAPE]
        super().__init__(width, depth, heads, places[0] * places[1], embedding)
        self.patch_projection = nn.Conv2d(1, width, 16, 10, bias=False)
        self.patch_norm = nn.LayerNorm(width)
        self.register_buffer("log_logit_scale", torch.tensor(log(20.0)))

    def patches(self, clips: Tensor) -> Tensor:
        """Patch vectors ``(n, 228, width)``."""
        return self.patch_norm(self.patch_projection(clips[:, None]).flatten(2).mT)

    def forward(self, clips: Tensor, *, clips_per_pass: int = 16) -> Tensor:
        """Embeddings ``(n, 1024)`` of norm 20, the checkpoint's fixed scale."""
        scale = self.log_logit_scale.exp().clamp(max=_LARGEST_SCALE)
        return super().forward(clips, clips_per_pass=clips_per_pass) * scale
