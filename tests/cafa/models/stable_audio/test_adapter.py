import copy

import pytest
import torch
from torch import Tensor

from cafa.common.errors import InputError
from cafa.diffusion.guidance import adapted_velocity
from cafa.models.adapter_parts import AdapterSettings, HintNetwork, pad_to
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioConditioning

TIME = torch.linspace(0.05, 0.95, 7)


def test_untrained_adapter_leaves_the_backbone_exactly_as_it_is(
    tiny_backbone: StableAudioBackbone,
    new_adapter: Adapter,
    told: StableAudioConditioning,
    features: Tensor,
    latents: Tensor,
):
    alone = tiny_backbone(latents, TIME, told)
    adapted = adapted_velocity(tiny_backbone, new_adapter, latents, TIME, told, features)
    assert alone.std() > 0.01
    assert torch.equal(adapted, alone)


def test_untrained_adapter_can_learn(
    tiny_backbone: StableAudioBackbone,
    new_adapter: Adapter,
    told: StableAudioConditioning,
    features: Tensor,
    latents: Tensor,
):
    adapted_velocity(tiny_backbone, new_adapter, latents, TIME, told, features).square().mean().backward()
    moved = {name for name, weight in new_adapter.named_parameters() if weight.grad is not None and weight.grad.any()}
    # the residual of every block; the rest follows once these have moved away from zero
    assert moved == {"zero_projections.0.weight", "zero_projections.1.weight"}


def test_adapter_starts_as_a_copy_of_the_backbone(tiny_backbone: StableAudioBackbone, new_adapter: Adapter):
    mine, theirs = new_adapter.blocks.state_dict(), tiny_backbone.dit.transformer_blocks.state_dict()
    assert list(mine) == list(theirs)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert all(mine[name].data_ptr() != theirs[name].data_ptr() for name in mine)
    assert torch.equal(new_adapter.project_in.weight, tiny_backbone.dit.proj_in.weight)


def test_gradient_checkpointing_changes_nothing(
    tiny_backbone: StableAudioBackbone,
    trained_adapter: Adapter,
    told: StableAudioConditioning,
    features: Tensor,
    latents: Tensor,
):
    gradients = []
    trained_adapter.requires_grad_(True)
    for recompute in (False, True):
        trained_adapter.gradient_checkpointing = tiny_backbone.gradient_checkpointing = recompute
        trained_adapter.zero_grad()
        adapted_velocity(tiny_backbone, trained_adapter, latents, TIME, told, features).square().mean().backward()
        gradients.append([weight.grad.clone() for weight in trained_adapter.parameters()])
    tiny_backbone.gradient_checkpointing = False
    assert all(torch.equal(plain, again) for plain, again in zip(*gradients, strict=True))
    assert all(gradient.any() for gradient in gradients[0])


def test_items_without_features_are_the_backbone_alone(
    tiny_backbone: StableAudioBackbone,
    trained_adapter: Adapter,
    told: StableAudioConditioning,
    features: Tensor,
    latents: Tensor,
):
    alone = tiny_backbone(latents, TIME, told)
    some = adapted_velocity(tiny_backbone, trained_adapter, latents, TIME, told, features[:3])
    every = adapted_velocity(tiny_backbone, trained_adapter, latents, TIME, told, features)
    torch.testing.assert_close(some[3:], alone[3:], rtol=0, atol=1e-5)
    torch.testing.assert_close(some[:3], every[:3], rtol=0, atol=1e-5)
    assert (every - alone).abs().amax(dim=(1, 2)).min() > 1e-2


def test_clip_features_join_after_the_first_block():
    torch.manual_seed(0)
    settings = AdapterSettings(feature_dim=6, clip_dim=6, hint_dim=10)
    both = HintNetwork(settings).eval()
    alone = HintNetwork(AdapterSettings(feature_dim=6, hint_dim=10)).eval()
    alone.load_state_dict({name: value for name, value in both.state_dict().items() if "clip" not in name})
    av_clip, clip = torch.randn(2, 5, 6), torch.randn(2, 5, 6)
    features = torch.cat([av_clip, clip], dim=-1)
    assert both(features).shape == (2, 5, 10)
    assert (both(features) - alone(av_clip)).abs().max() > 1e-2
    # a CLIP block that gives nothing leaves the AV-CLIP path
    torch.nn.init.zeros_(both.clip_norm.weight)
    torch.testing.assert_close(both(features), alone(av_clip), rtol=0, atol=1e-6)


def test_features_of_another_width_or_length_are_refused():
    network = HintNetwork(AdapterSettings(feature_dim=6, hint_dim=10))
    with pytest.raises(InputError, match="width 6, got 12"):
        network(torch.zeros(1, 5, 12))
    with pytest.raises(InputError, match="25 video features do not fit 24 latents"):
        pad_to(torch.zeros(1, 25, 8), 24)
    with pytest.raises(ValueError, match="cannot be summed"):
        AdapterSettings(feature_dim=768, clip_dim=512)


def test_short_hints_are_padded_at_the_end():
    padded = pad_to(torch.ones(2, 3, 4), 5)
    assert padded.shape == (2, 5, 4)
    assert padded[:, :3].eq(1).all()
    assert padded[:, 3:].eq(0).all()


def test_blocks_are_compiled_once_for_all_and_give_the_same_numbers(
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

    plain = adapted_velocity(tiny_backbone, trained_adapter, latents, TIME, told, features)
    network, adapter = copy.deepcopy(tiny_backbone), copy.deepcopy(trained_adapter)
    network.compile_blocks(backend)
    adapter.compile_blocks(backend)
    compiled = adapted_velocity(network, adapter, latents, TIME, told, features)
    assert torch.equal(plain, compiled)
    assert len(network.transformer_blocks()) > 1
    assert len(graphs) == 2  # one for the blocks of each network: no break in them, none compiled again
    adapted_velocity(network, adapter, latents, TIME, told, features)
    assert len(graphs) == 2
