import pytest

from tests.cafa.training.tiny import TinyWorld


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> TinyWorld:
    """Features and one model of each kind."""
    world = TinyWorld(tmp_path_factory.mktemp("tiny"))
    world.backbone()
    world.adapter()
    world.joint()
    return world
