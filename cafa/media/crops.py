"""Cuts of pictures."""

from torch import Tensor

from cafa.common.errors import InputError


def centre_crop(frames: Tensor, size: int) -> Tensor:
    """The middle ``size`` x ``size`` pixels; odd margins are rounded half to even, as torchvision does."""
    height, width = _at_least(frames, size)
    top, left = round((height - size) / 2), round((width - size) / 2)
    return frames[..., top : top + size, left : left + size]


def _at_least(frames: Tensor, size: int) -> tuple[int, int]:
    height, width = frames.shape[-2:]
    if min(height, width) < size:
        raise InputError(f"frames are {width} x {height} pixels, a crop needs {size}")
    return height, width
