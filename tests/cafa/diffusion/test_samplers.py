import pytest
import torch

from cafa.diffusion.samplers import (
    SAMPLERS,
    FlowModel,
    per_item_noise,
    sample_dpmpp_2m,
    sample_dpmpp_3m_sde,
    sample_euler,
)
from cafa.diffusion.schedules import FLOW_PATHS, flow_times, polyexponential_sigmas
from cafa.models.interface import SamplingDefaults


def test_noise_of_an_item_does_not_depend_on_its_batch():
    together = per_item_noise([5, 6, 7], (2, 4), torch.device("cpu"))
    alone = per_item_noise([6], (2, 4), torch.device("cpu"))
    for _ in range(3):
        several, one = together(), alone()
        assert several.shape == (3, 2, 4)
        assert torch.equal(several[1], one[0])
        assert not torch.equal(several[0], several[1])


def test_noise_continues_and_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    draw = per_item_noise([5], (1000,), torch.device("cpu"))
    first, second = draw(), draw()
    assert torch.equal(torch.get_rng_state(), before)
    assert (first * second).mean().abs() < 0.1


def gaussian_denoiser(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Exact posterior mean of data from N(2, 0.5^2)."""
    variance = 0.25
    return (x * variance + 2 * sigma**2) / (variance + sigma**2)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_sampler_draws_from_the_distribution_of_the_data(eta: float):
    sigmas = torch.cat([polyexponential_sigmas(60, 0.002, 80)])
    draw = per_item_noise([1], (40000,), torch.device("cpu"))
    result = sample_dpmpp_3m_sde(gaussian_denoiser, draw() * sigmas[0], sigmas, lambda step: draw(), eta)
    assert result.mean().item() == pytest.approx(2, abs=0.02)
    assert result.std().item() == pytest.approx(0.5, abs=0.02)


def test_error_of_the_deterministic_sampler_falls_fast_with_the_steps():
    start = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 80
    # without a last step to zero: the probability flow of a Gaussian is known in closed form
    exact = 2 + (start - 2) * ((0.25 + 0.05**2) / (0.25 + 80**2)) ** 0.5
    errors = []
    for steps in (20, 40, 80):
        sigmas = polyexponential_sigmas(steps, 0.05, 80)[:-1]
        result = sample_dpmpp_3m_sde(gaussian_denoiser, start, sigmas, lambda step: torch.zeros(1000), eta=0.0)
        errors.append((result - exact).abs().max().item())
    assert errors[1] < errors[0] / 4
    assert errors[2] < errors[1] / 4


def test_error_of_the_second_order_sampler_falls_with_the_square_of_the_steps():
    start = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 80
    exact = 2 + (start - 2) * ((0.25 + 0.05**2) / (0.25 + 80**2)) ** 0.5
    errors = []
    for steps in (40, 80, 160):
        sigmas = polyexponential_sigmas(steps, 0.05, 80)[:-1]
        errors.append((sample_dpmpp_2m(gaussian_denoiser, start, sigmas) - exact).abs().max().item())
    assert errors[1] < errors[0] / 3
    assert errors[2] < errors[1] / 3


def test_first_step_of_the_second_order_sampler_is_that_of_ddim():
    x, sigmas = torch.tensor([40.0, -8.0]), torch.tensor([80.0, 20.0])
    denoised = gaussian_denoiser(x, sigmas[0])
    expected = denoised + (x - denoised) * 20 / 80
    torch.testing.assert_close(sample_dpmpp_2m(gaussian_denoiser, x, sigmas), expected)


def test_noise_is_asked_for_once_per_step_but_the_last_and_never_without_eta():
    sigmas = polyexponential_sigmas(5, 0.5, 500)
    asked: list[int] = []

    def noise(step: int) -> torch.Tensor:
        asked.append(step)
        return torch.zeros(3)

    sample_dpmpp_3m_sde(gaussian_denoiser, torch.ones(3) * 500, sigmas, noise)
    assert asked == [0, 1, 2, 3]
    sample_dpmpp_3m_sde(gaussian_denoiser, torch.ones(3) * 500, sigmas, noise, eta=0.0)
    assert asked == [0, 1, 2, 3]


def test_last_step_returns_the_denoised_signal():
    sigmas = polyexponential_sigmas(1, 0.5, 500)
    result = sample_dpmpp_3m_sde(lambda x, sigma: x * 0 + 3, torch.ones(2), sigmas, lambda step: torch.ones(2))
    assert torch.equal(result, torch.full((2,), 3.0))


def test_euler_follows_a_straight_flow_exactly_whatever_the_steps():
    torch.manual_seed(0)
    signal, noise = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    for steps in (1, 7):
        result = sample_euler(lambda x, time: noise - signal, noise, flow_times(steps))
        torch.testing.assert_close(result, signal, rtol=0, atol=1e-6)


def test_euler_times_are_those_of_tangoflux():
    seen = []

    def velocity(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        seen.append(float(time[0]))
        return x

    sample_euler(velocity, torch.ones(2, 1), flow_times(4))
    assert seen == [1.0, 0.75, 0.5, 0.25]  # linspace(1, 1/4, 4)


@pytest.mark.parametrize("path", FLOW_PATHS)
@pytest.mark.parametrize("sampler", ["dpmpp_3m_sde", "dpmpp_2m", "euler"])
def test_every_sampler_finds_the_signal_of_an_exact_model_of_every_path(path: str, sampler: str):
    flow, signal = FLOW_PATHS[path], torch.tensor([[[2.0, -1.0, 0.3]], [[0.5, 3.0, -2.0]]])
    draw = per_item_noise([1, 2], signal.shape[1:], torch.device("cpu"))

    def velocity(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        alpha, sigma = flow.amplitudes(time.view(-1, 1, 1))
        noise = (x - alpha * signal) / sigma.clamp(min=1e-3)
        return flow.velocity(signal, noise, alpha, sigma)

    settings = SamplingDefaults(sampler, steps=200, sigma_min=0.01, sigma_max=500.0)
    found = SAMPLERS[sampler](FlowModel(velocity, flow), draw(), settings, draw)
    assert (found - signal).abs().max() < 0.02
