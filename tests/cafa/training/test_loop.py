import json
import math
import os
import signal

import pytest
import torch

from cafa.common.errors import CafaError
from cafa.common.resume import VARIABLE, ChangedError
from cafa.common.signals import EndedBySignal
from cafa.training import loop
from cafa.training.loop import train
from cafa.training.loop_settings import LoopSettings


@pytest.fixture(params=[1, 4], autouse=True)
def steps_read_at_once(request, monkeypatch) -> int:
    """As on a CPU, and as on a GPU, where values of several steps are read at once."""
    monkeypatch.setattr(loop, "steps_at_once", lambda device: request.param)
    return request.param


class Cut(Exception):
    """Stands for a kill."""


def build() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 4))


def run(folder, *, cut_at: int | None = None, key: str = "data", **changes):
    settings = LoopSettings(
        **{"steps": 30, "batch_size": 8, "learning_rate": 1e-2, "ema_decay": 0.95, "save_every_seconds": 0, **changes}
    )

    def make_batch(index, generator):
        if index == cut_at:
            raise Cut
        return torch.randn(8, 4, generator=generator)

    def loss(model, batch, generator):
        return {"loss": torch.mean((model(batch + 0.1 * torch.randn(8, 4, generator=generator)) - batch) ** 2)}

    return train(build(), make_batch, loss, settings, seed=3, resume_dir=folder, key={"data": key}, label="test")


@pytest.mark.parametrize("cut_at", [1, 13, 29])
def test_a_cut_and_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path, cut_at):
    whole = run(tmp_path / "whole")
    with pytest.raises(Cut):
        run(tmp_path / "cut", cut_at=cut_at)
    resumed = run(tmp_path / "cut")
    assert whole.weights.keys() == resumed.weights.keys()
    assert all(torch.equal(whole.weights[name], resumed.weights[name]) for name in whole.weights)
    assert whole.losses.equals(resumed.losses)


def test_resume_goes_on_instead_of_starting_again(tmp_path):
    with pytest.raises(Cut):
        run(tmp_path, cut_at=20)
    seen = []
    settings = {"steps": 30}
    original = torch.optim.AdamW.step
    try:
        torch.optim.AdamW.step = lambda self, *a, **k: (seen.append(1), original(self, *a, **k))[1]
        run(tmp_path, **settings)
    finally:
        torch.optim.AdamW.step = original
    assert len(seen) == 10


def test_a_state_of_other_data_or_settings_stops_the_run(tmp_path):
    with pytest.raises(Cut):
        run(tmp_path, cut_at=20, key="other data")
    state = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(ChangedError) as error:
        run(tmp_path, learning_rate=2e-2)
    assert "20 of 30 steps done, 0.00 hours" in str(error.value)
    assert 'data: "other data" -> "data"' in str(error.value)
    assert "loop.learning_rate: 0.01 -> 0.02" in str(error.value)
    assert "--restart" in str(error.value)
    assert (tmp_path / "state.pt").read_bytes() == state
    assert json.loads((tmp_path / "key.json").read_text())["key"]["data"] == "other data"


def test_restart_begins_anew(tmp_path, monkeypatch):
    with pytest.raises(Cut):
        run(tmp_path, cut_at=20, key="other data")
    monkeypatch.setenv(VARIABLE, "restart")
    restarted, fresh = run(tmp_path), run(tmp_path / "fresh")
    assert all(torch.equal(restarted.weights[name], fresh.weights[name]) for name in fresh.weights)
    assert restarted.changes == []


def test_resume_anyway_goes_on_with_todays_settings_and_says_so(tmp_path, monkeypatch):
    with pytest.raises(Cut):
        run(tmp_path, cut_at=20, ema_decay=None)
    monkeypatch.setenv(VARIABLE, "resume")
    resumed = run(tmp_path, steps=40, weight_decay=0.5)
    assert len(resumed.losses) == 40
    (change,) = resumed.changes
    assert change["step"] == 20
    assert {"loop.steps: 30 -> 40", "loop.ema_decay: null -> 0.95"} <= set(change["changed"])


def test_the_state_of_another_model_cannot_be_gone_on_with(tmp_path, monkeypatch):
    with pytest.raises(Cut):
        run(tmp_path, cut_at=20)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    state["key"], state["model"] = {"loop": {"steps": 3}}, {"other": torch.zeros(2)}
    torch.save(state, tmp_path / "state.pt")
    monkeypatch.setenv(VARIABLE, "resume")
    with pytest.raises(ChangedError, match="weights of another model"):
        run(tmp_path)


