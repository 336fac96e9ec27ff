"""Weights of the generator's golden arrays: a function of a tensor's published name and shape only.

First match wins; ``n`` are the pseudo-normal numbers of :mod:`metrics.parity_weights`, which is the same rule for the
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

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from metrics.parity_weights import pseudo_normal


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
