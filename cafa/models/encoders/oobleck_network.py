"""The network of Oobleck, the autoencoder of Stable Audio Open and TangoFlux, by the names that diffusers gives it.

Written here because diffusers' package imports every autoencoder that it knows, and torch's compiler, before it gives
this one: more seconds than many a job works. That its values are those of diffusers' ``AutoencoderOobleck`` to the last
bit is tested.

Shapes: B batch, N samples per channel, C latent channels, T latents (N = T x samples per latent).
"""

from collections.abc import Iterator, Sequence
from math import ceil, prod
from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv_transpose1d

from cafa.models.encoders.settings_file import PublishedSettings

Positive = Annotated[int, Field(gt=0)]


class OobleckSettings(PublishedSettings):
    """Size of the autoencoder, by the names of diffusers' ``config.json``; the defaults are those of its class."""

    network = "an Oobleck autoencoder"

    encoder_hidden_size: int = Field(128, gt=0, description="width of the encoder's first layer")
    downsampling_ratios: tuple[Positive, ...] = Field((2, 4, 4, 8, 8), description="strides, from sound to latents")
    channel_multiples: tuple[Positive, ...] = Field((1, 2, 4, 8, 16), description="widths of blocks in first widths")
    decoder_channels: int = Field(128, gt=0, description="width of the decoder's last layer")
    decoder_input_channels: int = Field(64, gt=0, description="channels of a latent")
    audio_channels: int = Field(2, gt=0, description="channels of the sound")
    sampling_rate: int = Field(44100, gt=0, description="hertz")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        strides, widths = len(self.downsampling_ratios), len(self.channel_multiples)
        if strides != widths:
            raise ValueError(f"downsampling_ratios are of {strides} blocks, channel_multiples of {widths}")
        return self


class Convolution(nn.Module):
    """A convolution, or a transposed one, whose weights are directions times lengths.

    Values are zero until they are loaded: nothing is drawn. (torch's own weight norm computes lengths at once, for
    which it imports its compiler where tensors have no values.)

    Parameters
    ----------
    entering, leaving, size : int
        Channels and width of the kernel.
    stride, padding, dilation : int
    bias, transposed : bool
    """

    def __init__(
        self,
        entering: int,
        leaving: int,
        size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = True,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation, self.transposed = stride, padding, dilation, transposed
        first, second = (entering, leaving) if transposed else (leaving, entering)
        self.bias = nn.Parameter(torch.zeros(leaving)) if bias else None
        self.weight_g = nn.Parameter(torch.zeros(first, 1, 1))
        self.weight_v = nn.Parameter(torch.zeros(first, second, size))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, leaving, N') from (B, entering, N)."""
        weight = torch._weight_norm(self.weight_v, self.weight_g, 0)
        if self.transposed:
            return conv_transpose1d(hidden, weight, self.bias, self.stride, self.padding)
        return conv1d(hidden, weight, self.bias, self.stride, self.padding, self.dilation)


class Snake(nn.Module):
    """x + sin(alpha x)^2 / beta, with alpha and beta for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1, width, 1))
        self.beta = nn.Parameter(torch.zeros(1, width, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, width, N) from (B, width, N)."""
        alpha, scale = torch.exp(self.alpha), (torch.exp(self.beta) + 1e-9).reciprocal()
        if torch.is_grad_enabled():
            return hidden + scale * torch.sin(alpha * hidden).pow(2)
        # The same values in one tensor in place of five: near the sound it holds every sample of every channel, and to
        # get so much new memory costs a processor more than the arithmetic.
        return (alpha * hidden).sin_().pow_(2).mul_(scale).add_(hidden)


class ResidualUnit(nn.Module):
    """Two convolutions, each behind a Snake, beside a shortcut."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.snake1 = Snake(width)
        self.conv1 = Convolution(width, width, 7, dilation=dilation, padding=3 * dilation)
        self.snake2 = Snake(width)
        self.conv2 = Convolution(width, width, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, width, N) from (B, width, N)."""
        added: Tensor = hidden + self.conv2(self.snake2(self.conv1(self.snake1(hidden))))
        return added


class EncoderBlock(nn.Module):
    """Three residual units, then a strided convolution."""

    def __init__(self, entering: int, width: int, stride: int) -> None:
        super().__init__()
        self.res_unit1 = ResidualUnit(entering, 1)
        self.res_unit2 = ResidualUnit(entering, 3)
        self.res_unit3 = ResidualUnit(entering, 9)
        self.snake1 = Snake(entering)
        self.conv1 = Convolution(entering, width, 2 * stride, stride=stride, padding=ceil(stride / 2))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, width, N / stride) from (B, entering, N)."""
        hidden = self.res_unit3(self.res_unit2(self.res_unit1(hidden)))
        shorter: Tensor = self.conv1(self.snake1(hidden))
        return shorter


class DecoderBlock(nn.Module):
    """A strided transposed convolution, then three residual units."""

    def __init__(self, entering: int, width: int, stride: int) -> None:
        super().__init__()
        self.snake1 = Snake(entering)
        self.conv_t1 = Convolution(
            entering, width, 2 * stride, stride=stride, padding=ceil(stride / 2), transposed=True
        )
        self.res_unit1 = ResidualUnit(width, 1)
        self.res_unit2 = ResidualUnit(width, 3)
        self.res_unit3 = ResidualUnit(width, 9)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, width, N x stride) from (B, entering, N)."""
        hidden = self.conv_t1(self.snake1(hidden))
        longer: Tensor = self.res_unit3(self.res_unit2(self.res_unit1(hidden)))
        return longer


