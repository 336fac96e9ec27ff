import math

import torch

from cafa.diffusion.schedules import alpha_sigma, denoiser_of_velocity, polyexponential_sigmas


def test_amplitudes_keep_the_power_and_end_in_pure_signal_and_pure_noise():
    alpha, sigma = alpha_sigma(torch.linspace(0, 1, 11))
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(11))
    torch.testing.assert_close(torch.stack([alpha[[0, -1]], sigma[[0, -1]]]), torch.eye(2), rtol=0, atol=1e-6)


def test_noise_levels_are_log_linear_and_end_at_zero():
    sigmas = polyexponential_sigmas(50, 0.5, 500)
    assert sigmas.shape == (51,)
    assert sigmas[-1] == 0
    torch.testing.assert_close(sigmas[[0, 49]], torch.tensor([500.0, 0.5]))
    torch.testing.assert_close(-sigmas[:50].log().diff(), torch.full((49,), math.log(1000) / 49), rtol=0, atol=2e-6)


def test_true_velocity_gives_the_clean_signal_at_every_level():
    torch.manual_seed(0)
    clean, noise = torch.randn(2, 3, 8), torch.randn(2, 3, 8)

    def velocity(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        alpha, sigma = alpha_sigma(time.view(-1, 1, 1))
        torch.testing.assert_close(x, alpha * clean + sigma * noise, rtol=0, atol=1e-5)
        return alpha * noise - sigma * clean

    for level in (0.5, 3.0, 80.0):
        denoised = denoiser_of_velocity(velocity)(clean + level * noise, torch.tensor(level))
        torch.testing.assert_close(denoised, clean, rtol=0, atol=2e-4)