@pytest.mark.parametrize("bf16", [False, True])
def test_accumulation_equals_the_large_batch(tmp_path, bf16):
    data = torch.randn(3, 24, 4, generator=torch.Generator().manual_seed(0))  # three steps

    def weights(batch_size: int, accumulation: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4))
        settings = LoopSettings(
            steps=3, batch_size=batch_size, accumulation=accumulation, learning_rate=1e-2, ema_decay=0.9, bf16=bf16
        )
        every = data.reshape(-1, batch_size, 4)
        return train(
            model,
            lambda index, generator: every[index],
            lambda model, batch, generator: {"loss": torch.mean((model(batch).float() - batch**2) ** 2)},
            settings,
            seed=0,
            resume_dir=tmp_path / str(accumulation),
            key={"accumulation": accumulation},
            label="test",
        ).weights

    large, parts = weights(24, 1), weights(6, 4)
    for name in large:
        # 16 bits round each part's gradient by itself: 8 bits of a change of 3 steps of 0.01
        torch.testing.assert_close(large[name], parts[name], atol=1e-3 if bf16 else 1e-6, rtol=0)


def test_a_row_is_the_mean_of_the_accumulated_batches(tmp_path):
    many = run(tmp_path / "many", steps=1, accumulation=4)
    each = run(tmp_path / "each", steps=4, learning_rate=1e-12)
    assert many.losses["loss"].tolist() == [pytest.approx(each.losses["loss"].mean(), rel=1e-5)]


def test_a_resumed_run_tells_where_its_seconds_were_spent(tmp_path):
    with pytest.raises(Cut):
        run(tmp_path, cut_at=20)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    (entry,) = state["sessions"]
    entry["device"], entry["count"] = "another machine", 4
    torch.save(state, tmp_path / "state.pt")
    resumed = run(tmp_path)
    assert [(s["device"], s["count"]) for s in resumed.sessions] == [("another machine", 4), ("cpu", 1)]
    assert resumed.seconds == pytest.approx(sum(s["seconds"] for s in resumed.sessions))


def test_the_loss_goes_down(tmp_path):
    losses = run(tmp_path, steps=150).losses["loss"]
    assert losses.tail(20).mean() < 0.7 * losses.head(5).mean()


def test_a_loss_that_is_not_finite_is_an_error(tmp_path):
    model = torch.nn.Linear(1, 1)
    settings = LoopSettings(steps=3, batch_size=1, learning_rate=1.0)
    with pytest.raises(CafaError, match="lower the learning rate"):
        train(
            model,
            lambda i, g: None,
            lambda m, b, g: {"loss": m.weight.sum() * math.nan},
            settings,
            seed=0,
            resume_dir=tmp_path,
            key={},
            label="test",
        )


def test_what_is_read_later_is_the_same(tmp_path, monkeypatch, steps_read_at_once):
    found = run(tmp_path / "found", gradient_clip=0.5, accumulation=2)
    monkeypatch.setattr(loop, "steps_at_once", lambda device: 7)
    other = run(tmp_path / "other", gradient_clip=0.5, accumulation=2)
    assert found.losses.equals(other.losses)
    assert list(found.losses) == ["step", "loss", "gradient_norm"]
    assert len(found.losses) == 30
    assert all(torch.equal(found.weights[name], other.weights[name]) for name in found.weights)


def test_a_run_that_goes_astray_names_the_step_and_saves_nothing_of_it(tmp_path):
    def diverging(model, batch, generator):
        return {"loss": model.weight.sum() * (math.nan if batch >= 5 else 1.0)}

    settings = LoopSettings(steps=9, batch_size=1, learning_rate=1e-3, save_every_seconds=0)
    how = {"seed": 0, "resume_dir": tmp_path, "key": {}, "label": "test"}
    with pytest.raises(CafaError, match="the loss became nan at step 5: lower the learning rate"):
        train(torch.nn.Linear(1, 1), lambda index, generator: index, diverging, settings, **how)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["step"] in (4, 5)
    assert len(state["rows"]) == state["step"]
    assert all(tensor.isfinite().all() for tensor in state["model"].values())


def test_a_run_alone_that_is_asked_to_end_ends_after_the_step_in_hand(tmp_path):
    def asks(index, generator):
        if index == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return index

    settings = LoopSettings(steps=9, batch_size=1, learning_rate=1e-3)
    how = {"seed": 0, "resume_dir": tmp_path, "key": {}, "label": "test"}
    with pytest.raises(EndedBySignal, match="6 of 9 steps of test are saved"):
        train(torch.nn.Linear(1, 1), asks, lambda m, b, g: {"loss": m.weight.sum()}, settings, **how)
    assert len(torch.load(tmp_path / "state.pt", weights_only=True)["rows"]) == 6


def test_schedules():
    cosine = LoopSettings(steps=100, batch_size=1, learning_rate=1, warmup_steps=10)
    assert cosine.factor(0) == pytest.approx(0.1)
    assert cosine.factor(10) == pytest.approx(1.0)
    assert cosine.factor(99) < 0.02
    inverse = LoopSettings(
        steps=9, batch_size=1, learning_rate=1, schedule="inverse", inverse_gamma=100, inverse_power=0.5
    )
    assert inverse.factor(300) == pytest.approx(0.5)
