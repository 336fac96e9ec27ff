"""The TangoFlux denoiser: the networks of Flux, run so that an adapter can reach its blocks.

Shapes: B batch, C latent channels, T latents, L text states, D width of a text state, W width of the token stream.
A rectified flow: z_t = (1 - t) signal + t noise, and the network predicts noise - signal.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from cafa.common.devices import sent
from cafa.models.block_denoiser import BlockAdapter, BlockDenoiser
from cafa.models.stable_audio.timing import NumberConditioner
from cafa.models.tangoflux.adapter import TangoFluxAdapter
from cafa.models.tangoflux.blocks import TangoFluxConditioning, TangoFluxSettings, TangoFluxStream, run_flux_block
from cafa.models.tangoflux.transformer import Transformer


class TangoFluxDenoiser(BlockDenoiser):
    """Denoiser with its pooling and duration embedder.

    Parameters
    ----------
    settings : TangoFluxSettings
    """

    flow_path: ClassVar[str] = "straight"
    adapter_class: ClassVar[type[BlockAdapter]] = TangoFluxAdapter
    settings: TangoFluxSettings

    def __init__(self, settings: TangoFluxSettings) -> None:
        super().__init__(settings)
        self.transformer = Transformer(
            latent_channels=settings.latent_channels,
            double_blocks=settings.double_blocks,
            single_blocks=settings.single_blocks,
            heads=settings.heads,
            head_dim=settings.head_dim,
            text_dim=settings.text_dim,
            joint_dim=settings.joint_dim,
            rotary_axes=settings.rotary_axes,
        )
        self.pool = nn.Sequential(nn.Linear(settings.text_dim, settings.joint_dim), nn.ReLU())
        self.duration = NumberConditioner(settings.text_dim, 0, settings.maximum_seconds)
        self._rotary: dict[tuple[int, int, torch.device], tuple[Tensor, Tensor]] = {}

    def condition(
        self, text: Tensor, present: Tensor, seconds: Tensor, pooled_from: Tensor | None = None
    ) -> TangoFluxConditioning:
        """Conditioning of captions.

        Parameters
        ----------
        text : Tensor, (B, L, D)
        present : Tensor of bool, (B, L)
            Tokens that the transformer sees. Only of a tensor of the CPU is it asked whether these are all: the
            question to a GPU would wait for all that it was given to do.
        seconds : Tensor, (B,)
        pooled_from : Tensor of bool, (B, L), optional
            Tokens that are averaged; by default those in `present`.
        """
        complete = present.device.type == "cpu" and bool(present.all())
        present = sent(present.bool(), text.device)
        counted = (present if pooled_from is None else pooled_from).to(text).unsqueeze(-1)
        pooled = self.pool((text * counted).sum(1) / counted.sum(1))
        context = torch.cat([text, self.duration(seconds)], dim=1)
        present = nn.functional.pad(present, (0, 1), value=True)
        return TangoFluxConditioning(context, present, pooled, complete=complete)

    def tokens(self, latents: Tensor, time: Tensor, conditioning: TangoFluxConditioning) -> TangoFluxStream:
        """Prepare the input of the blocks; `latents` (B, C, T), `time` (B,) in [0, 1]."""
        network, words, sounds = self.transformer, conditioning.context.shape[1], latents.shape[2]
        present = nn.functional.pad(conditioning.present, (0, sounds), value=True)
        return TangoFluxStream(
            latents.transpose(1, 2),
            network.context_embedder(conditioning.context),
            network.time_text_embed(time.to(latents.dtype) * 1000, conditioning.pooled),
            self._rotary_table(words, sounds, latents.device),
            None if conditioning.complete else present[:, None, None, :],
        )

    def _rotary_table(self, words: int, sounds: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Cosines and sines of all tokens, (words + sounds, head_dim); made once for a length."""
        if (words, sounds, device) not in self._rotary:
            with torch.inference_mode(False):  # made while sampling it must also serve training
                # Text has position 0 on all three axes; latent i has position i on all three.
                positions = torch.cat([torch.zeros(words), torch.arange(sounds)]).to(device)
                table = self.transformer.pos_embed(positions.unsqueeze(1).expand(-1, 3))
            self._rotary = {(words, sounds, device): table}  # of one length at a time
        return self._rotary[words, sounds, device]

    def transformer_blocks(self) -> Sequence[nn.Module]:
        """The double blocks, then the single ones."""
        return [*self.transformer.transformer_blocks, *self.transformer.single_transformer_blocks]

    def embed(self, stream: TangoFluxStream, offset: Tensor | None = None) -> Tensor:
        """The embedded latents, (B, T, W)."""
        hidden = self.transformer.x_embedder(stream.latents)
        return hidden if offset is None else hidden + offset

    def wide(self, stream: TangoFluxStream) -> TangoFluxStream:
        """The text passes from block to block as well."""
        return replace(stream, context=stream.context.float())

    def run_block(self, block: nn.Module, hidden: Tensor, stream: TangoFluxStream) -> tuple[Tensor, TangoFluxStream]:
        """See :func:`cafa.models.tangoflux.blocks.run_flux_block`."""
        return run_flux_block(block, hidden, stream, self.gradient_checkpointing)

    def output(self, hidden: Tensor, stream: TangoFluxStream) -> Tensor:
        """Velocity (B, C, T)."""
        network = self.transformer
        return network.proj_out(network.norm_out(hidden, stream.modulation)).transpose(1, 2)
