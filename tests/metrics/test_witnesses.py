import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cafa.errors import InputError
from metrics import witnesses
from metrics.witnesses import write_parity

ENVS = Path(__file__).resolve().parents[2] / "envs"


def leave(folder: Path, **answers: np.ndarray) -> None:
    """What the published packages would leave."""
    np.savez(folder / "answers.npz", **{name.replace("__", "."): values for name, values in answers.items()})
    about = {
        "packages": {"panns": "panns-inference", "fad": "frechet-audio-distance"}, "torch": "2", "numpy": "2",
        "versions": {"panns": "0.1.1", "fad": "0.3.4"}, "weights": "by rule", "empty_modules": ["encodec"],
        "seconds": 1,
    }  # fmt: skip
    (folder / "about.json").write_text(json.dumps(about))


def test_differences_are_written_and_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    embedding = np.linspace(0, 1, 12).reshape(3, 4)
    leave(tmp_path, panns__embedding=embedding + 2e-4, fad__score=np.asarray(2000.0), input__ids=np.arange(3))
    ours = [("panns.embedding", embedding), ("fad.score", np.asarray(2000.01))]
    monkeypatch.setattr(witnesses, "our_answers", lambda folder, about, theirs: iter(ours))
    rows = write_parity(tmp_path, tmp_path / "parity.csv")
    assert [row.ok for row in rows] == [False, True]  # a distance is judged relative to its value
    table = pd.read_csv(tmp_path / "parity.csv").set_index("quantity")
    assert table.loc["panns.embedding", "max_difference"] == pytest.approx(2e-4)
    assert table.loc["fad.score", ["ours", "theirs"]].tolist() == [2000.01, 2000.0]
    assert table.loc["fad.score", "package"] == "frechet-audio-distance"
    assert table["witness_ran_with"].str.contains("replaced by empty modules: encodec").all()


def test_answers_that_cannot_be_compared_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match=r"holds no answers\.npz: run workflow/scripts/witness\.py"):
        write_parity(tmp_path, tmp_path / "parity.csv")
    leave(tmp_path, panns__embedding=np.zeros((3, 4)), panns__other=np.zeros(2))
    monkeypatch.setattr(witnesses, "our_answers", lambda *_: iter([("panns.embedding", np.zeros((3, 4)))]))
    with pytest.raises(InputError, match=r"only one side has: \['panns\.other'\]"):
        write_parity(tmp_path, tmp_path / "parity.csv")
    leave(tmp_path, panns__embedding=np.zeros((3, 5)))
    with pytest.raises(InputError, match=r"shape \(3, 5\), ours has \(3, 4\)"):
        write_parity(tmp_path, tmp_path / "parity.csv")
    assert not (tmp_path / "parity.csv").exists()


def test_conda_and_pip_install_the_same():
    pinned = [line for line in (ENVS / "reference.txt").read_text().splitlines() if not line.startswith("#")]
    conda = (ENVS / "reference.yaml").read_text()
    assert [line.strip("- ") for line in conda.split("- pip:\n")[1].splitlines()] == pinned
    assert all("==" in line for line in pinned)
    assert conda.startswith("# Separate, because")
