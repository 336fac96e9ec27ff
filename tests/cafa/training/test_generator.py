import numpy as np
import pytest
import torch

from cafa.common.errors import InputError, WeightsError
from cafa.common.files import sha256_file
from cafa.features.store import FeatureStore, write_features
from cafa.features.text import text_id
from cafa.generation.interface import Request
from cafa.generation.miniature import Generator
from cafa.generation.systems import AdapterSystem, BackboneSystem, JointSystem, Sampling
from cafa.models.folders import load_model
from tests.cafa.training.tiny import FEATURE, LATENTS, SECONDS

SAMPLING = Sampling(steps=6, guidance_scale=3.0)
SYSTEMS = [AdapterSystem(sampling=SAMPLING), BackboneSystem(sampling=SAMPLING), JointSystem(sampling=SAMPLING)]


def requests(world) -> list[Request]:
    rows = world.manifest.itertuples()
    return [Request(world.text[text_id(r.caption)], world.video[r.clip_id], 100 + i) for i, r in enumerate(rows)][:7]


def test_training_the_adapter_does_not_touch_the_backbone(world):
    before = sha256_file(world.folder / "backbone" / "model.safetensors")
    world.adapter("another", steps=3)
    assert sha256_file(world.folder / "backbone" / "model.safetensors") == before
    _, card = load_model(world.folder / "another", "adapter")
    assert card["backbone_sha256"] == before
    weights, _ = load_model(world.folder / "another", "adapter")
    assert any(bool(weights[name].any()) for name in weights if name.startswith("zero_projections"))


@pytest.mark.parametrize("kind", ["backbone", "adapter", "joint"])
def test_training_is_the_same_every_time_and_resumes_exactly(world, kind, monkeypatch):
    again = getattr(world, kind)(f"{kind}_again")
    first, _ = load_model(world.folder / kind, load_model_kind(world, kind))
    second, _ = load_model(again, load_model_kind(world, kind))
    assert all(torch.equal(first[name], second[name]) for name in first)


def load_model_kind(world, kind: str) -> str:
    return {"backbone": "stable_audio_backbone"}.get(kind, kind)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: s.kind)
def test_a_sample_does_not_depend_on_its_batch(world, system):
    generator = Generator(system, world.folder)
    together = generator.latents(requests(world))
    alone = np.concatenate([generator.latents([request]) for request in requests(world)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-2


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: s.kind)
def test_the_same_batch_gives_the_same_bits(world, system):
    generator = Generator(system, world.folder)
    assert np.array_equal(generator.latents(requests(world)), generator.latents(requests(world)))


def test_generated_sound_has_the_length_of_training(world):
    generator = Generator(SYSTEMS[0], world.folder)
    (sound,) = generator.generate(requests(world)[:1])
    assert sound.dtype == np.float32
    assert len(sound) / generator.sample_rate == pytest.approx(SECONDS)
    assert np.abs(sound).max() <= 0.99 + 1e-6


def test_gamma_changes_the_sample_and_one_is_plain_guidance(world):
    def latents(gamma):
        system = AdapterSystem(sampling=SAMPLING, asymmetric_scale=gamma)
        return Generator(system, world.folder).latents(requests(world)[:2])

    assert np.abs(latents(0.5) - latents(1.0)).max() > 1e-4


def test_video_features_of_another_width_or_encoder_are_refused(world, tmp_path):
    path = tmp_path / "latents.arrow"
    clips = world.manifest["clip_id"].tolist()
    arrays = ((c, np.zeros((LATENTS, 4))) for c in clips)
    write_features(path, arrays, kind="latents", shape=(LATENTS, 4), dtype="float16", encoder={"name": "another"})
    original, world.latents = world.latents, FeatureStore([path])
    try:
        with pytest.raises(InputError, match="trained with digest"):
            world.adapter("refused")
    finally:
        world.latents = original
    wide = tmp_path / "video.arrow"
    arrays = ((c, np.zeros((LATENTS, FEATURE + 1))) for c in clips)
    write_features(
        wide, arrays, kind="av_clip", shape=(LATENTS, FEATURE + 1), dtype="float16", encoder={"name": "random"}
    )
    original, world.video = world.video, FeatureStore([wide])
    try:
        with pytest.raises(InputError, match="feature_dim"):
            world.adapter("refused")
    finally:
        world.video = original


def test_an_adapter_of_another_backbone_is_refused(world):
    world.backbone("backbone2", steps=2)
    with pytest.raises(InputError, match="trained on another backbone"):
        Generator(AdapterSystem(sampling=SAMPLING, backbone="backbone2"), world.folder)


def test_weights_that_are_not_those_of_the_card_are_refused(world, tmp_path):
    import shutil

    shutil.copytree(world.folder / "joint", tmp_path / "joint")
    with open(tmp_path / "joint" / "model.safetensors", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    with pytest.raises(WeightsError, match="not what its card says"):
        load_model(tmp_path / "joint", "joint")
    with pytest.raises(WeightsError, match="wanted 'adapter'"):
        load_model(world.folder / "joint", "adapter")
    with pytest.raises(WeightsError, match="not a model folder"):
        load_model(tmp_path / "nothing", "joint")


def test_the_card_tells_the_loss_on_clips_that_were_not_trained_on(world):
    assert "validation_loss" not in load_model(world.folder / "joint", "joint")[1]
    original = world.manifest
    world.manifest = original.assign(split=["train"] * 6 + ["validation"] * 2)
    try:
        _, card = load_model(world.joint("with_validation", steps=3), "joint")
    finally:
        world.manifest = original
    assert (card["clips"], card["validation_clips"]) == (6, 2)
    assert 0.2 < card["validation_loss"] < 5
