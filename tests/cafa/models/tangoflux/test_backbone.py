import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cafa.common.errors import InputError, WeightsError
from cafa.diffusion.guidance import adapted_velocity, adapter_velocity, text_velocity
from cafa.diffusion.samplers import per_item_noise, sample_euler
from cafa.diffusion.schedules import flow_times
from cafa.generation.windows import generate_windows
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.interface import Backbone, Denoiser, VideoAdapter
from cafa.models.stable_audio.backbone import StableAudioOpen
from cafa.models.tangoflux.adapter import TangoFluxAdapter
from cafa.models.tangoflux.backbone import TangoFlux
from cafa.models.tangoflux.denoiser import TangoFluxConditioning, TangoFluxDenoiser, TangoFluxSettings
from tests.diffusers_layout import diffusers_flux
from tests.tiny_pretrained import make_tangoflux, tangoflux_settings

SMALL = tangoflux_settings()
CLOSE = {"rtol": 0, "atol": 2e-5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, layouts: dict[str, Path]) -> Path:
    """The published files of a tiny TangoFlux."""
    return make_tangoflux(tmp_path_factory.mktemp("tangoflux"), layouts["t5"])


@pytest.fixture(scope="module")
def backbone(folder: Path, layouts: dict[str, Path]) -> TangoFlux:
    return TangoFlux.load(folder, text_source=layouts["t5"])


@pytest.fixture(scope="module")
def adapter(backbone: TangoFlux) -> TangoFluxAdapter:
    torch.manual_seed(21)
    adapter = TangoFluxAdapter(SMALL, AdapterSettings(feature_dim=6, hint_dim=10)).eval()
    adapter.copy_backbone(backbone.denoiser)
    return adapter.requires_grad_(False)


@pytest.fixture
def trained(adapter: TangoFluxAdapter) -> TangoFluxAdapter:
    torch.manual_seed(22)
    trained = TangoFluxAdapter(SMALL, adapter.settings).eval().requires_grad_(False)
    trained.load_state_dict(adapter.state_dict())
    for name, weight in trained.named_parameters():
        if "projection" in name:
            torch.nn.init.normal_(weight, std=0.2)
    return trained


def pooled_mean(states: Tensor, backbone: TangoFlux) -> Tensor:
    return backbone.denoiser.pool(states.mean(1))


def test_denoiser_equals_the_published_use_of_its_transformer(backbone: TangoFlux):
    """One caption without padding, through diffusers' own forward pass."""
    assert isinstance(backbone, Backbone)
    assert isinstance(backbone.denoiser, Denoiser)
    torch.manual_seed(0)
    x, time = torch.randn(1, 4, 24), torch.tensor([0.3])
    states, mask = backbone.text.encode_padded(["a dog barks"])
    count = int(mask.sum())
    assert count == 4
    with torch.inference_mode():
        words = states[:, :count]
        context = torch.cat([words, backbone.denoiser.duration(torch.tensor([10.0]))], dim=1)
        expected = diffusers_flux(backbone.denoiser)(
            hidden_states=x.transpose(1, 2),
            timestep=time,
            pooled_projections=pooled_mean(words, backbone),
            encoder_hidden_states=context,
            txt_ids=torch.zeros(count + 1, 3),
            img_ids=torch.arange(24.0)[:, None].expand(-1, 3),
            return_dict=False,
        )[0].transpose(1, 2)
        told = backbone.condition(backbone.encode_text(["a dog barks"]), torch.tensor([10.0]))
        found = backbone.denoiser(x, time, told)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, **CLOSE)


def test_null_text_is_the_empty_caption_padded_to_the_caption(backbone: TangoFlux):
    told = backbone.condition(backbone.encode_text(["a dog barks", "music"]), torch.tensor([10.0, 5.0]))
    states, mask = backbone.text.encode_padded([""])
    assert int(mask.sum()) == 1
    assert told.null is not None
    assert torch.equal(told.null.context[:, :-1], states.expand(2, -1, -1))
    assert states[0, 2].abs().sum() > 0  # not zeroed
    assert torch.equal(told.null.present, told.present)
    assert told.present.sum(1).tolist() == [5, 3]
    with torch.inference_mode():
        torch.testing.assert_close(told.null.pooled[:1], pooled_mean(states[:, :1], backbone), **CLOSE)
        # the padding of the empty caption does not depend on how long it is
        torch.testing.assert_close(states[0, 1:], states[0, 1:2].expand(63, -1), rtol=0, atol=1e-5)
    with pytest.raises(InputError, match="the empty caption, which this conditioning does not hold"):
        told.null.joined(None)


def test_untrained_adapter_leaves_the_backbone_exactly_as_it_is(backbone: TangoFlux, adapter: TangoFluxAdapter):
    assert isinstance(adapter, VideoAdapter)
    told = backbone.condition(backbone.encode_text(["a dog barks", "music"]), torch.tensor([10.0, 5.0]))
    x, time, features = torch.randn(2, 4, 24), torch.tensor([0.3, 0.8]), torch.randn(2, 16, 6)
    with torch.inference_mode():
        alone = backbone.denoiser(x, time, told)
        assert torch.equal(adapted_velocity(backbone.denoiser, adapter, x, time, told, features), alone)


