"""The image's recipe, as far as it can be checked without a container engine."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINES = (ROOT / "Containerfile").read_text().splitlines()


def words(instruction: str) -> list[list[str]]:
    return [line.split()[1:] for line in LINES if line.startswith(f"{instruction} ")]


def test_everything_that_is_copied_is_there_and_tracked() -> None:
    copied = [source for line in words("COPY") for source in line[:-1]]
    assert {"pyproject.toml", "envs", "cafa", "metrics", "workflow", "config", "Snakefile"} <= set(copied)
    assert not [source for source in copied if not (ROOT / source).exists()]


def test_it_installs_what_make_installs() -> None:
    (command,) = words("RUN")
    recipe = re.search(r"^\tbash (envs/install\.sh) \S+ (envs/lock\.txt)$", (ROOT / "Makefile").read_text(), re.M)
    assert recipe is not None
    assert command == ["bash", recipe[1], "python", recipe[2]]


def test_its_python_is_that_of_the_lock() -> None:
    ((image,),) = words("FROM")
    assert image.rpartition(":")[2].startswith("3.11")
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text()
