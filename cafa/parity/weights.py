"""Weights of the generator's golden arrays: a function of a tensor's published name and shape only.

First match wins; ``n`` are the pseudo-normal numbers of :mod:`metrics.parity.weights`, which is the same rule for the
judges' names:

==================================================  ================================
name                                                value
==================================================  ================================
ends in ``inv_freq``                                ``10000 ** -(arange(N) / N)``
ends in ``weight_g``                                ``0.6 * (1 + 0.1 n)``
ends in cls_token, pos_embed, temp_embed            ``0.2 n``
ends in ``.alpha``                                  ``0.2 n``
ends in ``.beta``, ``bias``                         ``0.1 n``
one axis, ends in ``.weights``                      ``n``
one axis, ends in ``.weight``, ``.gamma``           ``1 + 0.1 n``
two or more axes                                    ``0.5 n / sqrt(fan in)``
anything else                                       ``0.1 n``
==================================================  ================================
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Standard deviation of the sum of four uniform 16-bit integers, rounded; fixed by definition.
_DEVIATION = 37836.65


_BLOCK = 1 << 16  # fits the processor cache


def pseudo_normal(name: str, size: int) -> np.ndarray:
    """``size`` numbers that depend on ``name`` only; float32, mean 0, variance 1, within +-3.47."""
    words = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], "<u4")
    generator = np.random.PCG64(np.random.SeedSequence([int(word) for word in words]))
    numbers = np.empty(size, np.float32)
    for start in range(0, size, _BLOCK):
        part = numbers[start : start + _BLOCK]
        quarters = generator.random_raw(len(part)).astype("<u8", copy=False).view("<u2").reshape(-1, 4)
        total = quarters[:, 0].astype(np.int32)
        for column in (1, 2, 3):
            total += quarters[:, column]
        part[:] = (total - 131070) / _DEVIATION
    return numbers


def golden_tensor(name: str, shape: Sequence[int]) -> Tensor:
    """Value of the tensor with this published name, float32."""
    shape = tuple(shape)
    if name.endswith("inv_freq"):
        return torch.from_numpy((10000.0 ** -(np.arange(shape[0]) / shape[0])).astype(np.float32))
    n = pseudo_normal(name, math.prod(shape))
    if name.endswith("weight_g"):
        n = 0.6 * (1 + 0.1 * n)
    elif name.endswith(("cls_token", "pos_embed", "temp_embed", ".alpha")):
        n = 0.2 * n
    elif name.endswith((".beta", "bias")):
        n = 0.1 * n
    elif len(shape) == 1 and name.endswith((".weight", ".gamma")):
        n = 1 + 0.1 * n
    elif len(shape) >= 2:
        n *= np.float32(0.5 / math.sqrt(math.prod(shape[1:])))
    elif not name.endswith(".weights"):
        n = 0.1 * n
    return torch.from_numpy(n).view(shape)


def golden_input(name: str, shape: Sequence[int], scale: float = 1.0) -> Tensor:
    """An input that is stored by name only: float32, rounded to float16 after scaling."""
    numbers = (scale * pseudo_normal(name, math.prod(shape))).astype(np.float16)
    return torch.from_numpy(numbers.astype(np.float32)).view(*shape)
