import dataclasses

import numpy as np
import pytest
import torch

from cafa.common.errors import InputError, MissingClipError
from cafa.common.files import digest_of, read_json
from cafa.features.store import FeatureStore, write_features
from cafa.features.text import text_id
from cafa.generation.interface import Request
from cafa.generation.opening import open_generator
from cafa.generation.systems import AdapterSystem, Sampling
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.folders import load_model
from cafa.models.precision import hold_linear_layers
from cafa.models.registry import open_adapter, open_backbone, read_card
from cafa.training.batches import FeatureBatches
from cafa.training.frozen_backbone import open_frozen
from cafa.training.objective import DiffusionSettings, velocity_loss
from tests.cafa.training.pretrained import FEATURES, WIDTH, PretrainedWorld, write_phase
from tests.cafa.training.tiny import loop


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> PretrainedWorld:
    return PretrainedWorld(tmp_path_factory.mktemp("pretrained"))


@pytest.mark.parametrize(("phase", "clip"), [("first", False), ("first", True), ("tf", False)])
def test_an_adapter_of_every_kind_is_trained_and_makes_sounds(pretrained, phase, clip):
    backbone = "tangoflux" if phase == "tf" else "backbone"
    name, data = f"sounds_{phase}_{clip}", pretrained.phases[phase]
    folder = pretrained.train(name, phase, clip=clip, changes={"seconds": 100 / 44100})
    adapter, card = open_adapter(folder, open_backbone(pretrained.models / backbone), "cpu")
    registered = read_card(pretrained.models / backbone)
    kinds = ["av_clip", "clip"] if clip else ["av_clip"]
    assert card["video_kinds"] == kinds
    encoders = registered["encoders"] | {k: read_card(pretrained.models / k)["encoders"][k] for k in kinds}
    assert card["inputs"] == {kind: digest_of(encoder) for kind, encoder in encoders.items()}
    assert (card["backbone_sha256"], card["backbone_model"]) == (registered["weights_sha256"], registered["model"])
    assert all(bool(layer.weight.any()) for layer in adapter.zero_projections)
    assert bool(adapter.hint_projection.weight.any())
    assert card["parameters_trained"] == sum(p.numel() for p in adapter.parameters())

    system = AdapterSystem(backbone=backbone, adapter=name, sampling=Sampling(steps=2))
    generator = open_generator(system, pretrained.models)
    stores = {"text": data.text, "av_clip": data.av_clip, **({"clip": data.clip} if clip else {})}
    assert generator.inputs == {kind: store.encoder_digest for kind, store in stores.items()}
    clip_id, caption = data.manifest.loc[0, ["clip_id", "caption"]]
    video = np.concatenate([stores[kind][clip_id] for kind in generator.video_kinds], axis=1)
    (sound,) = generator.generate([Request(data.text[text_id(caption)], video, seed=1)])
    assert sound.shape[-1] == 100
    assert np.abs(sound).max() > 0


def test_clip_features_reach_the_adapter_of_cafa_c(pretrained):
    first = load_model(pretrained.train("c_first", clip=True), "adapter")[0]
    data = pretrained.phases["first"]
    path = pretrained.folder / "other_clip.arrow"
    rng = np.random.default_rng(9)
    arrays = ((clip, rng.standard_normal((FEATURES, WIDTH))) for clip in data.manifest["clip_id"])
    write_features(path, arrays, kind="clip", shape=(FEATURES, WIDTH), dtype="float16", encoder=data.clip.encoder)
    pretrained.phases["other_clip"] = dataclasses.replace(data, clip=FeatureStore([path]))
    other = load_model(pretrained.train("c_other", "other_clip", clip=True), "adapter")[0]
    assert not torch.equal(first["hint.clip_linear.weight"], other["hint.clip_linear.weight"])


@pytest.mark.parametrize("kind", ["latents", "text"])
def test_features_of_another_encoder_than_the_backbones_are_refused(pretrained, kind):
    wrong = getattr(pretrained.phases["tf"], kind)
    pretrained.phases["wrong"] = dataclasses.replace(pretrained.phases["first"], **{kind: wrong})
    with pytest.raises(InputError, match=f"{kind} features were made by encoder .* but the backbone stable_audio_open"):
        pretrained.train("refused", "wrong")


def test_video_features_that_do_not_fit_are_refused(pretrained):
    with pytest.raises(InputError, match=r"of kind av_clip and clip .* given are av_clip"):
        pretrained.train("refused", changes={"model": AdapterSettings(feature_dim=WIDTH, clip_dim=WIDTH)})
    with pytest.raises(InputError, match="do not fit the adapter's width 9"):
        pretrained.train("refused", changes={"model": AdapterSettings(feature_dim=9)})


