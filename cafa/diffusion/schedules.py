"""Noise schedules and the velocity parametrisation.

z_t = alpha z + sigma n with alpha = cos(pi t / 2), sigma = sin(pi t / 2), t in [0, 1]; target v = alpha n - sigma z.
Samplers work with the noise level s = sigma / alpha = tan(pi t / 2).
"""

from collections.abc import Callable

import torch
from torch import Tensor

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


def denoiser_of_velocity(velocity: Velocity) -> Denoised:
    """Denoiser D(x, s) of a model of the velocity v(x, t).

    Parameters
    ----------
    velocity : callable (x, t) -> v
        x (B, C, T) of unit variance, t (B,).

    Returns
    -------
    callable (x, s) -> denoised
        x = signal + s * noise, s a scalar tensor. Karras et al. 2022, eq. 7, for v-prediction with sigma_data = 1:
        c_skip = 1 / (s^2 + 1), c_out = -s / sqrt(s^2 + 1), c_in = 1 / sqrt(s^2 + 1), t = 2 atan(s) / pi.
    """

    def denoised(x: Tensor, sigma: Tensor) -> Tensor:
        scale = (sigma**2 + 1).sqrt()
        time = time_of_sigma(sigma).expand(x.shape[0])
        return velocity(x / scale, time) * (-sigma / scale) + x / scale**2

    return denoised
