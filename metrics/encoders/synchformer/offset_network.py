"""Synchformer's offset head: how late is the sound, in 21 classes of 0.2 s.

One transformer reads ``[OFF] video [MOD] audio``; a linear layer on the OFF token gives the logits. Its
position table has room for exactly 14 segments (14 x 8 video vectors, 14 x 6 audio vectors, 2 tokens), so
a clip is judged on its first and its last 14 segments, 4.8 s each.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from cafa.common.errors import ClipError, InputError
from cafa.models.weights import load_strict

WINDOW_SEGMENTS = 14
VIDEO_VECTORS = 8
AUDIO_VECTORS = 6
OFFSET_CLASSES = 21

_OTHER_TOWERS = ("vfeat_extractor.", "afeat_extractor.")


def offset_grid() -> Tensor:
    """Seconds of each class: -2.0, -1.8, ..., 2.0; class 10 is in sync."""
    return (torch.arange(OFFSET_CLASSES) - OFFSET_CLASSES // 2) / 5


class _HeadBlock(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.ln1 = nn.LayerNorm(width)
        self.ln2 = nn.LayerNorm(width)
        self.attn = nn.ModuleDict({part: nn.Linear(width, width) for part in ("key", "query", "value", "proj")})
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        normal = self.ln1(tokens)
        query, key, value = (
            self.attn[part](normal).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.attn["proj"](mixed.transpose(1, 2).flatten(2))
        return tokens + self.mlp(self.ln2(tokens))


class _PositionTable(nn.Module):
    def __init__(self, length: int, width: int):
        super().__init__()
        self.pos_emb = nn.Parameter(torch.zeros(1, length, width))


class _OffsetTransformer(nn.Module):
    def __init__(self, width: int, depth: int, heads: int):
        super().__init__()
        length = 2 + WINDOW_SEGMENTS * (VIDEO_VECTORS + AUDIO_VECTORS)
        self.OFF_tok = nn.Parameter(torch.zeros(1, 1, width))
        self.MOD_tok = nn.Parameter(torch.zeros(1, 1, width))
        self.vis_in_lnorm = nn.LayerNorm(width)
        self.aud_in_lnorm = nn.LayerNorm(width)
        self.pos_emb_cfg = _PositionTable(length, width)
        self.blocks = nn.Sequential(*(_HeadBlock(width, heads) for _ in range(depth)))
        self.ln_f = nn.LayerNorm(width)
        self.off_head = nn.Linear(width, OFFSET_CLASSES)

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        off, mod = (token.expand(len(video), -1, -1) for token in (self.OFF_tok, self.MOD_tok))
        tokens = torch.cat((off, self.vis_in_lnorm(video), mod, self.aud_in_lnorm(audio)), dim=1)
        tokens = self.blocks(tokens + self.pos_emb_cfg.pos_emb)
        return self.off_head(self.ln_f(tokens[:, 0]))


class SynchformerOffset(nn.Module):
    """Features of both towers, before their projections, to offset logits."""

    def __init__(self, width: int = 768, depth: int = 3, heads: int = 8):
        super().__init__()
        self.vproj = nn.Linear(width, width)
        self.aproj = nn.Linear(width, width)
        self.transformer = _OffsetTransformer(width, depth, heads)

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], *, device: torch.device | str = "cpu", **sizes: int
    ) -> "SynchformerOffset":
        """Build from a published Synchformer state dict, strictly; the two towers are left out."""
        with torch.device("meta"):
            network = cls(**sizes)
        load_strict(network, tensors, unused=_OTHER_TOWERS, device=device)
        return network

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        """Offset logits of windows of 14 segments.

        Parameters
        ----------
        video
            ``(clips, 14, 8, width)``.
        audio
            ``(clips, 14, 6, width)``.

        Returns
        -------
        Tensor
            ``(clips, 21)``, one logit per class of `offset_grid`.

        Raises
        ------
        InputError
            If a shape differs.
        """
        for what, features, vectors in (("video", video, VIDEO_VECTORS), ("audio", audio, AUDIO_VECTORS)):
            if features.ndim != 4 or features.shape[1:3] != (WINDOW_SEGMENTS, vectors):
                raise InputError(
                    f"{what} features have shape {tuple(features.shape)}, "
                    f"expected (clips, {WINDOW_SEGMENTS}, {vectors}, width)"
                )
        return self.transformer(self.vproj(video).flatten(1, 2), self.aproj(audio).flatten(1, 2))

    def window_logits(self, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the first and of the last 14 segments.

        With exactly 14 segments (4.8 s up to under 5.12 s) the two windows are the same.

        Parameters
        ----------
        video, audio
            ``(clips, segments, 8, width)`` and ``(clips, segments, 6, width)``, equally many segments.

        Raises
        ------
        InputError
            If the two have different numbers of clips or segments.
        ClipError
            Reason ``short`` if there are fewer than 14 segments.
        """
        if video.shape[:2] != audio.shape[:2]:
            raise InputError(
                f"video has {tuple(video.shape[:2])} clips and segments, audio {tuple(audio.shape[:2])}: "
                f"embed the same seconds of both"
            )
        if video.shape[1] < WINDOW_SEGMENTS:
            raise ClipError(
                "short", f"clip has {video.shape[1]} segments, DeSync needs {WINDOW_SEGMENTS} (4.8 seconds)"
            )
        first = self(video[:, :WINDOW_SEGMENTS], audio[:, :WINDOW_SEGMENTS])
        return first, self(video[:, -WINDOW_SEGMENTS:], audio[:, -WINDOW_SEGMENTS:])
