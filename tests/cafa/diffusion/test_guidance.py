import pytest
import torch
from torch import Tensor

from cafa.diffusion.guidance import (
    adapted_velocity,
    adapter_velocity,
    guide,
    joint_velocity,
    published_velocity,
    text_velocity,
)
from cafa.diffusion.samplers import per_item_noise, sample_dpmpp_3m_sde
from cafa.diffusion.schedules import denoiser_of_velocity, polyexponential_sigmas
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioConditioning, StableAudioSettings
from cafa.models.stable_audio.joint import JointModel

TIME = torch.linspace(0.05, 0.95, 7)
CLOSE = {"rtol": 0, "atol": 2e-5}


def test_scale_one_is_plain_guidance(
    tiny_backbone: StableAudioBackbone,
    trained_adapter: Adapter,
    told: StableAudioConditioning,
    features: Tensor,
    latents: Tensor,
):
    conditional = adapted_velocity(tiny_backbone, trained_adapter, latents, TIME, told, features)
    unconditional = adapted_velocity(tiny_backbone, trained_adapter, latents, TIME, told.null_text(), features)
    plain = unconditional + 7 * (conditional - unconditional)
    guided = adapter_velocity(tiny_backbone, trained_adapter, told, features, 7, 1)(latents, TIME)
    torch.testing.assert_close(guided, plain, **CLOSE)
    other = adapter_velocity(tiny_backbone, trained_adapter, told, features, 7, 0.5)(latents, TIME)
    assert (other - plain).abs().max() > 1e-2


@pytest.mark.parametrize("gamma", [0, 0.5])
def test_asymmetric_scale_weakens_the_adapter_in_the_unconditional_half_only(
    tiny_backbone: StableAudioBackbone,
    trained_adapter: Adapter,
    told: StableAudioConditioning,
    features: Tensor,
    latents: Tensor,
    gamma: float,
):
    conditional = adapted_velocity(tiny_backbone, trained_adapter, latents, TIME, told, features)
    scale = torch.full((7,), gamma)
    null = told.null_text()
    unconditional = adapted_velocity(tiny_backbone, trained_adapter, latents, TIME, null, features, scale)
    guided = adapter_velocity(tiny_backbone, trained_adapter, told, features, 7, gamma)(latents, TIME)
    torch.testing.assert_close(guided, unconditional + 7 * (conditional - unconditional), **CLOSE)


def test_scale_zero_does_not_run_the_adapter_for_the_unconditional_half(
    tiny_backbone: StableAudioBackbone,
    trained_adapter: Adapter,
    told: StableAudioConditioning,
    features: Tensor,
    latents: Tensor,
):
    seen = []
    trained_adapter.blocks[0].attn1.register_forward_hook(lambda module, given, result: seen.append(len(result)))
    adapter_velocity(tiny_backbone, trained_adapter, told, features, 7, 0)(latents, TIME)
    adapter_velocity(tiny_backbone, trained_adapter, told, features, 7, 0.5)(latents, TIME)
    assert seen == [7, 14]


def test_no_guidance_gives_every_item_the_whole_adapter(
    tiny_backbone: StableAudioBackbone,
    trained_adapter: Adapter,
    told: StableAudioConditioning,
    features: Tensor,
    latents: Tensor,
):
    whole = adapted_velocity(tiny_backbone, trained_adapter, latents, TIME, told, features)
    for gamma in (0, 0.5, 1):
        guided = adapter_velocity(tiny_backbone, trained_adapter, told, features, 1, gamma)(latents, TIME)
        torch.testing.assert_close(guided, whole, **CLOSE)


def test_published_code_halves_the_adapter_for_half_of_the_batch_without_guidance(
    tiny_backbone: StableAudioBackbone,
    trained_adapter: Adapter,
    told: StableAudioConditioning,
    features: Tensor,
    latents: Tensor,
):
    whole = adapted_velocity(tiny_backbone, trained_adapter, latents, TIME, told, features)
    published = published_velocity(tiny_backbone, trained_adapter, told, features, 1, 1)(latents, TIME)
    torch.testing.assert_close(published[:3], whole[:3], **CLOSE)
    assert (published - whole).abs().amax(dim=(1, 2))[3:].min() > 1e-3


