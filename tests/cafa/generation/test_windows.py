from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cafa.common.errors import InputError
from cafa.diffusion.guidance import published_velocity
from cafa.diffusion.samplers import FlowModel
from cafa.diffusion.schedules import FLOW_PATHS
from cafa.generation.windows import MARGIN, OURS, generate_windows, normalise_and_crop, sample_latents
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.encoders.oobleck import OobleckAudio
from cafa.models.encoders.oobleck_network import OobleckSettings
from cafa.models.interface import SamplingDefaults
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.backbone import StableAudioOpen
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioConditioning
from cafa.models.stable_audio.published_adapter import load_published_adapter
from cafa.parity.cases import denoiser_with_adapter
from cafa.parity.golden import GoldenArrays, read_golden_arrays
from tests.tiny_pretrained import REAL, stable_audio_parts

CAPTIONS = ["a dog barks", "music", "a loud dog", "dog", "a", "loud music", "barks"]
SECONDS = 100 / 44100


@pytest.fixture(scope="module")
def backbone(layouts: dict[str, Path]) -> StableAudioOpen:
    return StableAudioOpen.load(layouts["diffusers"])


@pytest.fixture(scope="module")
def adapter(backbone: StableAudioOpen, layouts: dict[str, Path]) -> Adapter:
    return load_published_adapter(layouts["adapter"], backbone.denoiser.settings)[0]


@pytest.fixture(scope="module")
def text(backbone: StableAudioOpen) -> Tensor:
    return backbone.encode_text(CAPTIONS)


@pytest.fixture
def video() -> Tensor:
    return torch.randn(7, 13, 768, generator=torch.Generator().manual_seed(0))


FAST = {"steps": 4, "guidance_scale": 3.0}


def test_a_sample_does_not_depend_on_its_batch(
    backbone: StableAudioOpen, adapter: Adapter, text: Tensor, video: Tensor
):
    how = replace(backbone.defaults, **FAST)
    together = generate_windows(backbone, text, SECONDS, range(7), adapter=adapter, features=video, defaults=how)
    for item in range(7):
        rows = slice(item, item + 1)
        (alone,) = generate_windows(
            backbone, text[rows], SECONDS, [item], adapter=adapter, features=video[rows], defaults=how
        )
        assert alone.shape == (2, 100)
        assert np.abs(alone - together[item]).max() <= 1e-5
    assert np.abs(together[0] - together[1]).max() > 0.05


def test_official_setting_is_what_the_published_code_does(
    backbone: StableAudioOpen, adapter: Adapter, text: Tensor, video: Tensor
):
    how = replace(backbone.defaults, **FAST)
    setting = StableAudioOpen.published_window.model_copy(update={"latents": 24})
    found = generate_windows(
        backbone, text[:2], SECONDS, [5, 6], adapter=adapter, features=video[:2], setting=setting, defaults=how
    )
    told = backbone.condition(text[:2], torch.full((2,), 10.0))
    velocity = published_velocity(backbone.denoiser, adapter, told, video[:2], 3.0, 0.5)
    model = FlowModel(velocity, FLOW_PATHS["cosine"])
    sampled = sample_latents(model, [5, 6], (4, 24), how, torch.device("cpu"))
    for pcm, latents in zip(found, sampled, strict=True):
        waveform = backbone.decode_audio(latents[None])[0]
        expected = (waveform / (waveform.abs().max() + 1e-8)).clamp(-1, 1).mul(32767).to(torch.int16)[:, :100]
        assert pcm.dtype == np.int16
        assert np.array_equal(pcm, expected.numpy())
    assert StableAudioOpen.published_window.latents == 1024


class GoldenBackbone:
    """The golden denoiser behind the interface of a backbone: the decoder gives the latents themselves."""

    name, sample_rate, samples_per_latent = "stable_audio_open", 1, 1
    defaults, published_window = SamplingDefaults("dpmpp_3m_sde"), StableAudioOpen.published_window

    def __init__(self, golden: GoldenArrays, denoiser: StableAudioBackbone) -> None:
        self.denoiser, self.golden = denoiser, golden
        self.latent_channels, self.latents = golden.tensor("x").shape[1:]

    def condition(self, text: Tensor, seconds: Tensor) -> StableAudioConditioning:
        assert seconds.tolist() == [10.0]
        return StableAudioConditioning(text, self.golden.tensor("glob"))

    def decode_audio(self, latents: Tensor) -> Tensor:
        return latents


def test_official_setting_follows_the_golden_trajectory(golden_generator: Path, monkeypatch: pytest.MonkeyPatch):
    """From the stored noise to the end, through the same function as every sample."""
    golden = read_golden_arrays(golden_generator / "tiny_sampler.json")
    about, hint = golden.about, golden.tensor("hint")
    denoiser, adapter = denoiser_with_adapter(golden, golden.tensor("x").shape[2], hint.shape[2])
    how = SamplingDefaults(
        "dpmpp_3m_sde", about["steps"], about["cfg_scale"], about["asym_cfg"], about["sigma_min"], about["sigma_max"]
    )
    stored = iter([golden.tensor("x"), *golden.tensor("sde_noise")])
    monkeypatch.setattr("cafa.generation.windows.per_item_noise", lambda *given: lambda: next(stored))
    # the peak is not measured, since there is no sound: the latents themselves are compared
    setting = StableAudioOpen.published_window.model_copy(
        update={"latents": None, "peak": "none", "samples": "float32"}
    )
    (final,) = generate_windows(
        GoldenBackbone(golden, denoiser),
        golden.tensor("cross"),
        float(golden.tensor("x").shape[2]),
        [0],
        adapter=adapter,
        features=hint,
        setting=setting,
        defaults=how,
    )
    expected = golden.tensor("sde_final")[0].numpy()
    assert np.abs(final - expected).max() <= 1e-5 * np.abs(expected).max()


