"""A small data set for pretrained judges, and the embeddings of its clips."""

from pathlib import Path
from typing import Any

import pytest

from tests.metrics.embedding.small_set import Place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_weights: dict[str, Any]) -> Place:
    return Place(tmp_path_factory.mktemp("set"), tiny_weights)


@pytest.fixture(scope="module")
def truth(place: Place) -> list[Path]:
    return place.truth()
