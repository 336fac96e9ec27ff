"""Samplers by name: functions from unit noise to latents.

A sampler is a function ``(model, noise, settings, draw) -> latents``:

* ``model`` (:class:`FlowModel`): what the network says at a point, in two forms: ``model.derivative(x, t)`` along the
  path, t from 1 (noise) to 0, and ``model.denoised(x, s)`` at a noise level s (Karras et al. 2022);
* ``noise`` (B, C, T): unit noise to start from;
* ``settings`` (:class:`~cafa.models.interface.SamplingDefaults`): ``steps``, ``sigma_min``, ``sigma_max``, ``eta``;
* ``draw() -> Tensor (B, C, T)``: further unit noise. Each item's noise comes from its own seed;
* the result (B, C, T) are latents at time 0. An item must not depend on the others of its batch.

``docs/extending/sampler.md`` shows how to add one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from cafa.common.devices import sent
from cafa.common.registry import Registry
from cafa.diffusion.schedules import Denoised, FlowPath, Velocity, flow_times, polyexponential_sigmas, time_of_items
from cafa.models.interface import SamplingDefaults

Noise = Callable[[int], Tensor]
Draw = Callable[[], Tensor]


@dataclass(frozen=True)
class FlowModel:
    """A model of the velocity and the path that it was trained on, as samplers ask it.

    Parameters
    ----------
    velocity : callable (x (B, C, T), t (B,)) -> v (B, C, T)
        Guided; x is a point of the path.
    path : FlowPath
    """

    velocity: Velocity
    path: FlowPath

    def derivative(self, x: Tensor, time: Tensor) -> Tensor:
        """dx/dt at points x (B, C, T) of the path, at times (B,) in [0, 1]."""
        found = self.velocity(x, time)
        return found if self.path.speed == 1 else found * self.path.speed

    @property
    def denoised(self) -> Denoised:
        """Estimate of the signal from x = signal + s * unit noise (B, C, T) and s, a scalar tensor."""
        return self.path.denoised(self.velocity)


Sampler = Callable[[FlowModel, Tensor, SamplingDefaults, Draw], Tensor]
#: samplers by name
SAMPLERS: Registry[Sampler] = Registry("sampler")


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
        return sent(torch.stack([torch.randn(*shape, generator=generator) for generator in generators]), device)

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
        Decreasing noise levels, on the CPU: what follows from a level is worked out there, the same for every device,
        and no question is put to a GPU, which would wait for all that it has been given to do. The last may be 0.
    noise : callable (step) -> Tensor
        Unit noise injected after step `step`; not called for a step to level 0, nor when eta is 0.
    eta : float
        0 = deterministic, 1 = the SDE.
    """
    earlier: list[tuple[Tensor, Tensor]] = []  # (denoised, h) of the steps before, newest first
    last = (sigmas == 0).tolist()
    for step in range(len(sigmas) - 1):
        sigma, following = sigmas[step], sigmas[step + 1]
        denoised = model(x, sigma)
        if last[step + 1]:
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


def sample_dpmpp_2m(model: Denoised, x: Tensor, sigmas: Tensor) -> Tensor:
    """DPM-Solver++(2M): a deterministic multistep solver of second order, for few steps.

    Lu et al. 2022 (arXiv 2211.01095), algorithm 2, on noise levels as k-diffusion has it.

    Parameters
    ----------
    model : callable (x, sigma) -> denoised
    x : Tensor, (B, ...)
        Unit noise times ``sigmas[0]``.
    sigmas : Tensor, (steps + 1,)
        Decreasing noise levels, on the CPU as above; the last may be 0.
    """
    before: tuple[Tensor, Tensor] | None = None  # denoised and h of the step before
    last = (sigmas == 0).tolist()
    for step, (sigma, following) in enumerate(pairwise(sigmas)):
        denoised = model(x, sigma)
        if last[step + 1]:
            return denoised
        h = sigma.log() - following.log()
        ahead = denoised if before is None else denoised + (denoised - before[0]) * h / (2 * before[1])
        x = following / sigma * x - torch.expm1(-h) * ahead
        before = denoised, h
    return x


def sample_euler(derivative: Velocity, x: Tensor, times: Tensor) -> Tensor:
    """Euler steps along a flow from noise to signal (Liu et al. 2022, arXiv 2209.03003).

    Parameters
    ----------
    derivative : callable (x, t) -> dx/dt
        Of a rectified flow x = (1 - t) signal + t noise, an estimate of noise - signal.
    x : Tensor, (B, ...)
        Unit noise.
    times : Tensor, (steps + 1,)
        Decreasing from 1 to 0 (:func:`cafa.diffusion.schedules.flow_times`), on the CPU.
    """
    for time, following in pairwise(times):
        x = x + (following - time) * derivative(x, time_of_items(time, x))
    return x


@SAMPLERS.register("dpmpp_3m_sde")
def dpmpp_3m_sde(model: FlowModel, noise: Tensor, settings: SamplingDefaults, draw: Draw) -> Tensor:
    """DPM-Solver++(3M) SDE over log-linear noise levels, as Stable Audio is sampled.

    See :func:`sample_dpmpp_3m_sde` and :func:`cafa.diffusion.schedules.polyexponential_sigmas`.
    """
    sigmas = polyexponential_sigmas(settings.steps, settings.sigma_min, settings.sigma_max)
    return sample_dpmpp_3m_sde(model.denoised, noise * sigmas[0], sigmas, lambda step: draw(), settings.eta)


@SAMPLERS.register("dpmpp_2m")
def dpmpp_2m(model: FlowModel, noise: Tensor, settings: SamplingDefaults, draw: Draw) -> Tensor:
    """DPM-Solver++(2M) over the same noise levels, without injected noise; see :func:`sample_dpmpp_2m`."""
    sigmas = polyexponential_sigmas(settings.steps, settings.sigma_min, settings.sigma_max)
    return sample_dpmpp_2m(model.denoised, noise * sigmas[0], sigmas)


@SAMPLERS.register("euler")
def euler(model: FlowModel, noise: Tensor, settings: SamplingDefaults, draw: Draw) -> Tensor:
    """Euler steps from time 1 to 0, as TangoFlux is sampled; see :func:`sample_euler`."""
    return sample_euler(model.derivative, noise, flow_times(settings.steps))
