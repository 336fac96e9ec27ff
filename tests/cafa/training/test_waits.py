"""No step of a training waits for the device, and what that asks of the loop changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cafa.models.adapter_parts import AdapterSettings
from cafa.training import adapter, loop
from cafa.training.adapter import AdapterTraining, train_adapter
from cafa.training.generator import TrainingData, TrainingRun
from cafa.training.joint import JointTraining, train_joint
from cafa.training.loop_settings import LoopSettings
from cafa.training.step_values import StepValues
from tests.accelerator import META, Waits, without_autocast
from tests.cafa.training import tiny
from tests.cafa.training.pretrained import WIDTH, PretrainedWorld
from tests.cafa.training.tiny import MODEL, SECONDS, VIDEO, TinyWorld

STEPS = 5


class Ended(Exception):
    """All steps are done: there are no weights to save."""


class Steps:
    """A training whose networks are on a device without values."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waits = Waits()
        #: places found until the end of each step
        self.marks: list[int] = []
        frozen: list[Any] = []
        opened, trained = adapter.open_frozen, adapter.train_generator

        def open_here(folder: Path, where: torch.device, *more: Any) -> Any:
            frozen.append(opened(folder, torch.device("cpu"), *more))
            return frozen[-1]

        def train_there(*args: Any, **kwargs: Any) -> None:
            frozen[-1].denoiser.to(META)
            trained(*args, **kwargs)

        def weights(self: Any) -> dict[str, torch.Tensor]:
            raise Ended

        def add(values: Any, step: int, parts: Any, norm: Any) -> None:
            assert norm is not None
            assert norm.device == META == parts[0]["loss"].device
            self.marks.append(len(self.waits.found))

        monkeypatch.setattr(adapter, "open_frozen", open_here)
        monkeypatch.setattr(adapter, "train_generator", train_there)
        monkeypatch.setattr(loop._Run, "weights", weights)
        monkeypatch.setattr(StepValues, "add", add)
        monkeypatch.setattr(StepValues, "read", lambda values, asked: ([], False))
        without_autocast(monkeypatch)

    def of(self, train: Callable[[], None]) -> list[str]:
        """Where a step waits, after the first one."""
        with self.waits, pytest.raises(Ended):
            train()
        assert len(self.marks) == STEPS
        return self.waits.found[self.marks[0] : self.marks[-1]]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> TinyWorld:
    made = TinyWorld(tmp_path_factory.mktemp("waits"))
    made.backbone(steps=1)
    return made


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> PretrainedWorld:
    made = PretrainedWorld(tmp_path_factory.mktemp("waits_pretrained"))
    made.train("teacher", steps=1)
    return made


def loop_settings() -> LoopSettings:
    return tiny.loop(STEPS, batch_size=4, gradient_clip=1.0, accumulation=2)


def test_a_copy_that_waits_and_a_value_that_is_asked_for_are_found() -> None:
    there = torch.zeros(2, device=META)
    with Waits() as waits:
        there + torch.zeros(2).to(META, non_blocking=True)
        assert not waits.found
        torch.zeros(2).to(META)
        there.copy_(torch.zeros(2))
    assert len(waits.found) == 2
    assert all(Path(__file__).name in place for place in waits.found)
    with pytest.raises(RuntimeError, match="meta"):
        float(there.sum())
    with pytest.raises(RuntimeError, match="device"):
        there + torch.zeros(2)


def test_no_step_of_an_adapter_waits(steps: Steps, world: TinyWorld, tmp_path: Path) -> None:
    settings = AdapterTraining(loop=loop_settings(), seconds=SECONDS, model=VIDEO)
    data = TrainingData(world.manifest, world.latents, world.text, [world.video])
    run = TrainingRun(1, tmp_path / "adapter", "meta")
    assert steps.of(lambda: train_adapter(settings, data, world.folder / "backbone", run)) == []


@pytest.mark.parametrize("backbone", ["backbone", "tangoflux"])
def test_no_step_on_a_pretrained_backbone_waits(
    steps: Steps, pretrained: PretrainedWorld, tmp_path: Path, backbone: str
) -> None:
    phase = pretrained.phases["first" if backbone == "backbone" else "tf"]
    model = AdapterSettings(feature_dim=WIDTH, hint_dim=12)
    settings = AdapterTraining(loop=loop_settings(), seconds=10.0, model=model)
    data = TrainingData(phase.manifest, phase.latents, phase.text, [phase.av_clip])
    run = TrainingRun(1, tmp_path / "adapter", "meta")
    assert steps.of(lambda: train_adapter(settings, data, pretrained.models / backbone, run)) == []


def test_no_step_of_a_distillation_waits(steps: Steps, pretrained: PretrainedWorld, tmp_path: Path) -> None:
    phase = pretrained.phases["first"]
    settings = AdapterTraining(
        loop=loop_settings(),
        seconds=10.0,
        model=AdapterSettings(feature_dim=WIDTH, hint_dim=12, dropout=0.1),
        objective={"caption_dropout": 0.0},
        guidance_distillation={"guidance_scale": 3.0, "other_captions": 0.5},
    )
    data = TrainingData(phase.manifest, phase.latents, phase.text, [phase.av_clip])
    run = TrainingRun(1, tmp_path / "student", "meta")
    assert (
        steps.of(
            lambda: train_adapter(
                settings, data, pretrained.models / "backbone", run, start_from=pretrained.models / "teacher"
            )
        )
        == []
    )


def test_no_step_of_the_joint_model_waits(steps: Steps, world: TinyWorld, tmp_path: Path) -> None:
    settings = JointTraining(loop=loop_settings(), seconds=SECONDS, model=MODEL, video=VIDEO)
    assert (
        steps.of(
            lambda: train_joint(
                settings,
                world.manifest,
                world.latents,
                world.text,
                world.video,
                seed=1,
                output=tmp_path / "joint",
                device="meta",
            )
        )
        == []
    )