class _Chain(nn.Module):
    """A convolution, blocks, a Snake and a last convolution."""

    conv1: nn.Module
    block: nn.ModuleList
    snake1: Snake
    conv2: nn.Module

    def forward(self, hidden: Tensor) -> Tensor:
        """One after the other."""
        hidden = self.conv1(hidden)
        for block in self.block:
            hidden = block(hidden)
        last: Tensor = self.conv2(self.snake1(hidden))
        return last


class Encoder(_Chain):
    """Sound (B, channels, N) to means and scales of latents, one after the other: (B, encoder_hidden_size, T)."""

    def __init__(self, settings: OobleckSettings) -> None:
        super().__init__()
        first = settings.encoder_hidden_size
        widths = [first, *(first * multiple for multiple in settings.channel_multiples)]
        self.conv1 = Convolution(settings.audio_channels, first, 7, padding=3)
        self.block = nn.ModuleList(EncoderBlock(*sizes) for sizes in _steps(widths, settings.downsampling_ratios))
        self.snake1 = Snake(widths[-1])
        self.conv2 = Convolution(widths[-1], first, 3, padding=1)


class Decoder(_Chain):
    """Latents (B, C, T) to sound (B, channels, N)."""

    def __init__(self, settings: OobleckSettings) -> None:
        super().__init__()
        last = settings.decoder_channels
        widths = [last, *(last * multiple for multiple in settings.channel_multiples)][::-1]
        self.conv1 = Convolution(settings.decoder_input_channels, widths[0], 7, padding=3)
        self.block = nn.ModuleList(DecoderBlock(*sizes) for sizes in _steps(widths, settings.downsampling_ratios[::-1]))
        self.snake1 = Snake(last)
        self.conv2 = Convolution(last, settings.audio_channels, 7, padding=3, bias=False)


class Oobleck(nn.Module):
    """Encoder and decoder.

    Parameters
    ----------
    settings : OobleckSettings
    """

    def __init__(self, settings: OobleckSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(settings)
        self.decoder = Decoder(settings)

    @property
    def samples_per_latent(self) -> int:
        """Samples of a channel that one latent stands for."""
        return prod(self.settings.downsampling_ratios)

    def posterior(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (B, C, T) of the latents of sound (B, channels, N)."""
        mean, scale = self.encoder(waveform).chunk(2, dim=1)
        return mean, nn.functional.softplus(scale) + 1e-4

    def decode(self, latents: Tensor) -> Tensor:
        """Sound (B, channels, N) of latents (B, C, T)."""
        sound: Tensor = self.decoder(latents)
        return sound


def _steps(widths: Sequence[int], strides: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Width before, width after and stride of each block."""
    return zip(widths[:-1], widths[1:], strides, strict=True)