def test_residuals_are_added_as_diffusers_adds_those_of_a_controlnet(backbone: TangoFlux, trained: TangoFluxAdapter):
    torch.manual_seed(1)
    told = backbone.condition(backbone.encode_text(["a dog barks"]), torch.tensor([10.0]))
    bare = TangoFluxConditioning(told.context[:, [0, 1, 2, 3, -1]], told.present[:, [0, 1, 2, 3, -1]], told.pooled)
    x, time, features = torch.randn(1, 4, 24), torch.tensor([0.3]), torch.randn(1, 16, 6)
    denoiser = backbone.denoiser
    with torch.inference_mode():
        stream = denoiser.tokens(x, time, bare)
        controls = list(trained.controls(stream, trained.hint_of(features), torch.tensor([0.5])))
        expected = diffusers_flux(denoiser)(
            hidden_states=x.transpose(1, 2),
            timestep=time,
            pooled_projections=bare.pooled,
            encoder_hidden_states=bare.context,
            txt_ids=torch.zeros(5, 3),
            img_ids=torch.arange(24.0)[:, None].expand(-1, 3),
            controlnet_block_samples=controls[:1],
            controlnet_single_block_samples=controls[1:],
            return_dict=False,
        )[0].transpose(1, 2)
        found = adapted_velocity(denoiser, trained, x, time, bare, features, torch.tensor([0.5]))
        assert (found - denoiser(x, time, bare)).abs().max() > 0.01
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("gamma", [0, 0.5, 1])
def test_asymmetric_scale_goes_to_the_unconditional_half(backbone: TangoFlux, trained: TangoFluxAdapter, gamma: float):
    torch.manual_seed(2)
    told = backbone.condition(backbone.encode_text(["a dog barks", "music"]), torch.tensor([10.0, 5.0]))
    x, time, features = torch.randn(2, 4, 24), torch.full((2,), 0.4), torch.randn(2, 16, 6)
    with torch.inference_mode():
        conditional = adapted_velocity(backbone.denoiser, trained, x, time, told, features)
        scale = torch.full((2,), float(gamma))
        unconditional = adapted_velocity(backbone.denoiser, trained, x, time, told.null, features, scale)
        guided = adapter_velocity(backbone.denoiser, trained, told, features, 4.5, gamma)(x, time)
        expected = unconditional + 4.5 * (conditional - unconditional)
        assert (guided - expected).abs().max() <= 1e-5 * expected.abs().max()
        negative = text_velocity(backbone.denoiser, told, 3, negative=told)(x, time)
        torch.testing.assert_close(negative, backbone.denoiser(x, time, told), **CLOSE)


def test_a_clip_does_not_depend_on_its_batch(backbone: TangoFlux, trained: TangoFluxAdapter):
    captions = ["a dog barks", "music", "a loud dog", "dog", "a loud dog barks", "", "barks"]
    torch.manual_seed(3)
    features = torch.randn(7, 16, 6)

    def generate(items: list[int]) -> Tensor:
        text = backbone.encode_text([captions[item] for item in items])
        told = backbone.condition(text, torch.tensor([float(item + 3) for item in items]))
        velocity = adapter_velocity(backbone.denoiser, trained, told, features[items], 4.5, 0.5)
        start = per_item_noise(items, (4, 24), torch.device("cpu"))()
        with torch.inference_mode():
            return sample_euler(velocity, start, flow_times(4))

    together = generate(list(range(7)))
    for item in range(7):
        difference = (generate([item])[0] - together[item]).abs().max() / together[item].abs().max()
        assert difference <= 1e-5


def test_windows_are_generated_our_way_only(backbone: TangoFlux, trained: TangoFluxAdapter):
    text, how = backbone.encode_text(["a dog barks"]), replace(backbone.defaults, steps=3)
    given = {"adapter": trained, "features": torch.randn(1, 16, 6), "defaults": how}
    (sound,) = generate_windows(backbone, text, 100 / 44100, [0], **given)
    assert sound.shape == (2, 100)
    assert abs(sound).max() == pytest.approx(1)
    with pytest.raises(InputError, match="no windows with tangoflux"):
        generate_windows(backbone, text, 100 / 44100, [0], setting=StableAudioOpen.published_window, **given)


def test_text_encoder_of_the_checkpoint_is_used(backbone: TangoFlux, layouts: dict[str, Path]):
    given = load_file(layouts["t5"] / "model.safetensors")["shared.weight"]
    assert torch.equal(backbone.text.encoder.shared.weight, given * 1.5)
    assert {"tangoflux.safetensors", "vae.safetensors", "text/model.safetensors"} < set(backbone.identity["files"])


def test_foreign_and_missing_files_are_refused(folder: Path, layouts: dict[str, Path], tmp_path: Path):
    shutil.copytree(folder, tmp_path / "odd")
    tensors = load_file(folder / "tangoflux.safetensors")
    save_file(tensors | {"surprise": torch.zeros(1)}, tmp_path / "odd/tangoflux.safetensors")
    with pytest.raises(WeightsError, match="surprise is not a name of a published TangoFlux"):
        TangoFlux.load(tmp_path / "odd", text_source=layouts["t5"])
    lacking = {name: value for name, value in tensors.items() if not name.startswith("fc.")}
    save_file(lacking, tmp_path / "odd/tangoflux.safetensors")
    with pytest.raises(WeightsError, match="does not fit TangoFluxDenoiser"):
        TangoFlux.load(tmp_path / "odd", text_source=layouts["t5"])
    (tmp_path / "odd/vae.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"lacks vae\.safetensors.*run `cafa weights get tangoflux"):
        TangoFlux.load(tmp_path / "odd", text_source=layouts["t5"])


def test_default_size_is_that_of_tangoflux():
    with torch.device("meta"):
        denoiser = TangoFluxDenoiser(TangoFluxSettings())
        adapter = TangoFluxAdapter(TangoFluxSettings(), AdapterSettings())
    size = sum(weight.numel() for weight in denoiser.transformer.parameters())
    assert abs(size - 515e6) < 2e6  # the paper says 515 M
    assert len(adapter.zero_projections) == 24
