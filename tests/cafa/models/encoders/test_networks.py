"""The frozen networks written here give what those of diffusers and transformers give, bit for bit."""

from typing import Any

import pytest
import torch
from diffusers import AutoencoderOobleck
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, T5Config, T5EncoderModel

from cafa.models.encoders.clip_network import ClipVision, ClipVisionSettings
from cafa.models.encoders.oobleck_network import Oobleck, OobleckSettings, Snake
from cafa.models.encoders.t5_network import T5Encoder, T5Settings

OOBLECK: dict[str, Any] = {
    "encoder_hidden_size": 16,
    "downsampling_ratios": [2, 3, 4],
    "channel_multiples": [1, 2, 3],
    "decoder_channels": 12,
    "decoder_input_channels": 8,
}
CLIP = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}


def same_weights(theirs: nn.Module, ours: nn.Module) -> None:
    """Random weights in both; their names and order are the same."""
    for name, parameter in theirs.named_parameters():
        nn.init.normal_(parameter, 0.0 if "layer_norm" not in name else 1.0, 0.2)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())


def check_equal(*outputs: tuple[Tensor, Tensor]) -> None:
    for expected, found in outputs:
        assert found.std() > 1e-2
        assert torch.equal(found, expected)


@pytest.mark.parametrize("channels", [1, 2])
@torch.inference_mode()
def test_oobleck_is_that_of_diffusers(channels: int) -> None:
    torch.manual_seed(0)
    theirs = AutoencoderOobleck(**OOBLECK, audio_channels=channels)
    ours = Oobleck(OobleckSettings(**OOBLECK, audio_channels=channels))
    same_weights(theirs, ours)
    assert ours.samples_per_latent == theirs.hop_length == 24
    sound, latents = torch.randn(2, channels, 24 * 9), torch.randn(2, 8, 9)
    posterior, (mean, deviation) = theirs.encode(sound).latent_dist, ours.posterior(sound)
    decoded = (theirs.decode(latents).sample, ours.decode(latents))
    check_equal((posterior.mean, mean), (posterior.std, deviation), decoded)


def test_a_snake_without_gradients_is_that_with_them_and_leaves_its_input() -> None:
    torch.manual_seed(0)
    snake = Snake(3)
    for parameter in snake.parameters():
        nn.init.normal_(parameter)
    given = torch.randn(2, 3, 1001)
    before, with_gradients = given.clone(), snake(given)
    with_gradients.sum().backward()
    assert snake.alpha.grad is not None
    for without in (torch.no_grad, torch.inference_mode):
        with without():
            assert torch.equal(snake(given), with_gradients.detach())
    assert torch.equal(given, before)


def test_sizes_that_are_not_named_are_those_of_diffusers() -> None:
    with torch.device("meta"):
        theirs, ours = AutoencoderOobleck(), Oobleck(OobleckSettings())
    shapes = [{name: tuple(value.shape) for name, value in net.state_dict().items()} for net in (theirs, ours)]
    assert shapes[0] == shapes[1]
    assert ours.settings.sampling_rate == theirs.config.sampling_rate
    for settings, config in ((T5Settings(), T5Config()), (ClipVisionSettings(), CLIPVisionConfig())):
        fields = settings.model_dump()
        assert fields == {name: getattr(config, name) for name in fields}


@pytest.mark.parametrize("form", ["relu", "gated-gelu"])
@pytest.mark.parametrize("padded", [False, True])
@torch.inference_mode()
def test_t5_is_that_of_transformers(form: str, padded: bool) -> None:
    torch.manual_seed(1)
    sizes = {"vocab_size": 50, "d_model": 48, "d_kv": 8, "d_ff": 64, "num_layers": 3, "num_heads": 4}
    theirs = T5EncoderModel(T5Config(**sizes, feed_forward_proj=form)).eval()
    ours = T5Encoder(T5Settings(**sizes, feed_forward_proj=form))
    same_weights(theirs, ours)
    ids, present = torch.randint(0, 50, (3, 160)), torch.ones(3, 160, dtype=torch.long)
    if padded:
        present[1, 5:] = present[2, 90:] = 0
    check_equal((theirs(ids, attention_mask=present)[0], ours(ids, present)))


@torch.inference_mode()
def test_clip_is_that_of_transformers() -> None:
    torch.manual_seed(2)
    sizes = {**CLIP, "image_size": 42, "patch_size": 14, "projection_dim": 24}
    theirs = CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes)).eval()
    ours = ClipVision(ClipVisionSettings(**sizes))
    same_weights(theirs, ours)
    pictures = torch.randn(3, 3, 42, 42)
    check_equal((theirs(pixel_values=pictures).image_embeds, ours(pictures)))


def test_clip_in_sixteen_bits_is_that_of_transformers() -> None:
    torch.manual_seed(3)
    sizes = {**CLIP, "image_size": 28, "patch_size": 14, "projection_dim": 24}
    theirs = CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes)).eval()
    ours = ClipVision(ClipVisionSettings(**sizes))
    same_weights(theirs, ours)
    pictures = torch.randn(2, 3, 28, 28)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected, found = theirs(pixel_values=pictures).image_embeds, ours(pictures)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)
