"""Classifier-free guidance, and its asymmetric form.

v = v_uncond + w (v_cond - v_uncond). In the asymmetric form (CAFA, eq. 5) the adapter is at full strength for the
conditional items and scaled by gamma for the unconditional ones; the difference then also carries (1 - gamma) of what
the video adds, so gamma < 1 strengthens the video and gamma = 1 is plain guidance.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cafa.diffusion.schedules import Velocity
from cafa.models.interface import Conditioning, Denoiser, VideoAdapter
from cafa.models.made_once import MadeOnce


def adapted_velocity(
    backbone: Denoiser,
    adapter: VideoAdapter,
    latents: Tensor,
    time: Tensor,
    conditioning: Conditioning,
    features: Tensor,
    scale: Tensor | None = None,
) -> Tensor:
    """Velocity predicted by the backbone with the adapter, (B, C, T)."""
    return hinted_velocity(backbone, adapter, latents, time, conditioning, adapter.hint_of(features), scale)


def hinted_velocity(
    backbone: Denoiser,
    adapter: VideoAdapter,
    latents: Tensor,
    time: Tensor,
    conditioning: Conditioning,
    hint: Tensor,
    scale: Tensor | None = None,
) -> Tensor:
    """The same where it is known what the adapter makes of the features."""
    stream = backbone.tokens(latents, time, conditioning)
    return backbone.run_blocks(stream, adapter.controls(stream, hint, scale))


#: velocity (2B, C, T) of x (2B, C, T), times (2B,) and the conditioning of [conditional ; unconditional] items
GuidedBatch = Callable[[Tensor, Tensor, Any], Tensor]
#: velocity of x, times, conditioning, video features, and whether each item has its video
JointNetwork = Callable[[Tensor, Tensor, Any, Tensor, Tensor], Tensor]


def guide(
    guided_batch: GuidedBatch, conditioning: Conditioning, null: Conditioning | None, guidance_scale: float
) -> Velocity:
    """Guided velocity from one pass over [conditional ; unconditional].

    Parameters
    ----------
    guided_batch : callable (x (2B, C, T), t (2B,), conditioning (2B)) -> velocity (2B, C, T)
    conditioning : Conditioning
        Of B items.
    null : Conditioning, optional
        Of B items: a negative prompt. Without it the unconditional items have the backbone's null text; in Stable
        Audio its cross-attention is exactly zero and skipped.
    guidance_scale : float
        w; 1 = no guidance, and then `guided_batch` is called with the conditional items alone.
    """
    if guidance_scale == 1:
        alone = for_steps(conditioning)
        return lambda x, time: guided_batch(x, time, alone)
    both = for_steps(conditioning.joined(null))

    def velocity(x: Tensor, time: Tensor) -> Tensor:
        conditional, unconditional = guided_batch(torch.cat([x, x]), torch.cat([time, time]), both).chunk(2)
        return unconditional + (conditional - unconditional) * guidance_scale

    return velocity


def for_steps(conditioning: Conditioning) -> Conditioning:
    """The conditioning as it serves all steps of a run; a backbone may keep with it what does not depend on the step.

    A conditioning that has no method ``for_steps`` is used as it is.
    """
    prepare = getattr(conditioning, "for_steps", None)
    return conditioning if prepare is None else prepare()


def repeat_to(value: Tensor, items: int) -> Tensor:
    """Repeat a batch for the conditional and the unconditional items of a guided batch."""
    return value if value.shape[0] == items else torch.cat([value] * (items // value.shape[0]))


def text_velocity(
    backbone: Denoiser, conditioning: Conditioning, guidance_scale: float, negative: Conditioning | None = None
) -> Velocity:
    """Guided velocity of the backbone alone; `negative` holds a negative prompt."""
    return guide(backbone, conditioning, negative, guidance_scale)


def adapter_velocity(
    backbone: Denoiser,
    adapter: VideoAdapter,
    conditioning: Conditioning,
    features: Tensor,
    guidance_scale: float,
    asymmetric_scale: float,
    negative: Conditioning | None = None,
) -> Velocity:
    """Guided velocity of backbone and adapter.

    The guided batch is always ordered [conditional ; unconditional] here. TangoFlux's own code has it the other way
    round, which makes no difference to an item, as long as gamma goes to the unconditional items.

    Parameters
    ----------
    backbone, adapter
    conditioning : Conditioning
        Of B items.
    features : Tensor, (B, F, width of the features)
        Serve conditional and unconditional items alike.
    guidance_scale : float
        w. With 1 there are no unconditional items, and the adapter is at full strength for every item (the published
        inference code scales the adapter for a part of the user's batch in that case: :func:`published_velocity`).
    asymmetric_scale : float
        gamma, scale of the adapter for the unconditional items; with 0 the adapter is not run for them.
    negative : Conditioning, optional
        Negative prompt of B items.
    """
    count = features.shape[0]
    of_video = MadeOnce()

    def guided_batch(x: Tensor, time: Tensor, both: Conditioning) -> Tensor:
        hint = of_video.once(adapter, count, lambda: adapter.hint_of(features))  # the same for both halves of the batch
        if asymmetric_scale == 0:
            return hinted_velocity(backbone, adapter, x, time, both, hint)
        scale = torch.ones(x.shape[0], device=x.device)
        scale[count:] = asymmetric_scale
        return hinted_velocity(backbone, adapter, x, time, both, repeat_to(hint, x.shape[0]), scale)

    return guide(guided_batch, conditioning, negative, guidance_scale)


def published_velocity(
    backbone: Denoiser,
    adapter: VideoAdapter,
    conditioning: Conditioning,
    features: Tensor,
    guidance_scale: float,
    asymmetric_scale: float,
    negative: Conditioning | None = None,
) -> Velocity:
    """Velocity exactly as the published inference code computes it; only for proving equality.

    Differs from :func:`adapter_velocity` without guidance: the published code then ignores `asymmetric_scale` and
    scales the adapter by 0.5 in the items from index B // 2 on (all of them when B is 1).
    """
    if guidance_scale != 1:
        explicit = negative or conditioning.null_text()
        return adapter_velocity(
            backbone, adapter, conditioning, features, guidance_scale, asymmetric_scale, negative=explicit
        )
    scale = torch.ones(len(features), device=features.device)
    scale[len(features) // 2 :] = 0.5
    return lambda x, time: adapted_velocity(backbone, adapter, x, time, conditioning, features, scale)


def joint_velocity(
    model: JointNetwork,
    conditioning: Conditioning,
    features: Tensor,
    guidance_scale: float,
    negative: Conditioning | None = None,
) -> Velocity:
    """Guided velocity of a joint model: (text, video) against (null or negative text, null video)."""
    count = features.shape[0]

    def guided_batch(x: Tensor, time: Tensor, both: Conditioning) -> Tensor:
        video = torch.zeros(x.shape[0], device=x.device)
        video[:count] = 1
        return model(x, time, both, repeat_to(features, x.shape[0]), video)

    return guide(guided_batch, conditioning, negative, guidance_scale)
