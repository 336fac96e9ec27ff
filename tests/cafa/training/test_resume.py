"""Runs that are killed and started again with the same command."""

import multiprocessing
import signal
from pathlib import Path

import pandas as pd
import pytest
import torch

from cafa.common.files import read_json
from cafa.common.resume import VARIABLE, ChangedError
from cafa.models.folders import load_model
from tests.cafa.training.test_distributed import kill_this_process_at
from tests.cafa.training.tiny import TinyWorld

STEPS = 8


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyWorld:
    world = TinyWorld(tmp_path_factory.mktemp("resumed"))
    world.backbone(steps=3)
    world.adapter("phase1", steps=4, save_every_seconds=0)
    world.adapter("phase2", steps=STEPS, start_from=world.folder / "phase1", save_every_seconds=0)
    return world


def killed(world: TinyWorld, step: int, name: str, **options) -> None:
    """Train in a process that is killed before a step; its output is left as it is."""

    def work() -> None:
        kill_this_process_at(step)
        world.adapter(name, save_every_seconds=0, **options)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (world.folder / name / "card.json").exists()


def same(one: Path, other: Path) -> bool:
    first, second = load_model(one, "adapter")[0], load_model(other, "adapter")[0]
    losses = [pd.read_parquet(folder / "loss.parquet") for folder in (one, other)]
    return losses[0].equals(losses[1]) and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("cut", [1, 5])
def test_a_second_phase_killed_and_started_again_equals_the_uninterrupted_one(tiny, cut):
    name = f"killed_at_{cut}"
    killed(tiny, cut, name, steps=STEPS, start_from=tiny.folder / "phase1")
    tiny.adapter(name, steps=STEPS, start_from=tiny.folder / "phase1", save_every_seconds=0)
    assert same(tiny.folder / "phase2", tiny.folder / name)


def test_both_phases_killed_equal_both_uninterrupted(tiny):
    killed(tiny, 2, "first_again", steps=4)
    tiny.adapter("first_again", steps=4, save_every_seconds=0)
    assert same(tiny.folder / "phase1", tiny.folder / "first_again")
    killed(tiny, 3, "second_again", steps=STEPS, start_from=tiny.folder / "first_again")
    tiny.adapter("second_again", steps=STEPS, start_from=tiny.folder / "first_again", save_every_seconds=0)
    weights = [load_model(tiny.folder / name, "adapter")[0] for name in ("phase2", "second_again")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_state_is_not_resumed_from_another_start(tiny, monkeypatch):
    killed(tiny, 5, "other_start", steps=STEPS)
    with pytest.raises(ChangedError, match=r"5 of 8 steps done(.|\n)*start\.weights_sha256: none -> "):
        tiny.adapter("other_start", steps=STEPS, start_from=tiny.folder / "phase1", save_every_seconds=0)
    monkeypatch.setenv(VARIABLE, "restart")
    tiny.adapter("other_start", steps=STEPS, start_from=tiny.folder / "phase1", save_every_seconds=0)
    assert same(tiny.folder / "phase2", tiny.folder / "other_start")


def test_the_curves_of_a_resumed_run_have_every_step_once(tiny):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    killed(tiny, 5, "curves", steps=STEPS, tensorboard=True)
    tiny.adapter("curves", steps=STEPS, tensorboard=True, save_every_seconds=0)
    events = EventAccumulator(str(tiny.folder / "curves" / "tensorboard"))
    events.Reload()
    table = pd.read_parquet(tiny.folder / "curves" / "loss.parquet")
    for name in ("loss", "gradient_norm"):
        points = events.Scalars(name)
        assert [point.step for point in points] == list(range(STEPS)) == table["step"].tolist()
        assert [point.value for point in points] == pytest.approx(table[name].tolist(), rel=1e-6)
    assert not (tiny.folder / "phase1" / "tensorboard").exists()


def test_a_finished_model_of_other_settings_is_not_overwritten_unasked(tiny, monkeypatch):
    folder = tiny.backbone("finished", steps=3)
    weights = (folder / "model.safetensors").read_bytes()
    tiny.backbone("finished", steps=3, save_every_seconds=7)
    assert (folder / "model.safetensors").read_bytes() == weights
    with pytest.raises(ChangedError, match=r"finished model, 0\.00 hours(.|\n)*settings\.loop\.steps: 3 -> 4\n"):
        tiny.backbone("finished", steps=4)
    monkeypatch.setenv(VARIABLE, "resume")
    with pytest.raises(ChangedError, match="cannot be gone on with"):
        tiny.backbone("finished", steps=4)
    assert (folder / "model.safetensors").read_bytes() == weights
    monkeypatch.setenv(VARIABLE, "restart")
    tiny.backbone("finished", steps=4)
    assert len(pd.read_parquet(folder / "loss.parquet")) == 4


def test_a_card_says_where_a_training_went_on_under_other_conditions(tiny, monkeypatch):
    killed(tiny, 5, "changed", steps=STEPS)
    monkeypatch.setenv(VARIABLE, "resume")
    (change,) = read_json(tiny.adapter("changed", steps=STEPS + 2) / "card.json")["changes"]
    assert change == {"step": 5, "changed": [f"loop.steps: {STEPS} -> {STEPS + 2}"]}
