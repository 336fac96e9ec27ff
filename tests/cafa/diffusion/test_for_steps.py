"""What does not depend on the sampling step is made once for all steps, with the same bits."""

import copy
from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from cafa.diffusion.guidance import adapter_velocity, for_steps, published_velocity, text_velocity
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioConditioning
from cafa.models.tangoflux.blocks import TangoFluxSettings
from cafa.models.tangoflux.denoiser import TangoFluxDenoiser

TIMES = [torch.full((7,), value) for value in (0.9, 0.5, 0.2)]
TEXT_LAYERS = ("to_k", "to_v", "global_proj", "cross_attention_proj")
VIDEO_LAYERS = ("linear1", "linear2", "hint_projection")


def calls_of(network: nn.Module, calls: Counter) -> None:
    """Count the calls of layers that see nothing but the text and the timing, or nothing but the video."""
    for name, module in network.named_modules():
        own = name.rsplit(".", 1)[-1]
        if own in (*TEXT_LAYERS, *VIDEO_LAYERS) and "attn1" not in name:
            module.register_forward_pre_hook(lambda module, given, name=name: calls.update([name]))


@pytest.mark.parametrize("gamma", [0, 0.5])
@pytest.mark.parametrize("guided", [adapter_velocity, published_velocity])
def test_projections_of_text_and_video_are_made_once_a_run_with_the_same_bits(
    tiny_backbone: StableAudioBackbone,
    trained_adapter: Adapter,
    told: StableAudioConditioning,
    features: Tensor,
    latents: Tensor,
    guided,
    gamma: float,
):
    backbone, adapter, calls = copy.deepcopy(tiny_backbone), copy.deepcopy(trained_adapter), Counter()
    calls_of(backbone, calls)
    calls_of(adapter, calls)
    with torch.no_grad():
        velocity = guided(backbone, adapter, told, features, 7, gamma)
        found = [velocity(latents, time) for time in TIMES]
        assert {name.rsplit(".", 1)[-1] for name in calls} >= set(VIDEO_LAYERS)
        assert all(calls[name] == 1 for name in calls if name.rsplit(".", 1)[-1] in VIDEO_LAYERS)
        assert set(calls.values()) == {1} if gamma == 0.5 else max(calls.values()) <= 2  # halves of two sizes
        each = [guided(backbone, adapter, told, features, 7, gamma)(latents, time) for time in TIMES]
    with torch.enable_grad():  # there nothing is kept, and every step makes its own
        own = guided(backbone, adapter, told, features, 7, gamma)
        each_own = [own(latents, time).detach() for time in TIMES]
    assert all(torch.equal(one, other) for one, other in zip(found, each_own, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(found, each, strict=True))
    assert not torch.equal(found[0], found[1])


def test_another_run_makes_its_own(tiny_backbone: StableAudioBackbone, told: StableAudioConditioning, latents: Tensor):
    other = StableAudioConditioning(told.context + 1, told.timing)
    with torch.no_grad():
        first, second = (text_velocity(tiny_backbone, given, 3)(latents, TIMES[0]) for given in (told, other))
    assert (first - second).abs().max() > 1e-3


def test_nothing_is_kept_where_gradients_are_wanted(
    tiny_backbone: StableAudioBackbone, told: StableAudioConditioning, latents: Tensor
):
    backbone, calls = copy.deepcopy(tiny_backbone).requires_grad_(True), Counter()
    calls_of(backbone, calls)
    kept = for_steps(told)
    for time in TIMES:
        backbone(latents, time, kept).square().mean().backward()
    assert set(calls.values()) == {len(TIMES)}


def test_a_conditioning_that_keeps_nothing_serves_as_it_is():
    thing = object()
    assert for_steps(thing) is thing


def test_angles_of_tangoflux_are_made_once_for_a_length():
    settings = TangoFluxSettings(
        latent_channels=4, latents=12, double_blocks=1, single_blocks=1, heads=1, head_dim=8, rotary_axes=(4, 2, 2),
        text_dim=8, joint_dim=8,
    )  # fmt: skip
    torch.manual_seed(0)
    network, calls = TangoFluxDenoiser(settings).eval(), Counter()
    network.transformer.pos_embed.register_forward_pre_hook(lambda *given: calls.update(["angles"]))
    text, present = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    told = network.condition(text, present, torch.full((2,), 10.0))
    with torch.inference_mode():
        first = network(torch.ones(2, 4, 12), torch.full((2,), 0.5), told)
        again = network(torch.ones(2, 4, 12), torch.full((2,), 0.5), told)
    assert calls["angles"] == 1
    assert torch.equal(first, again)
    network(torch.ones(2, 4, 12), torch.full((2,), 0.5), told).mean().backward()  # the same angles serve training
    assert calls["angles"] == 1
    network(torch.ones(2, 4, 9), torch.full((2,), 0.5), told)
    assert calls["angles"] == 2


def test_compiled_blocks_take_what_is_kept_and_are_compiled_once(
    tiny_backbone: StableAudioBackbone,
    trained_adapter: Adapter,
    told: StableAudioConditioning,
    features: Tensor,
    latents: Tensor,
):
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]):
        graphs.append(graph)
        return graph.forward

    backbone, adapter = copy.deepcopy(tiny_backbone), copy.deepcopy(trained_adapter)
    backbone.compile_blocks(backend)
    adapter.compile_blocks(backend)
    with torch.inference_mode():
        compiled = adapter_velocity(backbone, adapter, told, features, 7, 0.5)
        plain = adapter_velocity(tiny_backbone, trained_adapter, told, features, 7, 0.5)
        assert all(torch.equal(compiled(latents, time), plain(latents, time)) for time in TIMES)
        again = adapter_velocity(backbone, adapter, told, features, 7, 0.5)
        again(latents, TIMES[0])
    assert len(graphs) == 2  # one for the blocks of each network, for all steps and runs
