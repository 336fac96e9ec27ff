"""Guidance distillation: an adapter learns the guided velocity of its teacher, so that a step is one pass, not two.

After Meng et al., "On Distillation of Guided Diffusion Models" (arXiv 2210.03142), for one guidance scale, and with the
adapter as the student: the backbone stays frozen. The student is sampled with a guidance scale of 1.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from cafa.common.devices import sent
from cafa.common.errors import InputError
from cafa.diffusion.guidance import adapter_velocity
from cafa.diffusion.schedules import Velocity
from cafa.models.interface import Conditioning, VideoAdapter
from cafa.models.registry import open_adapter
from cafa.training.distributed import Share
from cafa.training.frozen_backbone import FrozenBackbone
from cafa.training.objective import keep_mask


class GuidanceDistillation(BaseModel):
    """What the teacher, the adapter that the training starts from, is sampled with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    guidance_scale: float = Field(gt=1, description="w of the teacher's classifier-free guidance")
    asymmetric_scale: float = Field(0.5, ge=0, description="gamma of the teacher, in its unconditional half")
    other_captions: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of pairs of neighbouring clips in a batch that swap their captions: what is asked of a clip "
        "is then not what it sounds like, as in Table 1",
    )


@dataclass(frozen=True)
class Teacher:
    """A trained adapter whose guided velocity is learned.

    Parameters
    ----------
    adapter : VideoAdapter
        Frozen.
    frozen : FrozenBackbone
    settings : GuidanceDistillation
    """

    adapter: VideoAdapter
    frozen: FrozenBackbone
    settings: GuidanceDistillation

    def velocity(self, conditioning: Conditioning, features: Tensor) -> Velocity:
        """Guided velocity under the conditioning and the video features of B clips, without gradients."""
        guided = adapter_velocity(
            self.frozen.denoiser,
            self.adapter,
            conditioning,
            features,
            self.settings.guidance_scale,
            self.settings.asymmetric_scale,
        )
        return torch.no_grad()(guided)


def open_teacher(
    settings: GuidanceDistillation, folder: str | Path | None, frozen: FrozenBackbone, device: torch.device
) -> Teacher:
    """Open the adapter that is learned from.

    Parameters
    ----------
    settings : GuidanceDistillation
    folder : path, optional
        Model folder that the training starts from.
    frozen : FrozenBackbone
    device : torch.device

    Raises
    ------
    InputError
        If the training starts from no adapter, or from one of another backbone.
    """
    if folder is None:
        raise InputError(
            "guidance_distillation: there is no teacher: name the adapter that the training starts from "
            "(`--start-from`, or `start_from` in the configuration), which is the teacher"
        )
    adapter, _ = open_adapter(folder, frozen, device)
    adapter.eval().requires_grad_(False)
    return Teacher(adapter, frozen, settings)


def check_pairs(settings: GuidanceDistillation, batch_size: int, processes: int) -> None:
    """Refuse a batch that cannot be divided into pairs: who swaps must not depend on the number of processes.

    Raises
    ------
    InputError
    """
    if settings.other_captions and batch_size % (2 * processes):
        raise InputError(
            f"guidance_distillation: other_captions swaps captions in pairs, and a batch of {batch_size} clips among "
            f"{processes} processes has an odd share: give each process an even number of clips, or set "
            "other_captions to 0"
        )


def swap_captions(text: Tensor, swapped: float, generator: torch.Generator, share: Share) -> Tensor:
    """Text states in which neighbours have each other's, in a share of all pairs.

    Parameters
    ----------
    text : Tensor, (B, L, D)
        Of this process's part of the batch. A last clip without a neighbour keeps its own.
    swapped : float
        Share of pairs.
    generator : torch.Generator
        Draws for the whole batch.
    share : Share
    """
    if not swapped:
        return text
    pairs = len(text) // 2
    own = share.of(keep_mask(swapped, pairs * share.count, generator)).bool().repeat_interleave(2)
    paired = text[: 2 * pairs]
    other = paired.unflatten(0, (pairs, 2)).flip(1).flatten(0, 1)
    chosen = torch.where(sent(own, text.device).view(-1, *[1] * (text.ndim - 1)), paired, other)
    return torch.cat([chosen, text[2 * pairs :]])
