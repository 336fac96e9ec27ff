import os
import signal
from pathlib import Path

import pandas as pd
import pytest
import torch

from cafa.common.errors import CafaError, InputError
from cafa.models.folders import load_model
from cafa.training.distributed import Processes, Share, SharedDropout, join, launch
from tests.cafa.training.tiny import TinyWorld

RUN = {"steps": 5, "accumulation": 2, "batch_size": 4, "save_every_seconds": 0}


@pytest.fixture
def tiny(tmp_path) -> TinyWorld:
    world = TinyWorld(tmp_path)
    world.backbone(steps=3)
    return world


def kill_this_process_at(step: int) -> None:
    original, done = torch.optim.AdamW.step, []

    def counted(self, *args, **kwargs):
        if len(done) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(1)
        return original(self, *args, **kwargs)

    torch.optim.AdamW.step = counted


def work(world: TinyWorld, name: str, killed_at: int | None) -> None:
    """What each process does."""
    torch.set_num_threads(1)
    processes = join("cpu")
    if killed_at is not None:
        kill_this_process_at(killed_at)
    world.adapter(name, processes=processes, gradient_checkpointing="all", **RUN)
    processes.close()


def result(folder: Path) -> tuple[dict[str, torch.Tensor], pd.DataFrame, dict]:
    weights, card = load_model(folder, "adapter")
    return weights, pd.read_parquet(folder / "loss.parquet"), card


def test_two_processes_equal_one_to_rounding_and_resume_exactly(tiny):
    launch(2, "cpu", work, tiny, "two", None, method="fork")
    one, losses, _ = result(tiny.adapter("one", **RUN))
    two, shared_losses, card = result(tiny.folder / "two")
    assert [entry["count"] for entry in card["hardware"]] == [2]
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-5, rtol=1e-5)
    pd.testing.assert_frame_equal(losses, shared_losses, atol=1e-5, rtol=1e-5)
    assert list(losses["step"]) == list(range(5))

    with pytest.raises(CafaError, match="the same command continues from the last saved state"):
        launch(2, "cpu", work, tiny, "again", 3, method="fork")
    assert (tiny.folder / "again" / ".resume" / "state.pt").is_file()
    assert not (tiny.folder / "again" / "card.json").exists()
    launch(2, "cpu", work, tiny, "again", None, method="fork")
    again, _, _ = result(tiny.folder / "again")
    assert all(torch.equal(two[name], again[name]) for name in two)


def test_a_batch_that_cannot_be_dealt_is_refused(tiny):
    class Three:
        share, main = Share(0, 3), True

        @staticmethod
        def device(wanted):
            return torch.device(wanted)

    with pytest.raises(InputError, match="a batch of 4 clips cannot be divided among 3 processes"):
        tiny.adapter("refused", processes=Three(), **RUN)


def test_shares_make_the_whole():
    batch = torch.arange(12)
    assert torch.equal(torch.cat([Share(rank, 3).of(batch) for rank in range(3)]), batch)
    assert [Share(rank, 3).of(list(range(6))) for rank in range(3)] == [[0, 1], [2, 3], [4, 5]]


def test_shared_dropout_is_that_of_the_whole_batch():
    x = torch.randn(6, 4, 5)
    torch.manual_seed(3)
    wanted = torch.nn.functional.dropout(x, 0.3)
    parts = []
    for rank in range(2):
        torch.manual_seed(3)
        parts.append(SharedDropout(0.3, Share(rank, 2))(Share(rank, 2).of(x)))
    assert torch.equal(torch.cat(parts), wanted)
    assert torch.equal(SharedDropout(0.3, Share(0, 2)).eval()(x), x)


def test_a_process_whose_launcher_is_gone_ends(monkeypatch):
    class Accelerator:
        process_index, num_processes = 1, 2

    processes = Processes(Accelerator())
    processes.check()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    with pytest.raises(CafaError, match="the process that launched this one is gone"):
        processes.check()


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="2 processes need as many GPUs, and 1 are visible"):
        launch(2, "cuda", work)
