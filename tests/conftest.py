"""Fixtures shared by all tests."""

import json
import os
from pathlib import Path

import pytest

from cafa.common.collection import keep_modules_uncollected
from cafa.common.resume import VARIABLE

#: arrays that the published code computed; they travel with the tests
GOLDEN = Path(__file__).with_name("golden")

keep_modules_uncollected()  # as a command: looking for garbage was a fifth of the time in which tests are found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, then those that run the workflow.

    Several processes share the tests by file: one that takes minutes and begins last would keep the others waiting.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, "workflow" not in item.path.parts))


@pytest.fixture(autouse=True)
def _nobody_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options of a command stay with the test that gave them."""
    monkeypatch.setenv(VARIABLE, "stop")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of other people's clips and lists; skips with a reason where it is absent.

    The folder is ``$CAFA_SHARED`` or ``../shared`` beside the checkout. In continuous
    integration (``CAFA_REQUIRE_SHARED=1``) its absence is an error.
    """
    folder = Path(os.environ.get("CAFA_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (folder / "clips").is_dir():
        message = f"published clips not found at {folder}: set CAFA_SHARED"
        if os.environ.get("CAFA_REQUIRE_SHARED") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def golden() -> Path:
    """Golden arrays of the evaluators."""
    return GOLDEN / "evaluators"


@pytest.fixture(scope="session")
def golden_generator() -> Path:
    """Golden arrays of the generator."""
    return GOLDEN / "generator"


@pytest.fixture(scope="session")
def synchformer_shapes(golden: Path) -> dict[str, list[int]]:
    return json.loads((golden / "synchformer_keys.json").read_text())
