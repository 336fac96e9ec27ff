"""The count of rooms and imports finds what is wrong, and the picture shows what there is."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.structure import circles, numbers, picture, read_structure

CONTRACTS = """
[[tool.importlinter.contracts]]
type = "layers"
layers = ["cafa.cli", "cafa.media", "cafa.common"]
[[tool.importlinter.contracts]]
type = "layers"
layers = ["metrics.tables", "metrics.functional"]
"""
FILES = {
    "cafa/common/files.py": "",
    "cafa/media/sound.py": "from cafa.common import files",
    "cafa/cli/generate.py": "def command():\n    from cafa.media.sound import read",
    "metrics/functional/frechet.py": "import cafa.common.files",
    "metrics/tables/write.py": "from metrics.functional import frechet",
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small house of five rooms in good order."""
    (tmp_path / "pyproject.toml").write_text(CONTRACTS)
    for name, text in FILES.items():
        for folder in (tmp_path / name).parents[:2][::-1]:
            folder.mkdir(exist_ok=True)
            (folder / "__init__.py").touch()
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_house_in_order(house: Path) -> None:
    found = numbers(read_structure(house), house)
    assert found == {
        "files": 12,
        "rooms": 5,
        "import edges": 4,
        "of these inside a room": 0,
        "arrows between rooms": 4,
        "arrows back up": 0,
        "circles of rooms": 0,
        "circles of files": 0,
    }


def test_an_import_inside_of_a_function_is_found(house: Path) -> None:
    (house / "cafa/common/files.py").write_text("def late():\n    import metrics.tables.write")
    structure = read_structure(house)
    found = numbers(structure, house)
    assert found["arrows back up"] == 1
    assert found["circles of rooms"] == found["circles of files"] == 1
    assert circles(structure.modules, structure.edges) == [
        ["cafa.common.files", "metrics.functional.frechet", "metrics.tables.write"]
    ]


def test_the_picture_has_every_room() -> None:
    structure = read_structure()
    drawn = {
        element.text for element in ElementTree.fromstring(picture(structure)).iter("{http://www.w3.org/2000/svg}text")
    }
    assert drawn == set(structure.rooms)


@pytest.mark.parametrize("package", ["cafa", "metrics"])
def test_the_page_on_the_architecture_has_a_row_for_every_room(package: str) -> None:
    root = Path(__file__).resolve().parents[2]
    rooms = {path.parent.name for path in (root / package).glob("*/__init__.py")}
    page = (root / "docs/architecture.md").read_text(encoding="utf-8")
    _, _, section = page.partition(f"### `{package}`, from the bottom up")
    rows = {name.rstrip("/") for name in re.findall(r"`([a-z_]+/)`", section.partition("\n### ")[0])}
    assert rooms <= rows
