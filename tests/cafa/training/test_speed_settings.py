"""Settings that make steps faster or cheaper: what they change, and that they change nothing while they are off."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from cafa.common.devices import arithmetic
from cafa.common.errors import InputError
from cafa.diffusion.guidance import adapted_velocity
from cafa.features.store import FeatureStore, write_features
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.block_denoiser import BlockStack
from cafa.models.folders import load_model
from cafa.models.registry import read_card
from cafa.models.stable_audio.denoiser import StableAudioBackbone
from cafa.training.activation_memory import CHOICES, USABLE, choose, held_bytes
from cafa.training.adapter import AdapterTraining, choose_recomputed, recompute
from cafa.training.batches import DeviceBatches, FeatureBatches
from cafa.training.distributed import Share
from cafa.training.frozen_backbone import open_frozen
from cafa.training.generator import TrainingData, TrainingRun
from cafa.training.objective import DiffusionSettings, draw_noise, velocity_loss
from cafa.training.silence import Silence
from tests.cafa.training.pretrained import PretrainedWorld
from tests.cafa.training.test_resume import killed, same
from tests.cafa.training.tiny import CHANNELS, LATENTS, MODEL, SECONDS, VIDEO, TinyWorld, loop

ON_DEVICE = {"objective": {"noise_on": "device"}}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyWorld:
    world = TinyWorld(tmp_path_factory.mktemp("speed"))
    world.backbone()
    world.adapter("plain")
    return world


def weights(folder) -> dict[str, torch.Tensor]:
    return load_model(folder, "adapter")[0]


def largest_difference(one, other) -> float:
    one, other = weights(one), weights(other)
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def test_settings_at_their_default_are_not_recorded():
    training = AdapterTraining(loop=loop(), seconds=SECONDS, model=VIDEO)
    recorded = training.model_dump(mode="json")
    assert set(recorded) == {
        "loop",
        "objective",
        "split",
        "seconds",
        "read_ahead",
        "tensorboard",
        "model",
        "gradient_checkpointing",
    }
    assert set(recorded["objective"]) == {"times", "caption_dropout", "video_dropout"}
    assert not {"tf32", "attention", "fused"} & set(recorded["loop"])
    chosen = AdapterTraining(
        loop=loop(tf32=True, attention="math", fused=True),
        seconds=SECONDS,
        model=VIDEO,
        residual="float32",
        **ON_DEVICE,
    )
    assert AdapterTraining.model_validate(chosen.model_dump(mode="json")) == chosen


def test_tf32_and_the_way_of_attention_hold_in_their_block_alone():
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cuda.flash_sdp_enabled()
    with arithmetic(tf32=True, attention="math"):
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cuda.math_sdp_enabled()
        assert not torch.backends.cuda.flash_sdp_enabled()
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cuda.flash_sdp_enabled()
    with arithmetic():
        assert torch.backends.cuda.flash_sdp_enabled()
        assert not torch.backends.cuda.matmul.allow_tf32


def test_training_computes_as_its_settings_say(tiny, monkeypatch):
    seen = []
    original = BlockStack.pass_through

    def watched(self, *given):
        seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cuda.flash_sdp_enabled()))
        return original(self, *given)

    monkeypatch.setattr(BlockStack, "pass_through", watched)
    folder = tiny.adapter("math", attention="math", tf32=True)
    assert set(seen) == {(True, False)}
    assert 0 < largest_difference(folder, tiny.folder / "plain") < 1e-3  # AdamW divides by small moments


def test_the_fused_optimiser_is_the_same_to_rounding_and_resumes_exactly(tiny):
    fused = tiny.adapter("fused", fused=True)
    assert 0 < largest_difference(fused, tiny.folder / "plain") < 1e-5
    killed(tiny, 3, "fused_cut", fused=True)
    assert same(fused, tiny.adapter("fused_cut", fused=True))


def test_noise_of_the_device_is_another_stream_that_nothing_else_changes(tiny):
    there = tiny.adapter("there", settings=ON_DEVICE)
    assert largest_difference(there, tiny.folder / "plain") > 1e-4
    assert same(there, tiny.adapter("there_unread", settings=ON_DEVICE, read_ahead=0))
    killed(tiny, 3, "there_cut", settings=ON_DEVICE)
    assert same(there, tiny.adapter("there_cut", settings=ON_DEVICE))


def test_every_process_draws_its_part_of_the_noise_of_the_whole_batch():
    def noise(share: Share) -> torch.Tensor:
        return draw_noise((4, 2, 3), torch.Generator().manual_seed(5), CPU, "device", share)

    whole = noise(Share())
    assert torch.equal(torch.cat([noise(Share(rank, 2)) for rank in (0, 1)]), whole)
    assert whole.std() > 0.5
    assert not torch.equal(whole, draw_noise((4, 2, 3), torch.Generator().manual_seed(5), CPU, "cpu"))


def test_silence_drawn_on_the_device_belongs_to_the_clip():
    rng = np.random.default_rng(0)
    silence = Silence(rng.standard_normal((2, 9)).astype(np.float32), np.full((2, 9), 0.5, np.float32))
    latents = torch.from_numpy(rng.standard_normal((3, 2, 4)).astype(np.float32))
    whole = silence.behind(latents, ["a", "b", "c"])
    assert whole.shape == (3, 2, 9)
    assert torch.equal(whole[:, :, :4], latents)
    assert torch.equal(silence.behind(latents[1:2], ["b"])[0], whole[1])
    noise = (whole[:, :, 4:] - torch.from_numpy(silence.mean[:, 4:])) / 0.5
    assert 0.5 < noise.std() < 1.5
    assert len({float(tail[0, 0]) for tail in noise}) == 3
    on_host = silence.after(latents.numpy(), ["a", "b", "c"])
    assert not np.array_equal(on_host, whole.numpy())


def test_an_adapter_learns_from_windows_whose_silence_is_drawn_on_the_device(tmp_path):
    world = PretrainedWorld(tmp_path)
    phase = world.phases["first"]
    clips, short = phase.manifest["clip_id"].tolist(), phase.latents.shape[0] - 5
    arrays = [(clip, phase.latents[clip][:short]) for clip in clips]
    write_features(
        tmp_path / "short.arrow",
        arrays,
        kind="latents",
        shape=(short, phase.latents.shape[1]),
        dtype="float16",
        encoder=phase.latents.encoder,
    )
    world.phases["first"] = replace(phase, latents=FeatureStore([tmp_path / "short.arrow"]))
    one = world.train("one", changes=ON_DEVICE)
    other = world.train("other", changes={**ON_DEVICE, "read_ahead": 0})
    host = world.train("host")
    assert same(one, other)
    assert largest_difference(one, host) > 1e-4


def test_features_are_sent_as_they_are_stored(tiny):
    rows = pd.DataFrame(tiny.manifest)
    features = FeatureBatches(rows, tiny.latents, tiny.text, [tiny.video])
    stored = features.stored([2, 0])
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    plain = features([2, 0])
    assert {tensor.dtype for tensor in plain.values()} == {torch.float32}
    expected = np.stack([tiny.latents[clip].astype(np.float32).T for clip in ("clip2", "clip0")])
    assert np.array_equal(plain["latents"].numpy(), expected)
    sent = DeviceBatches(features, torch.device("meta")).send(
        DeviceBatches(features, torch.device("meta")).read([2, 0])
    )
    assert {(tensor.dtype, tensor.device.type) for tensor in sent.values()} == {(torch.float32, "meta")}


def test_auto_runs_no_block_again_on_a_cpu_and_the_card_says_so(tiny):
    folder = tiny.adapter("auto", gradient_checkpointing="auto")
    assert same(folder, tiny.folder / "plain")
    assert read_card(folder)["chosen"] == {"gradient_checkpointing": "none", "needed_gb": {}, "free_gb": None}
    assert "chosen" not in read_card(tiny.folder / "plain")


def opened(world: TinyWorld):
    frozen = open_frozen(world.folder / "backbone", CPU)
    adapter = frozen.denoiser.new_adapter(VIDEO).train()
    adapter.copy_backbone(frozen.denoiser)

    def loss(model, batch, generator):
        told = frozen.condition(batch["text"], torch.full((len(batch["text"]),), SECONDS))
        velocity = lambda z, t: adapted_velocity(frozen.denoiser, model, z, t, told, batch["video"])  # noqa: E731
        return {"loss": velocity_loss(velocity, batch["latents"], DiffusionSettings(), generator)}

    frozen.denoiser.requires_grad_(False)
    return frozen, adapter, loss


def test_what_a_step_holds_is_counted_and_grows_with_the_batch(tiny):
    frozen, adapter, loss = opened(tiny)
    features = FeatureBatches(tiny.manifest, tiny.latents, tiny.text, [tiny.video])

    def held(items: int, choice: str) -> int:
        recompute(adapter, frozen, choice)
        batch, generator = features(range(items)), torch.Generator().manual_seed(0)
        parameters = [*adapter.parameters(), *frozen.denoiser.parameters()]
        return held_bytes(lambda: loss(adapter, batch, generator)["loss"], parameters)

    one = {choice: held(1, choice) for choice in CHOICES}
    assert one["none"] > 1.5 * one["adapter"] > 1.5 * one["all"] > 0
    for choice in CHOICES:  # tables of angles are of no clip
        assert 0.95 * 8 * one[choice] <= held(8, choice) <= 8 * one[choice]


def test_the_fastest_choice_that_fits_is_taken():
    held = {"none": 1000, "adapter": 400, "all": 100}
    trainable = [torch.zeros(25)]  # 100 bytes, of which gradient, moments and average make 400
    needed = {"none": 10_400, "adapter": 4400 + 1000, "all": 1400 + 1000}

    def chosen(free: int) -> str:
        return choose(held.__getitem__, 10, 10, trainable, free).recomputed

    for choice, size in needed.items():
        assert chosen(round(size / USABLE) + 1) == choice
        assert choose(held.__getitem__, 10, 10, trainable, round(size / USABLE) + 1).needed[choice] == size
    assert chosen(round(needed["none"] / USABLE) - 1) == "adapter"
    assert chosen(10) == "all"
    assert choose(held.__getitem__, 10, 10, trainable, None).recomputed == "none"


def test_a_small_memory_makes_auto_run_blocks_again(tiny):
    frozen, adapter, loss = opened(tiny)
    settings = AdapterTraining(loop=loop(), seconds=SECONDS, model=VIDEO, gradient_checkpointing="auto")
    data = TrainingData(tiny.manifest, tiny.latents, tiny.text, [tiny.video])
    run = TrainingRun(1, tiny.folder / "nowhere")
    state = torch.random.get_rng_state()
    found = {
        free: choose_recomputed(settings, adapter, frozen, data, run, loss, lambda device, free=free: free).recomputed
        for free in (10**9, 1000)
    }
    assert found == {10**9: "none", 1000: "all"}
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("phase", ["first", "tf"])
def test_a_float32_residual_keeps_the_streams_of_both_stacks(tmp_path, monkeypatch, phase):
    world = PretrainedWorld(tmp_path)
    seen: dict[str, set] = {}
    original = BlockStack.pass_through

    def watched(self, block, hidden, stream):
        after, following = original(self, block, hidden, stream)
        kinds = {hidden.dtype, after.dtype} | ({stream.context.dtype} if phase == "tf" else set())
        seen.setdefault(type(self).__name__, set()).update(kinds)
        return after, following

    monkeypatch.setattr(BlockStack, "pass_through", watched)
    world.train("whole", phase)
    assert [*seen.values()] == [{torch.float32}] * 2
    seen.clear()
    narrow = world.train("narrow", phase, bf16=True)
    assert all(torch.bfloat16 in kinds for kinds in seen.values())
    seen.clear()
    wide = world.train("wide", phase, bf16=True, changes={"residual": "float32"})
    assert [*seen.values()] == [{torch.float32}] * 2
    assert not same(narrow, wide)


def test_a_float32_residual_is_nearer_to_float32_in_a_deep_stack():
    torch.manual_seed(0)
    network = StableAudioBackbone(MODEL.model_copy(update={"blocks": 24})).eval()
    latents, text, time = torch.randn(4, CHANNELS, LATENTS), torch.randn(4, 6, 8), torch.rand(4)
    with torch.no_grad():
        told = network.condition(text, torch.zeros(4), torch.full((4,), SECONDS))
        exact, errors = network(latents, time, told), {}
        for wide in (False, True):
            network.float32_residual = wide
            with torch.autocast("cpu", torch.bfloat16):
                errors[wide] = float((network(latents, time, told) - exact).abs().mean())
    assert 0 < 1.4 * errors[True] < errors[False]


def test_a_float32_residual_is_refused_where_there_are_no_blocks(tiny, monkeypatch):
    class Other(torch.nn.Module):
        settings = AdapterSettings()
        gradient_checkpointing = False

        def copy_backbone(self, backbone) -> None: ...

    monkeypatch.setattr("cafa.models.block_denoiser.BlockDenoiser.new_adapter", lambda self, settings: Other())
    with pytest.raises(InputError, match="residual: float32 is for networks of blocks"):
        tiny.adapter("other", settings={"residual": "float32"})
