import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cafa.common.errors import InputError
from cafa.common.provenance import project_root
from metrics.parity import reference_packages
from metrics.parity.reference_packages import ANSWERS, TOLERANCES, write_parity
from tests.published_forms import save_panns

ENVS = Path(__file__).resolve().parents[3] / "envs"


def leave(folder: Path, absent: str = "", **answers: np.ndarray) -> None:
    """What the published packages would leave."""
    np.savez(folder / "answers.npz", **{name.replace("__", "."): values for name, values in answers.items()})
    packages = {"panns": ("panns-inference", "0.1.1"), "fad": ("frechet-audio-distance", "0.3.4")}
    about = {
        "torch": "2",
        "numpy": "2",
        "weights": "by rule",
        "packages": {
            name: {
                "package": package,
                "version": version,
                "absent": "",
                "note": "from the waveform",
                "replaced": ["encodec"] * (name == "fad"),
            }
            for name, (package, version) in packages.items()
        },
    }
    if absent:
        about["packages"]["clap"] = {"package": "laion-clap", "version": "", "absent": absent, "note": ""}
    (folder / "about.json").write_text(json.dumps(about))


def answer(monkeypatch: pytest.MonkeyPatch, **answers: dict[str, np.ndarray]) -> None:
    for name, values in answers.items():
        monkeypatch.setitem(reference_packages.ANSWERS, name, lambda folder, inputs, values=values: values)


def test_differences_are_written_and_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    embedding = np.linspace(0, 1, 12).reshape(3, 4)
    leave(tmp_path, panns__embedding=embedding + 2e-4, fad__score=np.asarray(2000.0), input__panns__sound=np.arange(3))
    answer(monkeypatch, panns={"embedding": embedding}, fad={"score": np.asarray(2000.01)})
    rows = write_parity(tmp_path, tmp_path / "parity.csv")
    assert [row.ok for row in rows] == ["no", "yes"]  # a distance is judged relative to its value
    table = pd.read_csv(tmp_path / "parity.csv").set_index("quantity")
    assert table.loc["panns.embedding", "max_difference"] == pytest.approx(2e-4)
    assert table.loc["fad.score", ["ours", "theirs"]].tolist() == [2000.01, 2000.0]
    assert table.loc["fad.score", "package"] == "frechet-audio-distance"
    assert table.loc["fad.score", "note"].endswith("replaced by stand-ins: encodec")
    assert table.loc["panns.embedding", "note"] == "from the waveform"


def test_a_package_that_cannot_be_asked_has_a_row_that_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    leave(tmp_path, "cannot be imported: ImportError: no", panns__embedding=np.ones(2), fad__score=np.asarray(1.0))
    answer(monkeypatch, panns={"embedding": np.ones(2)}, fad={"score": np.asarray(1.0)})
    write_parity(tmp_path, tmp_path / "parity.csv")
    table = pd.read_csv(tmp_path / "parity.csv").set_index("quantity")
    assert table.loc["clap", ["package", "ok", "note"]].tolist() == [
        "laion-clap",
        "not compared",
        "cannot be imported: ImportError: no",
    ]
    assert np.isnan(table.loc["clap", "max_difference"])


def test_answers_that_cannot_be_compared_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match=r"holds no answers\.npz: run workflow/scripts/reference\.py"):
        write_parity(tmp_path, tmp_path / "parity.csv")
    answer(monkeypatch, panns={"embedding": np.zeros((3, 4))})
    leave(tmp_path, panns__embedding=np.zeros((3, 4)), panns__other=np.zeros(2))
    with pytest.raises(InputError, match=r"panns: answers that only one side has: \['other'\]"):
        write_parity(tmp_path, tmp_path / "parity.csv")
    leave(tmp_path, panns__embedding=np.zeros((3, 5)))
    with pytest.raises(InputError, match=r"shape \(3, 5\), ours has \(3, 4\)"):
        write_parity(tmp_path, tmp_path / "parity.csv")
    assert not (tmp_path / "parity.csv").exists()


def test_every_package_is_answered_and_judged():
    assert {name.split(".")[0] for name in TOLERANCES} == set(ANSWERS)


def test_conda_and_pip_install_the_same():
    pinned = [line for line in (ENVS / "reference.txt").read_text().splitlines() if not line.startswith("#")]
    conda = (ENVS / "reference.yaml").read_text()
    assert [line.strip("- ") for line in conda.split("- pip:\n")[1].splitlines()] == pinned
    assert all("==" in line for line in pinned)
    assert conda.startswith("# Separate, because")


def test_the_packages_get_the_published_panns_in_a_form_that_they_can_read(tmp_path: Path):
    """The scripts run in another environment; torch refuses the published file, which holds arrays of numpy."""
    tensors = {"fc1.weight": torch.arange(6.0).view(2, 3)}
    published, given = tmp_path / "published.pth", tmp_path / "given.pth"
    save_panns(published, tensors)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(published, weights_only=True)
    code = "import sys, pathlib, reference_packages as w; w.take_panns(*map(pathlib.Path, sys.argv[1:]))"
    root = project_root()
    path = os.pathsep.join([str(root), str(root / "workflow" / "scripts")])
    command = [sys.executable, "-c", code, str(published), str(given)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True)
    found = torch.load(given, weights_only=True)["model"]
    assert found.keys() == tensors.keys()
    assert torch.equal(found["fc1.weight"], tensors["fc1.weight"])
