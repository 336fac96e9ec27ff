"""Samplers as plain functions: one algorithm each; schedule and noise are passed in."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from cafa.diffusion.schedules import Denoised, Velocity, denoiser_of_velocity, polyexponential_sigmas

Noise = Callable[[int], Tensor]


def per_item_noise(seeds: Sequence[int], shape: Sequence[int], device: torch.device) -> Callable[[], Tensor]:
    """Noise whose items do not know each other.

    Parameters
    ----------
    seeds : sequence of int
        One per item.
    shape : sequence of int
        Of one item.
    device : torch.device
        Noise is drawn on the CPU, so that every device sees the same, and moved there.

    Returns
    -------
    callable () -> Tensor, (len(seeds), *shape)
        Each call continues every item's own stream.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def draw() -> Tensor:
        return torch.stack([torch.randn(*shape, generator=generator) for generator in generators]).to(device)

    return draw


def sample_dpmpp_3m_sde(model: Denoised, x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 1.0) -> Tensor:
    """DPM-Solver++(3M) SDE.

    Lu et al. 2022 (arXiv 2211.01095) in the multistep, stochastic form of k-diffusion, which Stable Audio uses.

    Parameters
    ----------
    model : callable (x, sigma) -> denoised
    x : Tensor, (B, ...)
        Unit noise times ``sigmas[0]``.
    sigmas : Tensor, (steps + 1,)
        Decreasing noise levels; the last may be 0.
    noise : callable (step) -> Tensor
        Unit noise injected after step `step`; not called for a step to level 0, nor when eta is 0.
    eta : float
        0 = deterministic, 1 = the SDE.
    """
    earlier: list[tuple[Tensor, Tensor]] = []  # (denoised, h) of the steps before, newest first
    for step in range(len(sigmas) - 1):
        sigma, following = sigmas[step], sigmas[step + 1]
        denoised = model(x, sigma)
        if following == 0:
            return denoised
        h = sigma.log() - following.log()
        h_eta = h * (eta + 1)
        x = torch.exp(-h_eta) * x - torch.expm1(-h_eta) * denoised
        phi2 = torch.expm1(-h_eta) / h_eta + 1
        if len(earlier) == 2:
            (before, h1), (oldest, h2) = earlier
            r0, r1 = h1 / h, h2 / h
            d0, d1 = (denoised - before) / r0, (before - oldest) / r1
            first = d0 + (d0 - d1) * r0 / (r0 + r1)
            second = (d0 - d1) / (r0 + r1)
            phi3 = phi2 / h_eta - 0.5
            x = x + phi2 * first - phi3 * second
        elif len(earlier) == 1:
            before, h1 = earlier[0]
            x = x + phi2 * (denoised - before) / (h1 / h)
        if eta:
            x = x + noise(step) * following * (-torch.expm1(-2 * h * eta)).sqrt()
        earlier = [(denoised, h), *earlier[:1]]
    return x


def sample_euler(velocity: Velocity, x: Tensor, times: Tensor) -> Tensor:
    """Euler steps along a rectified flow (Liu et al. 2022, arXiv 2209.03003), as TangoFlux is sampled.

    Parameters
    ----------
    velocity : callable (x, t) -> v
        v estimates noise - signal, for x = (1 - t) signal + t noise.
    x : Tensor, (B, ...)
        Unit noise.
    times : Tensor, (steps + 1,)
        Decreasing from 1 to 0 (:func:`cafa.diffusion.schedules.flow_times`).
    """
    for time, following in pairwise(times):
        x = x + (following - time) * velocity(x, time.expand(x.shape[0]))
    return x


def sample_stable_audio(
    velocity: Velocity, draw: Callable[[], Tensor], *, steps: int, sigma_min: float, sigma_max: float, eta: float
) -> Tensor:
    """Sample a model of the velocity as Stable Audio is sampled: dpmpp-3m-sde over log-linear noise levels.

    Parameters
    ----------
    velocity : callable (x, t) -> v
    draw : callable () -> Tensor
        Unit noise of the batch's shape: first the start, then what is injected (:func:`per_item_noise`).
    steps, sigma_min, sigma_max
        See :func:`cafa.diffusion.schedules.polyexponential_sigmas`.
    eta : float
        See :func:`sample_dpmpp_3m_sde`.
    """
    noise = draw()
    sigmas = polyexponential_sigmas(steps, sigma_min, sigma_max).to(noise.device)
    return sample_dpmpp_3m_sde(denoiser_of_velocity(velocity), noise * sigmas[0], sigmas, lambda step: draw(), eta)
