"""Paths from signal to noise, noise schedules and the velocity parametrisation.

z_t = alpha z + sigma n for t in [0, 1], from the signal z to unit noise n; a model predicts the velocity dz_t/dt, up to
a factor. Some samplers go along t, others along the noise level s = sigma / alpha.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from cafa.common.devices import sent
from cafa.common.registry import Registry

Velocity = Callable[[Tensor, Tensor], Tensor]
Denoised = Callable[[Tensor, Tensor], Tensor]


def alpha_sigma(time: Tensor) -> tuple[Tensor, Tensor]:
    """Signal and noise amplitude at diffusion time `time` in [0, 1]."""
    angle = time * (torch.pi / 2)
    return torch.cos(angle), torch.sin(angle)


def polyexponential_sigmas(steps: int, sigma_min: float, sigma_max: float) -> Tensor:
    """Noise levels, log-linear from `sigma_max` to `sigma_min`, then 0; shape (steps + 1,).

    k-diffusion's ``get_sigmas_polyexponential`` with rho = 1, as Stable Audio Open is sampled.
    """
    levels = torch.linspace(1, 0, steps) * (torch.log(torch.tensor(sigma_max / sigma_min)))
    return torch.cat([torch.exp(levels + torch.log(torch.tensor(sigma_min))), torch.zeros(1)])


def flow_times(steps: int) -> Tensor:
    """Times of a rectified flow, equally spaced from 1 to 0; shape (steps + 1,)."""
    return torch.linspace(1, 0, steps + 1)


def time_of_sigma(sigma: Tensor) -> Tensor:
    """Diffusion time t = 2 atan(s) / pi in [0, 1) of noise levels s."""
    return torch.atan(sigma) * (2 / torch.pi)


def time_of_items(time: Tensor, x: Tensor) -> Tensor:
    """A time, a scalar tensor of any device, for every item of x (B, ...): (B,) on the device of x."""
    return sent(time, x.device).expand(x.shape[0])


def denoiser_of_velocity(velocity: Velocity) -> Denoised:
    """Denoiser D(x, s) of a model of the velocity v(x, t).

    Parameters
    ----------
    velocity : callable (x, t) -> v
        x (B, C, T) of unit variance, t (B,).

    Returns
    -------
    callable (x, s) -> denoised
        x = signal + s * noise, s a scalar tensor (best on the CPU). Karras et al. 2022, eq. 7, for v-prediction with
        sigma_data = 1:
        c_skip = 1 / (s^2 + 1), c_out = -s / sqrt(s^2 + 1), c_in = 1 / sqrt(s^2 + 1), t = 2 atan(s) / pi.
    """

    def denoised(x: Tensor, sigma: Tensor) -> Tensor:
        scale = (sigma**2 + 1).sqrt()
        time = time_of_items(time_of_sigma(sigma), x)
        return velocity(x / scale, time) * (-sigma / scale) + x / scale**2

    return denoised


class FlowPath(ABC):
    """A path from signal to noise.

    Attributes
    ----------
    speed : float
        dz_t/dt is the velocity that models of this path predict, times this.
    """

    speed: ClassVar[float]

    @abstractmethod
    def amplitudes(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Amplitudes alpha of the signal and sigma of the noise at time `time` in [0, 1]."""

    @abstractmethod
    def velocity(self, signal: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """What a model is trained to predict."""

    @abstractmethod
    def denoised(self, velocity: Velocity) -> Denoised:
        """Denoiser D(x, s) of a model of the velocity v(x, t); see :func:`denoiser_of_velocity`."""


class CosinePath(FlowPath):
    """alpha = cos(pi t / 2), sigma = sin(pi t / 2), v = alpha n - sigma z: Stable Audio."""

    speed = torch.pi / 2

    def amplitudes(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """See :func:`alpha_sigma`."""
        return alpha_sigma(time)

    def velocity(self, signal: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """alpha n - sigma z."""
        return alpha * noise - sigma * signal

    def denoised(self, velocity: Velocity) -> Denoised:
        """See :func:`denoiser_of_velocity`."""
        return denoiser_of_velocity(velocity)


class StraightPath(FlowPath):
    """alpha = 1 - t, sigma = t, v = n - z: a rectified flow (Liu et al. 2022, arXiv 2209.03003), TangoFlux."""

    speed = 1.0

    def amplitudes(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """1 - t and t."""
        return 1 - time, time

    def velocity(self, signal: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """n - z."""
        return noise - signal

    def denoised(self, velocity: Velocity) -> Denoised:
        """D(x, s) = z_t - t v(z_t, t) with t = s / (1 + s) and z_t = x / (1 + s)."""

        def denoised(x: Tensor, sigma: Tensor) -> Tensor:
            time, on_path = sigma / (1 + sigma), x / (1 + sigma)
            return on_path - time * velocity(on_path, time_of_items(time, x))

        return denoised


#: paths by name: ``flow_path`` of a denoiser
FLOW_PATHS: Registry[FlowPath] = Registry("flow path", {"cosine": CosinePath(), "straight": StraightPath()})
