"""Linear layers of frozen blocks in 8 bits: an experiment for GPUs that multiply float8 (Hopper and later).

A layer's weights are held in float8 (e4m3) with a scale for each output channel; its input is rounded to float8 with a
scale for each token, and products are summed in float32. Where a device cannot multiply float8 the same rounded numbers
are multiplied in float32: slower, with the sums in another order. The gradient of the input is that of the rounded
weights, in 16 bits; the weights have none.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

KIND = torch.float8_e4m3fn
LARGEST = torch.finfo(KIND).max


def to_float8(values: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of a matrix in float8, and what each was divided by.

    Parameters
    ----------
    values : Tensor, (rows, columns)

    Returns
    -------
    tuple of Tensor
        float8 (rows, columns), and float32 (rows, 1); a row's largest magnitude becomes the largest of float8.
    """
    single = values.float()
    scale = single.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny * LARGEST) / LARGEST
    return (single / scale).clamp(-LARGEST, LARGEST).to(KIND), scale


def multiplies_float8(device: torch.device) -> bool:
    """Whether torch multiplies float8 matrices with a scale for each row on a device."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (9, 0)


class _Product(torch.autograd.Function):
    """Inputs (rows, in) times the transpose of weights (out, in), both rounded to float8; in the type of the inputs."""

    @staticmethod
    def forward(context: Any, values: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        context.save_for_backward(weight, scale)
        rounded, by = to_float8(values)
        if multiplies_float8(values.device):
            product: Tensor = torch._scaled_mm(
                rounded, weight.t(), scale_a=by, scale_b=scale.t(), out_dtype=values.dtype
            )
            return product
        return (rounded.float() @ weight.float().t() * by * scale.t()).to(values.dtype)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        weight, scale = context.saved_tensors
        (gradient,) = gradients
        return gradient @ (weight.float() * scale).to(gradient.dtype), None, None


class Float8Linear(nn.Module):
    """A frozen linear layer whose product is computed in float8.

    Parameters
    ----------
    layer : nn.Linear
        Its weights are rounded, its bias is kept.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight, scale = to_float8(layer.weight.detach())
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach())

    def forward(self, values: Tensor) -> Tensor:
        """(..., out) from (..., in); in the type of autocast, if that is on."""
        device = values.device.type
        kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else values.dtype
        rows = values.to(kind).reshape(-1, values.shape[-1])
        product: Tensor = _Product.apply(rows, self.weight, self.scale)
        if self.bias is not None:
            product = product + self.bias.to(kind)
        return product.view(*values.shape[:-1], -1)


def hold_in_float8(modules: Iterable[nn.Module]) -> None:
    """Replace every linear layer inside some modules by its form in float8.

    Parameters
    ----------
    modules : iterable of nn.Module
        Frozen.
    """
    for module in modules:
        for parent in list(module.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, nn.Linear):
                    setattr(parent, name, Float8Linear(layer))
