"""Frames on their way to a judge: resizing, crops, pairs.

The published evaluators resize uint8 frames with torchvision's antialiased bicubic filter, which rounds
to whole grey levels before anything is normalised. `torch.nn.functional.interpolate` on uint8 is that
filter (torchvision itself is not needed).
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cafa.common.errors import InputError
from cafa.media.crops import _at_least


def to_frames(clip: np.ndarray | Tensor) -> Tensor:
    """uint8 frames ``(frames, 3, height, width)`` of a clip ``(frames, height, width, 3)``.

    Raises
    ------
    InputError
        If the clip is not uint8 RGB with at least one frame.
    """
    frames = torch.as_tensor(clip)
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or len(frames) == 0:
        raise InputError(
            f"a video clip is uint8 (frames, height, width, 3), found {frames.dtype} {tuple(frames.shape)}"
        )
    return frames.permute(0, 3, 1, 2)


def resize_short_side(frames: Tensor, size: int) -> Tensor:
    """Scale so that the short side is ``size``; bicubic, antialiased, rounded to uint8.

    Parameters
    ----------
    frames
        uint8 ``(frames, 3, height, width)``, on the CPU.
    size
        Pixels. The long side becomes ``int(size * long / short)``.
    """
    height, width = frames.shape[-2:]
    short, long = min(height, width), max(height, width)
    if short == size:
        return frames
    scaled = int(size * long / short)
    target = (size, scaled) if height == short else (scaled, size)
    # Contiguous channels first: the filter is chosen by memory layout, and layouts may round differently.
    return functional.interpolate(frames.contiguous(), target, mode="bicubic", antialias=True)


def three_crops(frames: Tensor, size: int) -> Tensor:
    """Three squares along the long side: first, middle (odd margins rounded up), last.

    Returns
    -------
    Tensor
        ``(3, *frames.shape[:-2], size, size)``.
    """
    height, width = _at_least(frames, size)
    spare, tall = (height - size, True) if height > width else (width - size, False)
    across = math.ceil((min(height, width) - size) / 2)
    crops = []
    for along in (0, math.ceil(spare / 2), spare):
        top, left = (along, across) if tall else (across, along)
        crops.append(frames[..., top : top + size, left : left + size])
    return torch.stack(crops)


def stack_equal(clips: Sequence[Tensor]) -> Tensor:
    """Stack prepared clips; an `InputError` names the frame counts where they differ."""
    if len(clips) == 0:
        raise InputError("the batch has no clips")
    counts = sorted({len(clip) for clip in clips})
    if len(counts) > 1:
        raise InputError(f"clips of one batch must have equally many frames, found {counts}")
    return torch.stack(list(clips))
