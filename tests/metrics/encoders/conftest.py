"""Golden arrays of the published judges."""

import json
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    return shared / "golden" / "evaluators"


@pytest.fixture(scope="session")
def synchformer_golden(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "synchformer.npz"))


@pytest.fixture(scope="session")
def synchformer_shapes(golden: Path) -> dict[str, list[int]]:
    return json.loads((golden / "synchformer_keys.json").read_text())