def test_a_short_window_must_be_asked_for(pretrained):
    data = write_phase(pretrained.models, "backbone", pretrained.folder / "long", seed=5, window=25)
    pretrained.phases["long"] = data
    with pytest.raises(InputError, match="25 latents per clip are stored, the adapter is to be trained with 24"):
        pretrained.train("refused", "long")
    model = AdapterSettings(feature_dim=WIDTH, hint_dim=12, latents=25)
    with pytest.raises(InputError, match="the backbone takes 24 at most"):
        pretrained.train("refused", "long", changes={"model": model})


@pytest.mark.parametrize("name", ["backbone", "tangoflux"])
def test_silence_follows_clips_that_are_stored_without_it(pretrained, name):
    data = write_phase(pretrained.models, name, pretrained.folder / f"short_{name}", seed=6, window=20)
    frozen = open_frozen(pretrained.models / name, torch.device("cpu"), stored=20)
    batches = FeatureBatches(data.manifest, data.latents, data.text, [data.av_clip], frozen.silence)
    audio = open_backbone(pretrained.models / name).audio
    nothing = torch.zeros(1, 2, 24 * audio.samples_per_latent)
    mean, deviation = audio.posterior(nothing)
    found = torch.cat([batches([position])["latents"] for position in range(8)])
    assert found.shape == (8, 4, 24)
    stored = data.latents.stack(data.manifest["clip_id"].tolist()).astype(np.float32)
    assert np.array_equal(found[:, :, :20].transpose(1, 2).numpy(), stored)
    noise = (found[:, :, 20:] - mean[:, :, 20:]) / deviation[:, :, 20:]
    assert 0.7 < float(noise.std()) < 1.3
    assert abs(float(noise.mean())) < 0.3
    assert torch.equal(batches([3, 5])["latents"], found[[3, 5]])
    assert open_frozen(pretrained.models / name, torch.device("cpu"), stored=20, window=20).silence is None


def test_adapters_are_trained_on_the_whole_window_or_on_a_short_one(pretrained):
    pretrained.phases["short"] = write_phase(
        pretrained.models, "backbone", pretrained.folder / "short", seed=5, window=20
    )
    whole = pretrained.train("whole_window", "short", steps=1)
    model = AdapterSettings(feature_dim=WIDTH, hint_dim=12, dropout=0.1, latents=20)
    short = pretrained.train("short_window", "short", changes={"model": model}, steps=1)
    weights = [load_model(folder, "adapter")[0] for folder in (whole, short)]
    assert not torch.equal(weights[0]["zero_projections.0.weight"], weights[1]["zero_projections.0.weight"])


def test_a_caption_without_text_states_is_an_error_before_anything_is_trained(pretrained):
    data = pretrained.phases["first"]
    manifest = data.manifest.copy()
    manifest.loc[3, "caption"] = "unheard of"
    pretrained.phases["untold"] = dataclasses.replace(data, manifest=manifest)
    with pytest.raises(MissingClipError, match="1 captions have no text states, for example 'unheard of'"):
        pretrained.train("refused", "untold")


def test_the_second_phase_starts_from_the_first_ones_average(pretrained):
    first = pretrained.train("phase1", steps=4)
    second = pretrained.train("phase2", "second", start_from=first, steps=5, accumulation=2, learning_rate=1e-12)
    one, before = load_model(first, "adapter")
    two, card = load_model(second, "adapter")
    assert all(torch.allclose(one[name], two[name], atol=1e-8) for name in one)
    assert card["start"] == {"weights_sha256": before["weights_sha256"]}
    history = [(phase["data"], phase["steps"], phase["batch"]) for phase in card["phases"]]
    assert history == [("first", 4, 3), ("second", 5, 6)]
    assert all(phase["gpu_hours"] == 0 and phase["seconds"] > 0 for phase in card["phases"])
    fresh, _ = load_model(pretrained.train("fresh", "second", steps=1, learning_rate=1e-12), "adapter")
    assert not torch.allclose(fresh["zero_projections.0.weight"], two["zero_projections.0.weight"], atol=1e-8)


def test_a_published_adapter_can_be_trained_further(pretrained):
    published = pretrained.models / "adapter_published"
    model = AdapterSettings(feature_dim=WIDTH, hint_dim=1024)
    folder = pretrained.train("further", start_from=published, changes={"model": model}, steps=1, learning_rate=1e-12)
    theirs, _ = open_adapter(published, open_backbone(pretrained.models / "backbone"), "cpu")
    ours, card = load_model(folder, "adapter")
    assert all(torch.allclose(weight, ours[name], atol=1e-8) for name, weight in theirs.state_dict().items())
    assert card["phases"][0] == {"data": "cafa_adapter", "steps": None}
    with pytest.raises(InputError, match="of another size than the settings say"):
        pretrained.train("refused", start_from=published)
    with pytest.raises(InputError, match="for stable_audio_open, not for tangoflux"):
        pretrained.train("refused", "tf", start_from=published)


