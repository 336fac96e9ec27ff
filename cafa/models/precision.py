"""Networks in 16 bits: the type that a device computes in, and weights that are held in it."""

from collections.abc import Iterable

import torch
from torch import nn


def half_type(device: torch.device) -> torch.dtype:
    """The 16-bit type that denoisers are sampled in: float16, as the published code does; bfloat16 on a CPU."""
    return torch.bfloat16 if device.type == "cpu" else torch.float16


def hold_linear_layers(modules: Iterable[nn.Module], kind: torch.dtype) -> None:
    """Keep the linear layers of some modules in 16 bits.

    Under autocast they are rounded so in every pass; rounding them once gives the same numbers from half the memory,
    and saves reading and writing all weights in every pass.

    Parameters
    ----------
    modules : iterable of nn.Module
        Run under autocast to `kind` from now on.
    kind : torch.dtype
    """
    for module in modules:
        for part in module.modules():
            if isinstance(part, nn.Linear):
                part.to(kind)
