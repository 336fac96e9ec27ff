"""The networks written here are diffusers': the same weights for a seed, outputs and gradients, bit for bit."""

from typing import Any

import pytest
import torch
from diffusers.models.embeddings import get_1d_rotary_pos_embed

from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioSettings
from cafa.models.stable_audio.transformer import rotary_angles
from tests.diffusers_layout import new_parts


def settings(**changes: int) -> StableAudioSettings:
    sizes = {"latent_channels": 8, "latents": 24, "blocks": 2, "heads": 4, "head_dim": 48, "key_value_heads": 2}
    return StableAudioSettings(**{**sizes, "text_dim": 96, "time_dim": 32, **changes})


def made(size: StableAudioSettings) -> tuple[tuple[Any, Any], StableAudioBackbone]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        theirs = new_parts(size)
        torch.manual_seed(3)
        return theirs, StableAudioBackbone(size)


def their_output(parts: tuple[Any, Any], size: StableAudioSettings, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    transformer, timing = parts
    told = timing(inputs["text"], inputs["start"], inputs["total"])
    seconds = [told.seconds_start_hidden_states, told.seconds_end_hidden_states]
    output: torch.Tensor = transformer(
        inputs["latents"],
        inputs["time"],
        torch.cat([told.text_hidden_states, *seconds], dim=1),
        torch.cat(seconds, dim=2),
        rotary_angles(size.rotary_dim, inputs["latents"].shape[2] + 1),
    ).sample
    return output


@pytest.mark.parametrize(
    ("size", "dtype"),
    [
        (settings(), torch.float32),
        (settings(), torch.bfloat16),
        (settings(key_value_heads=4, head_dim=16), torch.float32),
    ],
    ids=["float32", "bfloat16", "every_head_its_keys"],
)
def test_equals_diffusers(size: StableAudioSettings, dtype: torch.dtype) -> None:
    theirs, ours = made(size)
    for one, other in zip(theirs, (ours.dit, ours.projection), strict=True):
        assert list(one.state_dict()) == list(other.state_dict())
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
        one.to(dtype), other.to(dtype)
    inputs = {
        "latents": torch.randn(3, 8, 24, generator=torch.Generator().manual_seed(1)).to(dtype),
        "text": torch.randn(3, 5, size.text_dim, generator=torch.Generator().manual_seed(2)).to(dtype),
        "time": torch.tensor([0.1, 0.5, 0.9]),
        "start": torch.tensor([0.0, 1.0, 2.0]),
        "total": torch.tensor([3.0, 10.0, 600.0]),
    }
    expected = their_output(theirs, size, inputs)
    conditioning = ours.condition(inputs["text"], inputs["start"], inputs["total"])
    output = ours(inputs["latents"], inputs["time"], conditioning)
    assert output.dtype == dtype
    assert output.std() > 1e-2
    assert torch.equal(output, expected)
    for value in (output, expected):
        value.float().square().sum().backward()
    for one, other in zip(theirs, (ours.dit, ours.projection), strict=True):
        gradients = {name: parameter.grad for name, parameter in other.named_parameters()}
        for name, parameter in one.named_parameters():
            assert (parameter.grad is None) == (gradients[name] is None), name
            assert parameter.grad is None or torch.equal(parameter.grad, gradients[name]), name


@pytest.mark.parametrize(("channels", "positions"), [(32, 1025), (24, 7)])
def test_rotary_angles_are_those_of_diffusers(channels: int, positions: int) -> None:
    expected = get_1d_rotary_pos_embed(channels, positions, use_real=True, repeat_interleave_real=False)
    assert all(torch.equal(one, other) for one, other in zip(rotary_angles(channels, positions), expected, strict=True))
