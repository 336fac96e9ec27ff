"""What every pretrained text-to-audio model looks like from outside, whatever its architecture.

Shapes: B batch, C latent channels, T latents, L text states, N audio samples per channel.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, runtime_checkable

from torch import Tensor


@dataclass(frozen=True)
class SamplingDefaults:
    """How a backbone is sampled unless told otherwise.

    Parameters
    ----------
    sampler : str
        ``dpmpp_3m_sde`` over log-linear noise levels, or ``euler`` along a rectified flow.
    steps : int
        Model calls; at least 2.
    guidance_scale : float
        w of classifier-free guidance.
    asymmetric_scale : float
        gamma of an adapter in the unconditional half.
    sigma_min, sigma_max, eta : float
        Noise levels of ``dpmpp_3m_sde``, and its share of injected noise; of no meaning to ``euler``.
    """

    sampler: Literal["dpmpp_3m_sde", "euler"]
    steps: int = 50
    guidance_scale: float = 7.0
    asymmetric_scale: float = 0.5
    sigma_min: float = 0.5
    sigma_max: float = 500.0
    eta: float = 1.0


@dataclass(frozen=True)
class BackboneFacts:
    """What later stages must know of a pretrained model without loading it.

    Parameters
    ----------
    sample_rate : int
        Hertz of the sound.
    channels : int
        Of the sound.
    samples_per_latent : int
    latent_shape : (int, int)
        Channels of a latent, and latents of the window that the model was trained with.
    text_shape : (int, int)
        States of a caption and their width.
    """

    sample_rate: int
    channels: int
    samples_per_latent: int
    latent_shape: tuple[int, int]
    text_shape: tuple[int, int]


class Told(Protocol):
    """What a denoiser is told, apart from the video; the content is the backbone's own."""

    def joined(self, null: Self | None) -> Self:
        """Conditioning of [conditional ; unconditional]; without `null` the backbone's own null text."""
        ...


class Stream(Protocol):
    """Input of the blocks of a denoiser."""

    latents: Tensor

    def first(self, items: int) -> Self:
        """The stream of the first `items` items."""
        ...


@runtime_checkable
class Denoiser(Protocol):
    """A network whose blocks an adapter can reach."""

    def tokens(self, latents: Tensor, time: Tensor, conditioning: Any) -> Stream:
        """Prepare the input of the blocks; `latents` (B, C, T), `time` (B,) in [0, 1]."""
        ...

    def run_blocks(self, stream: Any, controls: Iterable[Tensor] | None = None) -> Tensor:
        """Run all blocks, control i added to the output of block i; velocity (B, C, T)."""
        ...

    def __call__(self, latents: Tensor, time: Tensor, conditioning: Any) -> Tensor:
        """Velocity without a video, (B, C, T)."""
        ...


@runtime_checkable
class VideoAdapter(Protocol):
    """Residuals for the blocks of a denoiser."""

    def controls(self, stream: Any, features: Tensor, scale: Tensor | None = None) -> Iterator[Tensor]:
        """One residual per block, for the first ``len(features)`` items; `scale` per item."""
        ...


@runtime_checkable
class Backbone(Protocol):
    """A pretrained text-to-audio model.

    Attributes
    ----------
    name : str
        ``stable_audio_open`` or ``tangoflux``.
    identity : dict
        ``name``, ``files`` (SHA-256 by name) and ``weights_sha256`` (one digest of all).
    encoders : dict of str to dict
        Identities of the text encoder (``text``) and of the autoencoder (``latents``): what the features that they
        make are stamped with.
    sample_rate : int
        Hertz of the sound.
    samples_per_latent : int
        Samples that one latent stands for.
    latent_channels : int
        C.
    latents : int
        Latents of the window that the backbone was trained with.
    text_shape : (int, int)
        States of a caption and their width.
    defaults : SamplingDefaults
        How it is sampled.
    denoiser : Denoiser
        The network that adapters attach to.
    """

    name: str
    identity: dict[str, Any]
    encoders: dict[str, dict[str, Any]]
    sample_rate: int
    samples_per_latent: int
    latent_channels: int
    latents: int
    text_shape: tuple[int, int]
    defaults: SamplingDefaults
    denoiser: Any

    def encode_text(self, captions: Sequence[str]) -> Tensor:
        """States of the text encoder, (B, L, text_dim), zero at padded positions."""
        ...

    def condition(self, text: Tensor, seconds: Tensor) -> Any:
        """Conditioning from text states (B, L, text_dim) and lengths (B,) in seconds."""
        ...

    def encode_audio(self, waveform: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """Latents (B, C, T) of sound (B, channels, N) in [-1, 1]: the mean, or a sample per seed."""
        ...

    def decode_audio(self, latents: Tensor) -> Tensor:
        """Sound (B, channels, T * samples_per_latent), float32, of latents (B, C, T)."""
        ...
