"""Golden arrays and names of the published judges."""

import json
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    return shared / "golden" / "evaluators"


@pytest.fixture(scope="session")
def synchformer_shapes(golden: Path) -> dict[str, list[int]]:
    return json.loads((golden / "synchformer_keys.json").read_text())
