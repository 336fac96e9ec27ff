"""Conditioners of the start and the length of a sound, by the names that diffusers gives their parameters."""

from math import pi

import torch
from torch import Tensor, nn


def standard_normal(size: int) -> Tensor:
    """Values (size,) of the standard normal distribution; none on the meta device.

    There torch would import its symbolic shapes to draw them, which takes half a second.
    """
    return torch.empty(size) if torch.get_default_device().type == "meta" else torch.randn(size)


class NumberFeatures(nn.Module):
    """A number with the sines and cosines of trained frequencies."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(standard_normal(size // 2))

    def forward(self, numbers: Tensor) -> Tensor:
        """(B, size + 1) from (B,)."""
        numbers = numbers[..., None]
        angles = numbers * self.weights[None] * 2 * pi
        return torch.cat([numbers, angles.sin(), angles.cos()], dim=-1)


class NumberConditioner(nn.Module):
    """Embedding of a number of seconds.

    Parameters
    ----------
    width : int
        Of the embedding.
    least, most : float
        Numbers are clipped to this range, which becomes 0 to 1.
    size : int
        Sines and cosines together; even.
    """

    def __init__(self, width: int, least: float, most: float, size: int = 256) -> None:
        super().__init__()
        self.least, self.most = least, most
        self.time_positional_embedding = nn.Sequential(NumberFeatures(size), nn.Linear(size + 1, width))

    def forward(self, numbers: Tensor) -> Tensor:
        """(B, 1, width) from (B,)."""
        scaled = (numbers.clamp(self.least, self.most) - self.least) / (self.most - self.least)
        weights: nn.Parameter = next(self.time_positional_embedding.parameters())
        embedded: Tensor = self.time_positional_embedding(scaled.to(weights.dtype))
        return embedded.unsqueeze(1)


class TimingProjection(nn.Module):
    """Embeddings of when a sound starts and how long it lasts.

    Parameters
    ----------
    width : int
        Of a text state, which both embeddings have.
    least, most : float
        Range of seconds.
    """

    def __init__(self, width: int, least: float, most: float) -> None:
        super().__init__()
        self.start_number_conditioner = NumberConditioner(width, least, most)
        self.end_number_conditioner = NumberConditioner(width, least, most)

    def forward(self, seconds_start: Tensor, seconds_total: Tensor) -> tuple[Tensor, Tensor]:
        """Two embeddings, (B, 1, width), of seconds (B,)."""
        return self.start_number_conditioner(seconds_start), self.end_number_conditioner(seconds_total)
