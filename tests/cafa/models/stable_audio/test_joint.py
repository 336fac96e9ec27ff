import pytest
import torch
from torch import Tensor

from cafa.common.errors import InputError
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.stable_audio.denoiser import StableAudioConditioning, StableAudioSettings
from cafa.models.stable_audio.joint import JointModel

TIME = torch.linspace(0.05, 0.95, 7)


@pytest.fixture
def model(tiny_settings: StableAudioSettings) -> JointModel:
    torch.manual_seed(0)
    return JointModel(tiny_settings, AdapterSettings(feature_dim=6, hint_dim=10)).requires_grad_(False).eval()


def test_dropped_video_is_the_backbone_alone(
    model: JointModel, told: StableAudioConditioning, features: Tensor, latents: Tensor
):
    dropped = model(latents, TIME, told, features, torch.zeros(7))
    torch.testing.assert_close(dropped, model.backbone(latents, TIME, told), rtol=0, atol=1e-6)
    given = model(latents, TIME, told, features, torch.ones(7))
    assert (given - dropped).abs().amax(dim=(1, 2)).min() > 1e-3


def test_video_is_dropped_per_item(model: JointModel, told: StableAudioConditioning, features: Tensor, latents: Tensor):
    video = torch.tensor([1.0, 0, 1, 0, 1, 0, 1])
    mixed = model(latents, TIME, told, features, video)
    every = model(latents, TIME, told, features, torch.ones(7))
    torch.testing.assert_close(mixed[::2], every[::2], rtol=0, atol=1e-5)
    assert (mixed - every).abs().amax(dim=(1, 2))[1::2].min() > 1e-3


def test_more_features_than_latents_are_refused(model: JointModel, told: StableAudioConditioning, latents: Tensor):
    with pytest.raises(InputError, match="do not fit"):
        model(latents, TIME, told, torch.zeros(7, 25, 6), torch.ones(7))
