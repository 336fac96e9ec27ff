import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from click.testing import CliRunner

from cafa.cli.samples import make
from cafa.common.errors import InputError, WeightsError
from cafa.common.files import sha256_file, write_json
from cafa.features.store import write_features
from cafa.features.text import text_id
from cafa.generation import samples
from cafa.generation.interface import Request
from cafa.generation.opening import open_generator
from cafa.generation.pretrained import PretrainedGenerator
from cafa.generation.systems import AdapterSystem, BackboneSystem, Sampling, parse_system
from cafa.generation.windows import generate_windows
from cafa.models.block_denoiser import BlockStack
from cafa.models.registry import open_text, read_card
from cafa.models.stable_audio.backbone import StableAudioOpen
from tests.tiny_pretrained import make_registered, make_trained_adapter

RATE, SAMPLES = 44100, 100
SECONDS = SAMPLES / RATE
CLIPS = [f"clip{number}" for number in range(7)]
CAPTIONS = ["a dog barks", "music", "a loud dog", "dog", "a", "loud music", "barks"]
FEATURES = 13
#: name -> system; every kind that full size knows
SYSTEMS = {
    "cafa": {"kind": "adapter", "adapter": "adapter", "asymmetric_scale": 0.5, "sampling": {"steps": 4}},
    "cafa_c": {"kind": "adapter", "adapter": "adapter_c", "sampling": {"steps": 4}},
    "cafa_tf": {"kind": "adapter", "backbone": "tangoflux", "adapter": "adapter_tf", "sampling": {"steps": 4}},
    "cafa_published": {
        "kind": "adapter",
        "adapter": "adapter_published",
        "sampling": {"preset": "official", "steps": 4, "latents": 24, "seconds": SECONDS},
    },
    "text_only": {"kind": "backbone", "sampling": {"steps": 4, "seconds": SECONDS}},
    "half": {"kind": "adapter", "sampling": {"steps": 4, "half": True}},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = make_registered(tmp_path_factory.mktemp("models"))
    make_trained_adapter(models, "adapter", seconds=SECONDS, latents=16)
    make_trained_adapter(models, "adapter_c", kinds=("av_clip", "clip"), seconds=SECONDS)
    make_trained_adapter(models, "adapter_tf", "tangoflux", seconds=SECONDS)
    return models


@pytest.fixture(scope="module")
def features(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of two data sets, one for each backbone's text states; clip6 has none of CLIP."""
    root, rng = tmp_path_factory.mktemp("features"), np.random.default_rng(0)
    video = {clip: rng.standard_normal((2, FEATURES, 8)) for clip in CLIPS}
    for backbone in ("backbone", "tangoflux"):
        card, encoder = read_card(models / backbone), open_text(models / backbone)
        states = {text_id(caption): encoder.encode([caption])[0].numpy() for caption in CAPTIONS}
        for shard in range(2):
            write_features(
                root / backbone / "text" / f"{shard}.arrow",
                ((key, value) for key, value in states.items() if int(key, 16) % 2 == shard),
                kind="text",
                shape=card["facts"]["text_shape"],
                dtype="float16",
                encoder=card["encoders"]["text"],
            )
        for number, kind in enumerate(("av_clip", "clip")):
            clips = CLIPS if kind == "av_clip" else CLIPS[:-1]
            write_features(
                root / backbone / kind / "0.arrow",
                ((clip, video[clip][number]) for clip in clips),
                kind=kind,
                shape=(FEATURES, 8),
                dtype="float16",
                encoder=read_card(models / kind)["encoders"][kind],
            )
    return root


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.parquet"
    same = {"caption_id": "own", "label": "dog", "own_label": "dog", "protocol": "matched"}
    pd.DataFrame({"clip_id": CLIPS, "caption": CAPTIONS, "own_caption": CAPTIONS, **same})[
        ["clip_id", "caption_id", "caption", "label", "own_label", "own_caption", "protocol"]
    ].to_parquet(path)
    return path


def run(name: str, models: Path, features: Path, prompts: Path, output: Path, **changes) -> pd.DataFrame:
    """`cafa samples make`, and its index."""
    settings = SYSTEMS[name] | changes
    data = features / ("tangoflux" if settings.get("backbone") == "tangoflux" else "backbone")
    arguments = {
        "--system": name,
        "--settings": json.dumps(settings),
        "--prompts": prompts,
        "--features-folder": data,
        "--models": models,
        "--clips": output,
        "--text-shards": 2,
        "--seconds": SECONDS,
        "--sample-rate": RATE,
        "--seed": 1,
        "--batch-size": 3,
        "--output-folder": output / name,
        "--index": output / f"{name}.parquet",
    }
    words = [str(word) for pair in arguments.items() for word in pair]
    result = CliRunner().invoke(make, words)
    if result.exception is not None:
        raise result.exception
    return pd.read_parquet(output / f"{name}.parquet")


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_every_system_makes_its_samples(name: str, models: Path, features: Path, prompts: Path, tmp_path: Path):
    index = run(name, models, features, prompts, tmp_path)
    assert index["clip_id"].tolist() == CLIPS
    missing = index[index["status"] != "ok"]
    assert missing["clip_id"].tolist() == (["clip6"] if name == "cafa_c" else [])
    assert set(missing["detail"]) <= {"no clip features for the clip"}
    made = index[index["status"] == "ok"]
    assert made["detail"].eq("").all()  # nothing was scaled
    assert made["seconds"].tolist() == pytest.approx([SECONDS] * len(made))
    data, rate = soundfile.read(tmp_path / name / made["file"][0], dtype="int16")
    assert (data.shape, rate) == ((SAMPLES, 2), RATE)
    assert made["sha256"][0] == sha256_file(tmp_path / name / made["file"][0])
    assert made["sha256"].nunique() == len(made)
    if name != "cafa_published":  # which measures the peak over the part that is cut as well
        assert np.abs(data.astype(int)).max() == 32767


def requests(generator: PretrainedGenerator, count: int = 7) -> list[Request]:
    rng = np.random.default_rng(1)
    width = 8 * len(generator.video_kinds)
    states = generator.backbone.encode_text(CAPTIONS).numpy()
    return [
        Request(states[number], rng.standard_normal((FEATURES, width)) if width else None, 100 + number)
        for number in range(count)
    ]


@pytest.mark.parametrize("name", ["cafa", "cafa_c", "cafa_tf", "text_only"])
def test_a_sample_does_not_depend_on_its_batch(name: str, models: Path):
    generator = open_generator(parse_system(json.dumps(SYSTEMS[name])), models)
    assert isinstance(generator, PretrainedGenerator)
    wanted = requests(generator)
    together = generator.generate(wanted)
    for number, request in enumerate(wanted):
        (alone,) = generator.generate([request])
        assert alone.dtype == np.float32
        assert np.abs(alone - together[number]).max() <= 1e-5
    assert np.abs(together[0] - together[1]).max() > 0.05


def test_the_official_preset_is_the_published_way_and_survives_the_file(
    models: Path, features: Path, prompts: Path, tmp_path: Path
):
    generator = open_generator(parse_system(json.dumps(SYSTEMS["cafa_published"])), models)
    assert isinstance(generator, PretrainedGenerator)
    assert generator.setting == StableAudioOpen.published_window.model_copy(update={"latents": 24})
    wanted = requests(generator, 2)
    expected = generate_windows(
        generator.backbone,
        torch.from_numpy(np.stack([r.text for r in wanted])),
        SECONDS,
        [100, 101],
        adapter=generator._adapter,
        features=torch.from_numpy(np.stack([r.video for r in wanted])).float(),
        setting=generator.setting,
        defaults=generator.how,
    )
    for sound, published in zip(generator.generate(wanted), expected, strict=True):
        assert published.dtype == np.int16
        soundfile.write(tmp_path / "x.flac", sound.T, RATE, subtype="PCM_16")
        assert np.array_equal(soundfile.read(tmp_path / "x.flac", dtype="int16")[0].T, published)
    with pytest.raises(InputError, match="not for tangoflux"):
        run("cafa_tf", models, features, prompts, tmp_path, sampling={"preset": "official"})
    with pytest.raises(InputError, match="makes 10 s at most"):
        run("cafa_published", models, features, prompts, tmp_path, sampling={"preset": "official", "seconds": 11})


def test_settings_over_the_backbones_own(models: Path):
    def how(system):
        return open_generator(system, models).how

    assert how(BackboneSystem()).guidance_scale == 7.0
    tango = how(BackboneSystem(backbone="tangoflux"))
    assert (tango.sampler, tango.steps, tango.guidance_scale) == ("euler", 50, 4.5)
    sampling = Sampling(steps=3, guidance_scale=2.0, sigma_min=0.3, sigma_max=80.0, eta=0.0)
    found = how(AdapterSystem(sampling=sampling, asymmetric_scale=0.25))
    assert (found.steps, found.sigma_min, found.eta, found.asymmetric_scale) == (3, 0.3, 0.0, 0.25)


def test_joined_windows_get_the_level_of_one(models: Path):
    generator = open_generator(parse_system(json.dumps(SYSTEMS["cafa"])), models)
    wanted = requests(generator, 1)
    (piece,), (sound,) = generator.pieces(wanted), generator.generate(wanted)
    assert abs(np.abs(piece).max() - 1) > 0.01
    np.testing.assert_allclose(generator.level(piece), sound, atol=1e-6)


def test_features_of_another_encoder_are_refused(models: Path, features: Path, prompts: Path, tmp_path: Path):
    mixed = tmp_path / "features"
    (mixed / "backbone").mkdir(parents=True)
    (mixed / "backbone/text").symlink_to(features / "tangoflux/text")
    with pytest.raises(InputError, match=r"text features of encoder .*flan_t5.* do not belong to the model"):
        run("text_only", models, mixed, prompts, tmp_path)
    (mixed / "backbone/text").unlink()
    (mixed / "backbone/text").symlink_to(features / "backbone/text")
    (mixed / "backbone/av_clip").symlink_to(features / "backbone/clip")
    for system in ("cafa", "cafa_published"):
        with pytest.raises(InputError, match=r"av_clip features of encoder .*clip_image.* do not belong"):
            run(system, models, mixed, prompts, tmp_path)


def test_models_that_do_not_belong_together_are_refused(models: Path, features: Path, prompts: Path, tmp_path: Path):
    with pytest.raises(InputError, match="trained on another backbone"):
        run("cafa", models, features, prompts, tmp_path, adapter="adapter_tf")
    with pytest.raises(WeightsError, match="is not a model folder"):
        run("cafa", models, features, prompts, tmp_path, adapter="nothing")
    # the encoder that a published adapter is used with must be registered
    alone = tmp_path / "models"
    alone.mkdir()
    for name in ("backbone", "adapter_published"):
        (alone / name).symlink_to(models / name)
    with pytest.raises(WeightsError, match=r"av_clip is not a model folder.*cafa models register"):
        run("cafa_published", alone, features, prompts, tmp_path)
    # text states of the encoder that the adapter was trained with
    card = read_card(models / "adapter")
    other = make_trained_adapter(models, "adapter_other", seconds=SECONDS)
    write_json(other / "card.json", read_card(other) | {"inputs": card["inputs"] | {"text": "0" * 64}})
    with pytest.raises(InputError, match="trained with text states of another encoder"):
        run("cafa", models, features, prompts, tmp_path, adapter="adapter_other")


def test_what_sounds_depend_on_is_their_generators_identity(models: Path):
    system = AdapterSystem(adapter="adapter_published", sampling=Sampling(steps=2, seconds=SECONDS))
    first = open_generator(system, models).identity
    assert open_generator(system, models).identity == first
    slower = system.model_copy(update={"sampling": Sampling(steps=3, seconds=SECONDS)})
    assert open_generator(slower, models).identity != first


@pytest.mark.parametrize("name", ["cafa", "cafa_tf", "text_only"])
def test_weights_held_in_16_bits_give_what_autocast_gives(models: Path, name: str) -> None:
    system = parse_system(SYSTEMS[name])
    system = system.model_copy(update={"sampling": system.sampling.model_copy(update={"half": True})})
    plain = PretrainedGenerator(parse_system(SYSTEMS[name]), models)
    held = PretrainedGenerator(system, models)
    assert any(p.dtype == torch.bfloat16 for p in held.backbone.denoiser.parameters())
    plain._half = True
    text = plain.backbone.encode_text(CAPTIONS[:2]).numpy()
    video = np.random.default_rng(0).standard_normal((2, FEATURES, 8)).astype(np.float32)
    requests = [Request(text[number], video[number] if plain.video_kinds else None, seed=number) for number in range(2)]
    for one, other in zip(plain.generate(requests), held.generate(requests), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["cafa", "cafa_published", "cafa_tf"])
def test_a_batch_decoded_in_a_thread_while_the_next_is_sampled_gives_the_same_bits(name: str, models: Path):
    generator = open_generator(parse_system(SYSTEMS[name]), models)
    wanted = requests(generator)
    plain = [generator.generate(wanted[:3]), generator.generate(wanted[3:])]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(generator.begin(wanted[:3]))
        second = pool.submit(generator.begin(wanted[3:]))
        found = [first.result(), second.result()]
    for one, other in zip(plain, found, strict=True):
        for sound, again in zip(one, other, strict=True):
            np.testing.assert_array_equal(sound, again)


def test_samples_for_a_gpu_are_finished_alongside(
    models: Path, features: Path, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plain = run("cafa", models, features, prompts, tmp_path / "plain")
    real = samples.make_samples
    monkeypatch.setattr(samples, "make_samples", lambda *given, **how: real(*given, **{**how, "alongside": True}))
    assert run("cafa", models, features, prompts, tmp_path / "beside").equals(plain)


def test_how_torch_computes_is_a_setting_of_pretrained_models(models: Path, monkeypatch: pytest.MonkeyPatch):
    seen = []
    original = BlockStack.pass_through

    def watched(self, *given):
        seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cuda.flash_sdp_enabled()))
        return original(self, *given)

    monkeypatch.setattr(BlockStack, "pass_through", watched)
    plain = open_generator(parse_system(SYSTEMS["cafa"]), models)
    settings = SYSTEMS["cafa"] | {"sampling": {"steps": 4, "tf32": True, "attention": "math"}}
    other = open_generator(parse_system(settings), models)
    assert other.identity == plain.identity | {"tf32": True, "attention": "math"}
    wanted = requests(plain)[:2]
    (one, _), (two, _) = plain.generate(wanted), other.generate(wanted)
    assert set(seen) == {(False, True), (True, False)}
    assert np.abs(one - two).max() < 1e-4  # the sum is formed in another order
    recorded = parse_system(SYSTEMS["cafa"]).model_dump(mode="json")["sampling"]
    assert not {"tf32", "attention", "compiled"} & set(recorded)
    with pytest.raises(ValueError, match="flash_attention"):
        Sampling(attention="fastest")
