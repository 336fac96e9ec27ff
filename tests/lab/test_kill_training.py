"""The short form of kill_training.py."""

from pathlib import Path

import pytest

from tests.lab.kill_training import Trainings, run_and_kill


@pytest.mark.parametrize("processes", [1, 2])
def test_training_asked_to_end_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    # the first signal goes to the command, the second to its whole process group
    monkeypatch.setenv("STEPS_FILE", str(tmp_path / "steps.txt"))
    assert not run_and_kill(Trainings(tmp_path, processes, steps=24), kills=processes, seed=processes)
