"""The networks written here are diffusers': the same weights for a seed, outputs and gradients, bit for bit."""

import pytest
import torch
from diffusers.models.transformers.transformer_flux import (
    FluxSingleTransformerBlock,
    FluxTransformer2DModel,
    FluxTransformerBlock,
)
from torch import Tensor, nn

from cafa.models.tangoflux.blocks import TangoFluxConditioning, TangoFluxSettings
from cafa.models.tangoflux.denoiser import TangoFluxDenoiser
from cafa.models.tangoflux.transformer import DoubleBlock, SingleBlock
from tests.diffusers_layout import new_flux

SIZES = TangoFluxSettings(
    latent_channels=8,
    latents=24,
    double_blocks=2,
    single_blocks=2,
    heads=4,
    head_dim=32,
    rotary_axes=(8, 12, 12),
    text_dim=48,
    joint_dim=48,
)
WORDS = 6


def made(settings: TangoFluxSettings) -> tuple[FluxTransformer2DModel, TangoFluxDenoiser]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        theirs = new_flux(settings)
        torch.manual_seed(3)
        return theirs, TangoFluxDenoiser(settings)


def their_output(network: FluxTransformer2DModel, latents: Tensor, time: Tensor, told: TangoFluxConditioning) -> Tensor:
    mask = nn.functional.pad(told.present, (0, latents.shape[2]), value=True)[:, None, None]
    output: Tensor = network(
        hidden_states=latents.transpose(1, 2),
        encoder_hidden_states=told.context,
        pooled_projections=told.pooled,
        timestep=time.to(latents.dtype),
        img_ids=torch.arange(float(latents.shape[2]))[:, None].expand(-1, 3),
        txt_ids=torch.zeros(WORDS, 3),
        joint_attention_kwargs=None if told.complete else {"attention_mask": mask},
    ).sample
    return output.transpose(1, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("padded", [False, True])
def test_equals_diffusers(dtype: torch.dtype, padded: bool) -> None:
    theirs, ours = made(SIZES)
    assert list(theirs.state_dict()) == list(ours.transformer.state_dict())
    assert all(torch.equal(value, ours.transformer.state_dict()[name]) for name, value in theirs.state_dict().items())
    theirs.to(dtype), ours.to(dtype)
    torch.manual_seed(4)
    latents, context = torch.randn(3, 8, 24, dtype=dtype), torch.randn(3, WORDS, 48, dtype=dtype)
    present = torch.ones(3, WORDS, dtype=torch.bool)
    if padded:
        present[1, 1:-1] = present[2, 3:-1] = False
    told = TangoFluxConditioning(context, present, torch.randn(3, 48, dtype=dtype), complete=not padded)
    time = torch.tensor([0.1, 0.5, 0.9])
    expected, output = their_output(theirs, latents, time, told), ours(latents, time, told)
    assert output.dtype == dtype
    assert output.std() > 1e-2
    assert torch.equal(output, expected)
    for value in (output, expected):
        value.float().square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in ours.transformer.named_parameters()}
    for name, parameter in theirs.named_parameters():
        assert (parameter.grad is None) == (gradients[name] is None), name
        assert parameter.grad is None or torch.equal(parameter.grad, gradients[name]), name


@pytest.mark.parametrize(
    ("theirs", "ours"), [(FluxTransformerBlock, DoubleBlock), (FluxSingleTransformerBlock, SingleBlock)]
)
def test_blocks_of_an_adapter_are_drawn_as_those_of_diffusers(theirs: type[nn.Module], ours: type[nn.Module]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        expected = theirs(64, 4, 16).state_dict()
        torch.manual_seed(5)
        found = ours(64, 4, 16).state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
