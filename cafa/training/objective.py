"""The training objective: velocity prediction with caption dropout, on the backbone's own path from signal to noise."""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from cafa.common.devices import sent
from cafa.diffusion.schedules import FLOW_PATHS, Velocity
from cafa.training.distributed import WHOLE, Share

NoiseOn = Literal["cpu", "device"]


class DiffusionSettings(BaseModel):
    """What the objective draws."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    times: Literal["uniform", "logit_normal", "truncated_logit_normal"] = Field(
        "uniform", description="distribution of the diffusion time t"
    )
    caption_dropout: float = Field(0.1, ge=0, lt=1, description="share of clips trained with the null text")
    video_dropout: float = Field(0.1, ge=0, lt=1, description="joint model: share trained with the null video")
    noise_on: NoiseOn = Field(
        "cpu",
        exclude_if=lambda where: where == "cpu",  # records of before are those of the same settings
        description="where noise, and the noise of the silence behind clips, is drawn: cpu = the same numbers on every "
        "device; device = faster on a GPU, other numbers",
    )


def draw_noise(
    shape: tuple[int, ...], generator: torch.Generator, device: torch.device, where: NoiseOn, share: Share = WHOLE
) -> Tensor:
    """Unit noise on a device, of a process's share of a batch.

    Parameters
    ----------
    shape : tuple of int
        Of the whole batch.
    generator : torch.Generator
        On the CPU. Noise that is drawn on the device has a generator of its own there, with a seed from this one: it
        depends on the batch and the kind of device, not on what was drawn before.
    device : torch.device
    where : str
    share : Share
    """
    if where == "cpu":
        return sent(share.of(torch.randn(shape, generator=generator)), device)
    seed = int(torch.randint(2**62, (1,), generator=generator))
    return share.of(torch.randn(shape, generator=torch.Generator(device).manual_seed(seed), device=device))


def draw_times(settings: DiffusionSettings, count: int, generator: torch.Generator) -> Tensor:
    """Diffusion times in [0, 1], shape (count,).

    ``uniform`` is stratified: one draw in each of `count` equal parts, in random order (lower variance than
    independent draws; Stable Audio uses a Sobol sequence for the same reason). ``truncated_logit_normal`` is Stable
    Audio's ``trunc_logit_normal``: logistic of a normal, cut below 0.075, rescaled to [0, 1], and flipped.
    """
    if settings.times == "uniform":
        order = torch.randperm(count, generator=generator)
        return (order + torch.rand(count, generator=generator)) / count
    if settings.times == "logit_normal":
        return torch.sigmoid(torch.randn(count, generator=generator))
    cut = torch.tensor(0.075)
    share_cut = torch.special.ndtr(torch.logit(cut))
    uniform = torch.rand(count, generator=generator)
    kept = torch.sigmoid(torch.special.ndtri(share_cut + (1 - share_cut) * uniform))
    return 1 - (kept - cut) / (1 - cut)


def keep_mask(share_dropped: float, count: int, generator: torch.Generator) -> Tensor:
    """1 where a condition is kept and 0 where it is dropped, shape (count,)."""
    return (torch.rand(count, generator=generator) >= share_dropped).float()


def velocity_loss(
    velocity: Velocity,
    latents: Tensor,
    settings: DiffusionSettings,
    generator: torch.Generator,
    *,
    path: str = "cosine",
    share: Share = WHOLE,
    teacher: Velocity | None = None,
) -> Tensor:
    """Mean squared error of the velocity.

    Parameters
    ----------
    velocity : callable (z_t, t) -> v
    latents : Tensor, (B, C, T)
        z, of this process's share of the batch.
    settings : DiffusionSettings
    generator : torch.Generator
        On the CPU; draws for the whole batch.
    path : str
        Name in :data:`cafa.diffusion.schedules.FLOW_PATHS`: ``flow_path`` of the denoiser.
    share : Share
    teacher : callable (z_t, t) -> v, optional
        What is to be predicted, instead of the path's own velocity.
    """
    whole = len(latents) * share.count
    time = sent(share.of(draw_times(settings, whole, generator)), latents.device)
    noise = draw_noise((whole, *latents.shape[1:]), generator, latents.device, settings.noise_on, share)
    flow = FLOW_PATHS[path]
    alpha, sigma = flow.amplitudes(time.view(-1, 1, 1))
    noisy = alpha * latents + sigma * noise
    target = flow.velocity(latents, noise, alpha, sigma) if teacher is None else teacher(noisy, time).float()
    predicted = velocity(noisy, time)
    return torch.mean((predicted.float() - target) ** 2)
