"""What the denoisers of transformer blocks have in common, and their adapters: the loops over the blocks.

The adapter is a trainable copy of the backbone's blocks that turns video features into residuals
(CAFA, arXiv 2504.06778, section 4). With z the latents as the blocks take them and f the video features:

    hint   = ZeroFC(prepare(f)), padded with zeros at the end to the length of z
    h_0    = project_in(z) + hint
    h_i+1  = AdapterBlock_i(h_i, text)             c_i = ZeroFC_i(h_i+1)
    b_i+1  = BackboneBlock_i(b_i, text) + s * c_i  s = 1, or the asymmetric scale for unconditional items

Shapes: B batch, C latent channels, T latents, W width of the token stream; tokens are T, or more where the stream has
tokens that stand for no latent.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cafa.models.adapter_parts import AdapterSettings, HintNetwork, add_to_first, pad_to, zero_linear
from cafa.models.interface import DenoiserSettings, Stream


class BlockStack(nn.Module):
    """A network whose blocks are run one after another.

    Attributes
    ----------
    gradient_checkpointing : bool
        Recompute every block in the backward pass; off unless training sets it.
    float32_residual : bool
        Under autocast to 16 bits, keep what passes from block to block in float32, so that what every block adds is
        not rounded to the 16 bits of the sum; off unless training sets it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gradient_checkpointing = self.float32_residual = False
        self._compiled: Callable[[Any, Tensor, Any], tuple[Tensor, Any]] | None = None

    def run_block(self, block: Any, hidden: Tensor, stream: Any) -> tuple[Tensor, Any]:
        """Tokens (B, tokens, W) after a block, and the stream for the next one.

        With `gradient_checkpointing` the block holds only its input and is run again in the backward pass.
        """
        raise NotImplementedError

    def compile_blocks(self, backend: str | Callable[..., Any] = "inductor") -> None:
        """Compile the pass through a block with ``torch.compile``, once for all blocks of a kind.

        The blocks alone, not the whole network: a graph of one block is compiled in a fraction of the time. Sums are
        formed in another order, so results differ by rounding. A compiled pass is for the shapes that it meets: each
        other batch size or length is compiled again.

        Parameters
        ----------
        backend : str or callable
            Of ``torch.compile``.
        """
        self._compiled = torch.compile(self.run_block, dynamic=False, backend=backend)

    def pass_through(self, block: Any, hidden: Tensor, stream: Any) -> tuple[Tensor, Any]:
        """As :meth:`run_block`, compiled if that was asked for."""
        return (self._compiled or self.run_block)(block, hidden, self.before_block(block, stream))

    def start_of(self, hidden: Tensor, stream: Any) -> tuple[Tensor, Any]:
        """Tokens and stream before the first block, in float32 if that was asked for; sums with them stay so."""
        return (hidden.float(), self.wide(stream)) if self.float32_residual else (hidden, stream)

    def wide(self, stream: Any) -> Any:
        """The stream with those tokens in float32 to which blocks add."""
        return stream

    def before_block(self, block: Any, stream: Any) -> Any:
        """The stream as a block takes it: with what is kept of the text from step to step, where there is such."""
        return stream