def test_skipping_the_cross_attention_of_the_null_text_is_exact(
    tiny_backbone: StableAudioBackbone,
    trained_adapter: Adapter,
    told: StableAudioConditioning,
    features: Tensor,
    latents: Tensor,
):
    nothing = StableAudioConditioning(told.context[:0], told.timing)
    computed = adapted_velocity(tiny_backbone, trained_adapter, latents, TIME, told.null_text(), features)
    skipped = adapted_velocity(tiny_backbone, trained_adapter, latents, TIME, nothing, features)
    assert torch.equal(skipped, computed)
    # in a guided pass only the grouping of the other half's rows differs
    fast = adapter_velocity(tiny_backbone, trained_adapter, told, features, 7, 0.5)(latents, TIME)
    plain = published_velocity(tiny_backbone, trained_adapter, told, features, 7, 0.5)(latents, TIME)
    torch.testing.assert_close(fast, plain, **CLOSE)


def test_null_text_is_not_computed(tiny_backbone: StableAudioBackbone, told: StableAudioConditioning, latents: Tensor):
    seen = []
    hook = tiny_backbone.dit.transformer_blocks[0].attn2.register_forward_hook(
        lambda module, given, result: seen.append(len(result))
    )
    text_velocity(tiny_backbone, told, 7)(latents, TIME)
    text_velocity(tiny_backbone, told, 7, negative=told)(latents, TIME)
    hook.remove()
    assert seen == [7, 14]


def test_negative_prompt_takes_the_place_of_the_null_text(
    tiny_backbone: StableAudioBackbone, told: StableAudioConditioning, latents: Tensor
):
    negative = StableAudioConditioning(told.context.flip(0), told.timing)
    guided = text_velocity(tiny_backbone, told, 3, negative=negative)(latents, TIME)
    against = tiny_backbone(latents, TIME, negative)
    torch.testing.assert_close(guided, against + 3 * (tiny_backbone(latents, TIME, told) - against), **CLOSE)
    same = text_velocity(tiny_backbone, told, 3, negative=told)(latents, TIME)
    torch.testing.assert_close(same, tiny_backbone(latents, TIME, told), **CLOSE)


def test_guidance_calls_the_model_once_per_step():
    calls = []

    def halves(x: Tensor, time: Tensor, conditioning: StableAudioConditioning) -> Tensor:
        calls.append(len(x))
        return x

    nothing = StableAudioConditioning(torch.zeros(2, 1, 1), torch.zeros(2, 1))
    guide(halves, nothing, None, 3)(torch.ones(2, 1, 1), torch.ones(2))
    guide(halves, nothing, None, 1)(torch.ones(2, 1, 1), torch.ones(2))
    assert calls == [4, 2]


def test_a_clip_does_not_depend_on_its_batch(
    tiny_backbone: StableAudioBackbone, trained_adapter: Adapter, told: StableAudioConditioning, features: Tensor
):
    sigmas = polyexponential_sigmas(6, 0.5, 500)

    def generate(items: list[int]) -> Tensor:
        conditioning = StableAudioConditioning(told.context[items], told.timing[items])
        velocity = adapter_velocity(tiny_backbone, trained_adapter, conditioning, features[items], 7, 0.5)
        draw = per_item_noise([100 + item for item in items], (4, 24), torch.device("cpu"))
        start = draw() * sigmas[0]
        return sample_dpmpp_3m_sde(denoiser_of_velocity(velocity), start, sigmas, lambda step: draw())

    together = generate(list(range(7)))
    for item in range(7):
        # relative to the largest value, as sound is to full scale
        difference = (generate([item])[0] - together[item]).abs().max() / together[item].abs().max()
        assert difference <= 1e-5
    assert (together[0] - together[1]).abs().max() > 0.1


def test_joint_guidance_contrasts_text_and_video_with_neither(
    tiny_settings: StableAudioSettings, told: StableAudioConditioning, features: Tensor, latents: Tensor
):
    torch.manual_seed(6)
    model = JointModel(tiny_settings, AdapterSettings(feature_dim=6, hint_dim=10)).requires_grad_(False).eval()
    both = model(latents, TIME, told, features, torch.ones(7))
    neither = model(latents, TIME, told.null_text(), features, torch.zeros(7))
    guided = joint_velocity(model, told, features, 2.5)(latents, TIME)
    torch.testing.assert_close(guided, neither + 2.5 * (both - neither), **CLOSE)
