"""What every text-to-audio model looks like from outside, whatever its architecture.

Shapes: B batch, C latent channels, T latents, L text states, N audio samples per channel.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

if TYPE_CHECKING:
    from cafa.models.adapter_parts import AdapterSettings


@dataclass(frozen=True)
class SamplingDefaults:
    """How a backbone is sampled.

    Parameters
    ----------
    sampler : str
        Name in :data:`cafa.diffusion.samplers.SAMPLERS`.
    steps : int
        Model calls; at least 2.
    guidance_scale : float
        w of classifier-free guidance.
    asymmetric_scale : float
        gamma: scale of an adapter for the unconditional items of a guided batch.
    sigma_min, sigma_max, eta : float
        Lowest and highest noise level, and share of injected noise; for samplers over noise levels.
    """

    sampler: str
    steps: int = 50
    guidance_scale: float = 7.0
    asymmetric_scale: float = 0.5
    sigma_min: float = 0.5
    sigma_max: float = 500.0
    eta: float = 1.0


class WindowSetting(BaseModel):
    """How a window is conditioned, decoded and normalised."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latents: int | None = Field(None, gt=0, description="latents; null = those the adapter was trained with")
    seconds_total: float | None = Field(
        None, gt=0, description="length that the model is conditioned on; null = what is wanted"
    )
    published_guidance: bool = Field(False, description="the published treatment of null text and of no guidance")
    peak: Literal["kept", "window", "none"] = Field(
        "kept", description="what the peak is measured over; none = the level stays as decoded"
    )
    samples: Literal["float32", "int16"] = Field("float32", description="type of the samples")


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


class Conditioning(Protocol):
    """What a denoiser is conditioned on apart from the video; the content is the backbone's own."""

    def null_text(self) -> Self:
        """The same length with the null text of the backbone."""
        ...

    def joined(self, null: Self | None) -> Self:
        """Conditioning of [conditional ; unconditional]; without `null` the backbone's own null text."""
        ...

    def with_dropped_text(self, keep: Tensor) -> Self:
        """The null text for the items whose `keep` (B,) is 0, for training; the others stay."""
        ...


class Stream(Protocol):
    """Input of the blocks of a denoiser; ``latents`` (B, T, C) is what an adapter projects."""

    @property
    def latents(self) -> Tensor:
        """What an adapter projects, (B, T, C)."""
        ...

    def first(self, items: int) -> Self:
        """The stream of the first `items` items."""
        ...


class DenoiserSettings(Protocol):
    """Size of a denoiser: channels of a latent, latents of its longest window, width of a text state."""

    @property
    def latent_channels(self) -> int:
        """C."""
        ...

    @property
    def latents(self) -> int:
        """Latents of the longest window."""
        ...

    @property
    def text_dim(self) -> int:
        """Width of a text state."""
        ...


@runtime_checkable
class VideoAdapter(Protocol):
    """Residuals for the blocks of a denoiser; ``settings`` are :class:`cafa.models.adapter_parts.AdapterSettings`."""

    settings: "AdapterSettings"
    gradient_checkpointing: bool

    def copy_backbone(self, backbone: Any) -> None:
        """Start as a copy of the denoiser's blocks."""
        ...

    def compile_blocks(self) -> None:
        """Compile the pass through a block, see :meth:`cafa.models.block_denoiser.BlockStack.compile_blocks`."""
        ...

    def hint_of(self, features: Tensor) -> Tensor:
        """What it makes of the features alone, whatever the step."""
        ...

    def controls(self, stream: Any, hint: Tensor, scale: Tensor | None = None) -> Iterator[Tensor]:
        """One residual per block, for the first ``len(hint)`` items; `scale` per item."""
        ...


@runtime_checkable
class Denoiser(Protocol):
    """A network of the velocity whose blocks an adapter can reach (:class:`cafa.models.block_denoiser.BlockDenoiser`).

    Attributes
    ----------
    settings : DenoiserSettings
    flow_path : str
        Name in :data:`cafa.diffusion.schedules.FLOW_PATHS`: the path from signal to noise, and so what the velocity is.
    gradient_checkpointing : bool
    """

    gradient_checkpointing: bool

    @property
    def settings(self) -> DenoiserSettings:
        """Size of the network."""
        ...

    @property
    def flow_path(self) -> str:
        """The path from signal to noise."""
        ...

    def transformer_blocks(self) -> Sequence[nn.Module]:
        """The blocks, in order; one residual of an adapter follows each."""
        ...

    def compile_blocks(self) -> None:
        """Compile the pass through a block, see :meth:`cafa.models.block_denoiser.BlockStack.compile_blocks`."""
        ...

    def new_adapter(self, settings: "AdapterSettings") -> VideoAdapter:
        """An untrained adapter of the form that this denoiser takes (:class:`VideoAdapter`)."""
        ...

    def tokens(self, latents: Tensor, time: Tensor, conditioning: Any) -> Stream:
        """Prepare the input of the blocks (:class:`Stream`); `latents` (B, C, T), `time` (B,) in [0, 1]."""
        ...

    def run_blocks(self, stream: Any, controls: Iterable[Tensor] | None = None) -> Tensor:
        """Run all blocks, control i added to the output of block i; velocity (B, C, T)."""
        ...

    def __call__(self, latents: Tensor, time: Tensor, conditioning: Any) -> Tensor:
        """Velocity without a video, (B, C, T)."""
        ...


