"""A rectified flow of TangoFlux's form that is trained here from nothing, on the miniature's latents and captions."""

from dataclasses import replace

import torch
from torch import Tensor

from cafa.models.tangoflux.blocks import TangoFluxConditioning
from cafa.models.tangoflux.denoiser import TangoFluxDenoiser


class RectifiedFlowBackbone(TangoFluxDenoiser):
    """TangoFlux's denoiser of any size, with captions whose missing states are zero.

    The null text is, as TangoFlux's, that of an empty caption: here one token that says nothing.
    """

    def of_captions(self, text: Tensor, seconds: Tensor) -> TangoFluxConditioning:
        """Conditioning of captions, with that of the empty caption.

        Parameters
        ----------
        text : Tensor, (B, L, text_dim)
            States of the text encoder, zero where there is none.
        seconds : Tensor, (B,)
        """
        present = (text != 0).any(-1)
        present[:, 0] = True  # an empty caption has one token, so that there is something to average
        only_first = torch.zeros_like(present)
        only_first[:, 0] = True
        null = self.condition(torch.zeros_like(text), only_first, seconds)
        given = self.condition(text, present, seconds)
        return replace(given, null=null)