def test_a_start_from_another_backbone_or_encoder_is_refused(pretrained):
    first = pretrained.train("start", steps=1)
    with pytest.raises(InputError, match=r"does not fit this TangoFluxDenoiser|trained on another backbone"):
        pretrained.train("refused", "tf", start_from=first)
    data, path = pretrained.phases["second"], pretrained.folder / "other_av_clip.arrow"
    arrays = ((clip, np.zeros((FEATURES, WIDTH))) for clip in data.manifest["clip_id"])
    write_features(path, arrays, kind="av_clip", shape=(FEATURES, WIDTH), dtype="float16", encoder={"name": "other"})
    pretrained.phases["other"] = dataclasses.replace(data, av_clip=FeatureStore([path]))
    with pytest.raises(
        InputError, match=r"av_clip features were made by encoder .*, but the adapter in .* was trained"
    ):
        pretrained.train("refused", "other", start_from=first)


@pytest.mark.parametrize("phase", ["first", "tf"])
def test_recomputing_blocks_and_16_bits_of_the_frozen_ones_change_no_number(pretrained, phase):
    plain = load_model(pretrained.train(f"plain_{phase}", phase, bf16=True, steps=2), "adapter")[0]
    changes = {"gradient_checkpointing": "all"}
    saving, card = load_model(
        pretrained.train(f"saving_{phase}", phase, bf16=True, steps=2, changes=changes), "adapter"
    )
    assert card["settings"]["gradient_checkpointing"] == "all"
    assert all(torch.equal(plain[name], saving[name]) for name in plain)


@pytest.mark.parametrize("name", ["backbone", "tangoflux"])
def test_frozen_blocks_in_16_bits_give_what_autocast_gives(pretrained, name):
    frozen = open_frozen(pretrained.models / name, torch.device("cpu"))
    channels, latents = read_card(pretrained.models / name)["facts"]["latent_shape"]
    text = torch.zeros(2, *read_card(pretrained.models / name)["facts"]["text_shape"])
    text[:, :3] = torch.randn(2, 3, text.shape[2])

    def velocity() -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        noise, time = torch.randn(2, channels, latents, generator=generator), torch.tensor([0.2, 0.7])
        conditioning = frozen.condition(text, torch.full((2,), 10.0))
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            return frozen.denoiser(noise, time, conditioning)

    before = velocity()
    hold_linear_layers(frozen.denoiser.transformer_blocks(), torch.bfloat16)
    assert frozen.denoiser.transformer_blocks()[0].state_dict()
    assert any(p.dtype == torch.bfloat16 for p in frozen.denoiser.parameters())
    assert torch.equal(before, velocity())


def test_dropped_captions_of_tangoflux_become_the_empty_caption_not_zeros(pretrained):
    frozen = open_frozen(pretrained.models / "tangoflux", torch.device("cpu"))
    text = torch.zeros(2, *read_card(pretrained.models / "tangoflux")["facts"]["text_shape"])
    text[:, :3] = 1.0
    told = frozen.condition(text, torch.full((2,), 10.0))
    dropped = told.with_dropped_text(torch.tensor([1.0, 0.0]))
    assert torch.equal(dropped.context[0], told.context[0])
    assert torch.equal(dropped.pooled[0], told.pooled[0])
    assert torch.equal(dropped.context[1], told.null.context[1])
    assert torch.equal(dropped.pooled[1], told.null.pooled[1])
    assert not torch.allclose(dropped.pooled[1], told.pooled[1])
    with pytest.raises(InputError, match="the empty caption, which this conditioning does not hold"):
        dropped.with_dropped_text(torch.ones(2))


def test_each_backbone_is_trained_on_its_own_path(pretrained):
    assert open_frozen(pretrained.models / "backbone", torch.device("cpu")).denoiser.flow_path == "cosine"
    assert open_frozen(pretrained.models / "tangoflux", torch.device("cpu")).denoiser.flow_path == "straight"


def test_the_true_velocity_of_a_straight_path_has_no_loss():
    latents = torch.full((4, 2, 3), 0.5)

    def velocity(noisy, time):  # z_t = (1 - t) z + t n and v = n - z, so v = (z_t - z) / t
        return (noisy - latents) / time.view(-1, 1, 1)

    settings, generator = DiffusionSettings(times="logit_normal"), torch.Generator().manual_seed(0)
    assert float(velocity_loss(velocity, latents, settings, generator, path="straight")) < 1e-9
    generator = torch.Generator().manual_seed(0)
    assert float(velocity_loss(velocity, latents, settings, generator, path="cosine")) > 0.1


def test_the_card_tells_what_the_run_was_on(pretrained):
    card = read_json(pretrained.train("card", steps=2) / "card.json")
    (entry,) = card["hardware"]
    assert (entry["device"], entry["kind"], entry["count"]) == ("cpu", "cpu", 1)
    assert card["gpu_seconds"] == 0
    assert entry["seconds"] == pytest.approx(card["seconds"])
    assert card["data"]["name"] == "first"
    assert loop().batch_size == card["phases"][-1]["batch"]
    assert {"torch", "diffusers"} <= card["versions"].keys()