class BlockAdapter(BlockStack):
    """Residuals for every block of a denoiser.

    A subclass says what the copies are (`add_copies`, `copied_blocks`, `embed`), how a block is run (`run_block`) and
    how the copies start (`copy_backbone`).

    Parameters
    ----------
    backbone : DenoiserSettings
        Size of the denoiser it belongs to; has a ``width`` too.
    settings : AdapterSettings
    """

    project_in: nn.Module

    def __init__(self, backbone: Any, settings: AdapterSettings) -> None:
        super().__init__()
        self.settings = settings
        width = backbone.width
        self.hint = HintNetwork(settings)
        self.hint_projection = zero_linear(settings.hint_dim, width)
        self.add_copies(backbone)
        self.zero_projections = nn.ModuleList(zero_linear(width, width) for _ in self.copied_blocks())

    def add_copies(self, backbone: Any) -> None:
        """Make the input projection ``project_in`` and the blocks, as modules of this one."""
        raise NotImplementedError

    def copied_blocks(self) -> Sequence[nn.Module]:
        """The blocks, in the order of those of the denoiser."""
        raise NotImplementedError

    def copy_backbone(self, backbone: Any) -> None:
        """Start as a copy of the input projection and the blocks of a denoiser."""
        raise NotImplementedError

    def embed(self, stream: Any, hint: Tensor) -> Tensor:
        """Tokens before the first block, (B, tokens, W), from the latents and the hint (B, T, W)."""
        return self.project_in(stream.latents) + hint

    def hint_of(self, features: Tensor) -> Tensor:
        """What is added to the latents for video features (N, F, width of the features): (N, F, W).

        It does not depend on the step: a sampling run makes it once.
        """
        hint: Tensor = self.hint_projection(self.hint(features))
        return hint

    def controls(self, stream: Any, hint: Tensor, scale: Tensor | None = None) -> Iterator[Tensor]:
        """Residuals c_i, one per block, each (N, tokens, W), made as they are asked for.

        Parameters
        ----------
        stream : Stream
            Of the denoiser.
        hint : Tensor, (N, F, W)
            :meth:`hint_of` the video features; feature j belongs to latent j; F <= T. With N < B only the first N items
            of the stream are controlled, and the adapter is not run for the others.
        scale : Tensor, (N,), optional
            Multiplies the residuals of each item.
        """
        stream = stream.first(len(hint))
        hidden, stream = self.start_of(self.embed(stream, pad_to(hint, stream.latents.shape[1])), stream)
        for block, projection in zip(self.copied_blocks(), self.zero_projections, strict=True):
            hidden, stream = self.pass_through(block, hidden, stream)
            control: Tensor = projection(hidden)
            yield control if scale is None else control * scale.view(-1, 1, 1)


class BlockDenoiser(BlockStack):
    """A network of the velocity that is a sequence of blocks.

    A subclass says what its input is (`tokens`, `embed`), what its blocks are and how one is run
    (`transformer_blocks`, `run_block`), and what follows them (`output`).

    Parameters
    ----------
    settings : DenoiserSettings

    Attributes
    ----------
    flow_path : str
        Name in :data:`cafa.diffusion.schedules.FLOW_PATHS`.
    adapter_class : type
        The adapter that it takes: called with the denoiser's settings and the adapter's.
    """

    flow_path: ClassVar[str] = "cosine"
    adapter_class: ClassVar[type[BlockAdapter]]

    def __init__(self, settings: DenoiserSettings) -> None:
        super().__init__()
        self.settings = settings

    def transformer_blocks(self) -> Sequence[nn.Module]:
        """The blocks, in order; one residual of an adapter follows each."""
        raise NotImplementedError

    def new_adapter(self, settings: AdapterSettings) -> BlockAdapter:
        """An untrained adapter of the form that this denoiser takes."""
        return self.adapter_class(self.settings, settings)

    def tokens(self, latents: Tensor, time: Tensor, conditioning: Any) -> Stream:
        """Prepare the input of the blocks; `latents` (B, C, T), `time` (B,) in [0, 1]."""
        raise NotImplementedError

    def embed(self, stream: Any, offset: Tensor | None = None) -> Tensor:
        """Tokens before the first block, (B, tokens, W); `offset` (B, T, W) is added to those of the latents."""
        raise NotImplementedError

    def output(self, hidden: Tensor, stream: Any) -> Tensor:
        """Velocity (B, C, T) of the tokens after the last block."""
        raise NotImplementedError

    def run_blocks(self, stream: Any, controls: Iterable[Tensor] | None = None, offset: Tensor | None = None) -> Tensor:
        """Run the blocks and return the predicted velocity, (B, C, T).

        Parameters
        ----------
        stream : Stream
            As :meth:`tokens` gives it.
        controls : iterable of Tensor, (N, tokens, W), optional
            Control i is added to the output of block i (the adapter's residuals), for the first N <= B items.
        offset : Tensor, (B, T, W), optional
            Added to the embedded latents before the first block (joint models).
        """
        hidden, stream = self.start_of(self.embed(stream, offset), stream)
        remaining: Iterator[Tensor] | None = iter(controls) if controls is not None else None
        for block in self.transformer_blocks():
            hidden, stream = self.pass_through(block, hidden, stream)
            if remaining is not None:
                hidden = add_to_first(hidden, next(remaining))
        return self.output(hidden, stream)

    def forward(self, latents: Tensor, time: Tensor, conditioning: Any) -> Tensor:
        """Predicted velocity without a video, (B, C, T)."""
        return self.run_blocks(self.tokens(latents, time, conditioning))