def test_without_guidance_only_the_official_setting_halves_the_adapter(
    backbone: StableAudioOpen, adapter: Adapter, text: Tensor, video: Tensor
):
    how = replace(backbone.defaults, steps=3, guidance_scale=1.0)

    def first(setting: str, items: int) -> np.ndarray:
        chosen = StableAudioOpen.published_window if setting == "official" else OURS
        # only the treatment of the adapter differs here
        chosen = OURS.model_copy(update={"published_guidance": chosen.published_guidance})
        return generate_windows(
            backbone,
            text[:items],
            SECONDS,
            range(items),
            adapter=adapter,
            features=video[:items],
            setting=chosen,
            defaults=how,
        )[0]

    np.testing.assert_allclose(first("ours", 1), first("ours", 2), atol=1e-5)
    np.testing.assert_allclose(first("official", 2), first("ours", 2), atol=1e-5)
    assert np.abs(first("official", 1) - first("official", 2)).max() > 1e-2


def test_window_is_the_one_the_adapter_was_trained_with(
    backbone: StableAudioOpen, text: Tensor, monkeypatch: pytest.MonkeyPatch
):
    seen: list[int] = []
    decode = backbone.audio.decode
    monkeypatch.setattr(backbone.audio, "decode", lambda latents: seen.append(latents.shape[2]) or decode(latents))
    how = replace(backbone.defaults, **FAST)
    for latents in (None, 16):
        settings = AdapterSettings(feature_dim=6, hint_dim=10, latents=latents)
        adapter = Adapter(backbone.denoiser.settings, settings).requires_grad_(False).eval()
        generate_windows(
            backbone, text[:1], SECONDS, [0], adapter=adapter, features=torch.randn(1, 16, 6), defaults=how
        )
    generate_windows(backbone, text[:1], SECONDS, [0], defaults=how)
    assert seen == [24, 16, 24]


def test_half_precision_is_close(backbone: StableAudioOpen, adapter: Adapter, text: Tensor, video: Tensor):
    how = replace(backbone.defaults, **FAST)
    full, half = (
        generate_windows(
            backbone, text[:2], SECONDS, [0, 1], adapter=adapter, features=video[:2], defaults=how, half=half
        )
        for half in (False, True)
    )
    for exact, close in zip(full, half, strict=True):
        assert close.dtype == np.float32
        assert 0 < np.abs(exact - close).max() < 0.2


def test_negative_prompt_changes_the_sound(backbone: StableAudioOpen, text: Tensor):
    how = replace(backbone.defaults, **FAST)
    (plain,) = generate_windows(backbone, text[:1], SECONDS, [0], defaults=how)
    (negative,) = generate_windows(backbone, text[:1], SECONDS, [0], negative=text[1:2], defaults=how)
    assert np.abs(plain - negative).max() > 1e-4  # rounding is below 1e-6


def test_peak_and_samples_of_both_settings():
    waveform = np.array([[0.5, -0.25, 0.1, 2.0], [0.0, 0.125, 0.0, -1.0]], np.float32)
    ours, official = (
        normalise_and_crop(waveform, 3, OURS),
        normalise_and_crop(waveform, 3, StableAudioOpen.published_window),
    )
    np.testing.assert_allclose(ours, waveform[:, :3] / 0.5, rtol=1e-6)
    assert official.tolist() == [[8191, -4095, 1638], [0, 2047, 0]]  # truncated, and scaled by the discarded 2.0
    assert not normalise_and_crop(np.zeros((2, 4), np.float32), 3, OURS).any()


def test_what_is_kept_does_not_depend_on_latents_beyond_the_margin():
    """The tiny decoder has the published strides and kernels, so it sees as far as the published one."""
    network = stable_audio_parts(REAL)[1]
    settings = OobleckSettings.model_validate(dict(network.config))
    audio = OobleckAudio.from_tensors(settings, network.state_dict(), Path())
    latents = torch.randn(1, 4, 60, generator=torch.Generator().manual_seed(3))
    whole = audio.decode(latents)[..., : 8 * 2048]
    cut = audio.decode(latents[..., : 8 + MARGIN])[..., : 8 * 2048]
    assert (whole - cut).abs().max() <= 1e-6 * whole.abs().max()
    without = audio.decode(latents[..., :8])
    assert (whole - without).abs().max() > 1e-4 * whole.abs().max()


def test_bad_requests_are_refused(backbone: StableAudioOpen, adapter: Adapter, text: Tensor, video: Tensor):
    with pytest.raises(InputError, match="numbers of items differ"):
        generate_windows(backbone, text[:2], SECONDS, [0])
    with pytest.raises(InputError, match="needs video features"):
        generate_windows(backbone, text[:1], SECONDS, [0], adapter=adapter)
    with pytest.raises(InputError, match=r"24 latents holds 0\.00 s, 1 s are wanted"):
        generate_windows(backbone, text[:1], 1, [0])
    with pytest.raises(InputError, match="use more latents"):
        normalise_and_crop(np.zeros((2, 4), np.float32), 5, OURS)
