"""Classifier-free guidance, and its asymmetric form.

v = v_uncond + w (v_cond - v_uncond). In the asymmetric form (CAFA, eq. 5) the adapter is at full strength in the
conditional half and scaled by gamma in the unconditional half; the difference then also carries (1 - gamma) of what
the video adds, so gamma < 1 strengthens the video and gamma = 1 is plain guidance.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cafa.adapter import Adapter, adapted_velocity
from cafa.backbones.stable_audio import Conditioning, StableAudioBackbone
from cafa.joint import JointModel
from cafa.schedules import Velocity

Halves = Callable[[Tensor, Tensor, Conditioning], Tensor]


def guide(halves: Halves, conditioning: Conditioning, null: Conditioning, guidance_scale: float) -> Velocity:
    """Guided velocity from one pass over [conditional ; unconditional].

    Parameters
    ----------
    halves : callable (x (2B, C, T), t (2B,), conditioning (2B)) -> velocity (2B, C, T)
    conditioning, null : Conditioning
        Of B items; `null` holds the null text, or a negative prompt.
    guidance_scale : float
        w; 1 = no guidance, and then `halves` sees the conditional half alone.
    """
    if guidance_scale == 1:
        return lambda x, time: halves(x, time, conditioning)
    both = Conditioning(torch.cat([conditioning.context, null.context]), torch.cat([conditioning.timing, null.timing]))

    def velocity(x: Tensor, time: Tensor) -> Tensor:
        conditional, unconditional = halves(torch.cat([x, x]), torch.cat([time, time]), both).chunk(2)
        return unconditional + (conditional - unconditional) * guidance_scale

    return velocity


def repeat_to(value: Tensor, items: int) -> Tensor:
    """Repeat a batch for each half of a guided pass."""
    return value if value.shape[0] == items else torch.cat([value] * (items // value.shape[0]))


def text_velocity(backbone: StableAudioBackbone, conditioning: Conditioning, guidance_scale: float) -> Velocity:
    """Guided velocity of the backbone alone."""
    return guide(backbone, conditioning, conditioning.null_text(), guidance_scale)


def adapter_velocity(
    backbone: StableAudioBackbone,
    adapter: Adapter,
    conditioning: Conditioning,
    features: Tensor,
    guidance_scale: float,
    asymmetric_scale: float,
) -> Velocity:
    """Guided velocity of backbone and adapter; `features` (B, F, feature_dim) serve both halves.

    Without guidance there is no unconditional half, and the adapter is at full strength for every item (the
    published inference code scales half of the user's batch in that case).
    """
    count = features.shape[0]

    def halves(x: Tensor, time: Tensor, both: Conditioning) -> Tensor:
        scale = torch.ones(x.shape[0], device=x.device)
        scale[count:] = asymmetric_scale
        return adapted_velocity(backbone, adapter, x, time, both, repeat_to(features, x.shape[0]), scale)

    return guide(halves, conditioning, conditioning.null_text(), guidance_scale)


def joint_velocity(model: JointModel, conditioning: Conditioning, features: Tensor, guidance_scale: float) -> Velocity:
    """Guided velocity of a joint model: (text, video) against (null, null)."""
    count = features.shape[0]

    def halves(x: Tensor, time: Tensor, both: Conditioning) -> Tensor:
        video = torch.zeros(x.shape[0], device=x.device)
        video[:count] = 1
        return model(x, time, both, repeat_to(features, x.shape[0]), video)

    return guide(halves, conditioning, conditioning.null_text(), guidance_scale)
