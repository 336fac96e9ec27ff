"""Synchformer of the miniature: how far a sound is shifted against the pictures (DeSync).

Two towers give one vector per video frame (25 Hz) over a window of 2 s. Their products at every lag, summed
over the window, are the evidence for that lag; a small head turns evidence into logits over 25 offsets.
An offset is positive where the sound comes later than the pictures.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from metrics.encoders.miniature.blocks import pictures_of
from metrics.encoders.miniature.network import MiniatureNetwork

#: Video frames (25 per second) of a window, 2 s.
WINDOW = 50
#: Log-mel frames per video frame.
MEL_STEP = 2
#: Largest offset and step between classes, video frames: 0.96 s and 0.08 s.
LARGEST, STEP = 24, 2
#: Offsets of the classes, seconds.
GRID: tuple[float, ...] = tuple(round(lag * 0.04, 2) for lag in range(-LARGEST, LARGEST + 1, STEP))

HEADS, HEAD_WIDTH = 4, 12
HIDDEN = 64
#: Layers of the picture's tower that look at each frame by itself, so that no bit depends on what else is in a batch.
PER_FRAME = 6


def _temporal(inputs: int, outputs: int, kernel: int = 5, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2), nn.GroupNorm(8, outputs), nn.ReLU())


class MicroSynchformer(MiniatureNetwork):
    """Two towers and a comparison by lag.

    Parameters
    ----------
    bands : int
        Mel bands.
    silence : float
        Log-mel value of digital silence.
    size : int
        Side of the square frames.
    """

    facts: ClassVar[Mapping[str, Any]] = {"grid": list(GRID)}
    silence: Tensor

    def __init__(self, bands: int, silence: float, size: int) -> None:
        super().__init__()
        self.register_buffer("silence", torch.tensor(float(silence)))
        width = HEADS * HEAD_WIDTH
        # Each frame comes with its change since the frame before: events are changes.
        self.frames = nn.Sequential(
            nn.Conv2d(6, 32, 5, 4, 2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1),
            nn.GroupNorm(8, 64),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (size // 8) ** 2, HIDDEN),
            nn.ReLU(),
        )
        self.video = nn.Sequential(_temporal(HIDDEN, HIDDEN), _temporal(HIDDEN, HIDDEN), nn.Conv1d(HIDDEN, width, 1))
        self.sound = nn.Sequential(
            _temporal(bands, HIDDEN),
            _temporal(HIDDEN, HIDDEN, stride=MEL_STEP),
            _temporal(HIDDEN, HIDDEN),
            nn.Conv1d(HIDDEN, width, 1),
        )
        self.evidence = nn.Conv1d(2 * HEADS, 1, 3, stride=STEP)
        self.refine = nn.Sequential(nn.Conv1d(2 * HEADS, 16, 3, stride=STEP), nn.ReLU(), nn.Conv1d(16, 1, 1))
        # Untrained, the logits are the plain correlation of the towers, so that these learn from the first step.
        nn.init.constant_(self.evidence.weight, 1.0)
        last = self.refine[-1]
        assert isinstance(last, nn.Conv1d)
        nn.init.zeros_(last.weight)

    def embed_video(self, frames: Tensor, rows: Tensor | None = None) -> Tensor:
        """Vectors ``(windows, 50, 48)`` of uint8 frames ``(windows, 50, size, size, 3)``.

        With `rows`, those of ``frames[rows]``, to the same bits: what is there several times is looked at once.
        """
        pictures = pictures_of(frames)
        change = functional.pad(3 * pictures.diff(dim=1), (0, 0, 0, 0, 0, 0, 1, 0))
        both = torch.cat([pictures, change], dim=2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        seen = self.frames[:PER_FRAME](both).unflatten(0, frames.shape[:2])
        seen = seen if rows is None else seen[rows]
        return self.video(self.frames[PER_FRAME:](seen.flatten(0, 1)).unflatten(0, seen.shape[:2]).mT).mT

    def embed_audio(self, mel: Tensor) -> Tensor:
        """Vectors ``(windows, 50, 48)`` of log-mel ``(windows, 100, bands)``."""
        # The spectrogram dips at a clip's ends, which would tell where in the clip a window lies.
        mel = torch.cat([mel[:, 1:2], mel[:, 1:-1], mel[:, -2:-1]], dim=1)
        return self.sound((mel.float() - self.silence).mT / 4).mT

    def compare(self, video: Tensor, audio: Tensor) -> Tensor:
        """Logits ``(windows, 25)`` over :data:`GRID`."""
        # What does not change over the window says nothing about time.
        video, audio = (
            (steps - steps.mean(1, keepdim=True)).unflatten(-1, (HEADS, HEAD_WIDTH)).transpose(1, 2)
            for steps in (video, audio)
        )
        products = video @ audio.mT / HEAD_WIDTH**0.5
        # Rows of 100 read as rows of 101 are skewed: column k holds the products at lag k (negative ones from the
        # end), so the sum over rows is the sum along every diagonal.
        rows = functional.pad(functional.pad(products, (0, WINDOW)).flatten(-2), (0, WINDOW))
        sums = rows.unflatten(-1, (WINDOW, -1)).sum(-2)
        sums = torch.cat([sums[..., -LARGEST - 1 :], sums[..., : LARGEST + 2]], dim=-1)
        # The overlap shrinks with the lag: both the sum (how much evidence) and the mean (how good) tell.
        overlap = WINDOW - torch.arange(-LARGEST - 1, LARGEST + 2, device=sums.device).abs()
        evidence = torch.cat([sums / WINDOW, sums / overlap], dim=1)
        return (self.evidence(evidence) + self.refine(evidence)).squeeze(1)

    def forward(self, frames: Tensor, mel: Tensor) -> Tensor:
        """Logits ``(windows, 25)`` of windows of frames and of log-mel."""
        return self.compare(self.embed_video(frames), self.embed_audio(mel))

    @torch.inference_mode()
    def judge_sound(self, mel: Tensor, frames: Tensor) -> dict[str, Tensor]:
        """Columns that the metric reads: logits of the first and of the last 2 s, each (clips, 25).

        Clips have at least 50 video frames. Sounds for the same pictures, as those of a clip's captions, should follow
        each other: their pictures are looked at once.
        """
        last = frames.shape[1] - WINDOW
        frames, rows = torch.unique_consecutive(frames, dim=0, return_inverse=True)
        return {
            name: self.compare(
                self.embed_video(window(frames, start), rows), self.embed_audio(window(mel, start, MEL_STEP))
            )
            for name, start in (("logits_first", 0), ("logits_last", last))
        }


def window(frames_or_mel: Tensor, start: int, per_frame: int = 1) -> Tensor:
    """Cut the window that starts at video frame `start`; `per_frame` steps of axis 1 make one video frame."""
    return frames_or_mel[:, start * per_frame : (start + WINDOW) * per_frame]