class DenoiserModule(Denoiser, Protocol):
    """A denoiser that is a :class:`torch.nn.Module`, as those of pretrained models are."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """As a module's."""
        ...

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """As a module's."""
        ...

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """As a module's."""
        ...

    def eval(self) -> Self:
        """As a module's."""
        ...

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """As a module's."""
        ...


class TextEncoder(Protocol):
    """A frozen text encoder: :class:`cafa.models.encoders.t5.T5Text`.

    One that cuts long captions may have ``part_read(caption)``, see :meth:`Backbone.part_read`.
    """

    def encode(self, captions: Sequence[str]) -> Tensor:
        """States (B, length, dim), float32, zero at padded positions."""
        ...


class AudioAutoencoder(Protocol):
    """A frozen autoencoder of sound: :class:`cafa.models.encoders.oobleck.OobleckAudio`.

    ``autoencoder`` is its network, a module: two backbones whose networks hold the same weights share their latents.
    """

    @property
    def autoencoder(self) -> nn.Module:
        """The network."""
        ...

    sample_rate: int
    samples_per_latent: int
    latent_channels: int
    channels: int

    def to(self, device: torch.device | str) -> Self:
        """Move the network; returns itself."""
        ...

    def posterior(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (B, C, T) of the latents of sound (B, channels, T * samples_per_latent)."""
        ...

    def encode(self, waveform: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """Latents (B, C, T) of sound (B, channels, N) in [-1, 1]: the mean, or a sample per seed."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Sound (B, channels, T * samples_per_latent), float32, of latents (B, C, T)."""
        ...


@runtime_checkable
class AdapterTarget(Protocol):
    """What an adapter is opened for: a backbone, wherever it came from."""

    @property
    def name(self) -> str:
        """Name of the backbone."""
        ...

    @property
    def denoiser(self) -> Denoiser:
        """Network that the adapter attaches to."""
        ...

    @property
    def weights_sha256(self) -> str:
        """Digest of the backbone's weights."""
        ...


@runtime_checkable
class Backbone(Protocol):
    """A pretrained text-to-audio model (:class:`cafa.models.diffusion_backbone.DiffusionBackbone`).

    Attributes
    ----------
    name : str
        Its name in :data:`cafa.models.backbones.BACKBONES`.
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
        How it is sampled unless a system says otherwise.
    published_window : WindowSetting or None
        How the published code of CAFA makes a window with it; None if it does not.
    denoiser : Denoiser
        The network that adapters attach to.
    """

    identity: dict[str, Any]
    encoders: dict[str, dict[str, Any]]
    sample_rate: int
    samples_per_latent: int
    latent_channels: int
    latents: int
    text_shape: tuple[int, int]

    @property
    def name(self) -> str:
        """Its name among the backbones."""
        ...

    @property
    def defaults(self) -> SamplingDefaults:
        """How it is sampled."""
        ...

    @property
    def published_window(self) -> WindowSetting | None:
        """How the published code makes a window."""
        ...

    @property
    def denoiser(self) -> DenoiserModule:
        """The network that adapters attach to."""
        ...

    @property
    def weights_sha256(self) -> str:
        """One digest of all files."""
        ...

    def encode_text(self, captions: Sequence[str]) -> Tensor:
        """States of the text encoder, (B, L, text_dim), zero at padded positions."""
        ...

    def part_read(self, caption: str) -> str:
        """The beginning of a caption that its states are made of: all of it, or up to where it is cut."""
        ...

    def condition(self, text: Tensor, seconds: Tensor) -> Conditioning:
        """Conditioning from text states (B, L, text_dim) and lengths (B,) in seconds."""
        ...

    def decode_audio(self, latents: Tensor) -> Tensor:
        """Sound (B, channels, T * samples_per_latent), float32, of latents (B, C, T)."""
        ...
