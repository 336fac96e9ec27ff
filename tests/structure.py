"""Rooms of the two libraries and the imports between them: as numbers, as a list, as a picture.

    python -m tests.structure                      # numbers, arrows between rooms, arrows back up, circles
    python -m tests.structure --svg rooms.svg      # the picture of docs/architecture.md

A room is a package directly below `cafa` or `metrics`. Imports inside functions count like those at the top of a file,
so a circle cannot hide. `tests/test_house.py` fails on an arrow back up or a circle.
"""

import argparse
import ast
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cafa", "metrics")
#: `cafa`'s command line calls what judges; it stands above both libraries.
TOP = "cafa.cli"
WIDTH, ROW, BOX, HEIGHT = 900, 70, 146, 34

Edge = tuple[str, str]


class Structure(NamedTuple):
    """Imports of the libraries.

    Attributes
    ----------
    modules : tuple of str
    edges : frozenset of (str, str)
        (module that imports, module that is imported).
    """

    modules: tuple[str, ...]
    edges: frozenset[Edge]

    @property
    def rooms(self) -> list[str]:
        """Packages directly below the libraries, by name."""
        return sorted({room for module in self.modules if (room := room_of(module))})

    @property
    def arrows(self) -> Counter[Edge]:
        """(room that imports, room that is imported) -> imports."""
        pairs = ((room_of(first), room_of(second)) for first, second in self.edges)
        return Counter((first, second) for first, second in pairs if first and second and first != second)

    def up(self, floors: Mapping[str, int]) -> list[Edge]:
        """Imports between rooms that lead to a room of the same or a higher floor."""
        wrong = []
        for first, second in sorted(self.edges):
            above, below = room_of(first), room_of(second)
            if above in floors and below in floors and above != below and floors[above] <= floors[below]:
                wrong.append((first, second))
        return wrong


def room_of(module: str) -> str:
    """``cafa.media.sound`` -> ``cafa.media``; empty for files that stand in no room (`cafa`, `cafa.__main__`)."""
    room = ".".join(module.split(".")[:2])
    return room if "." in room and not room.endswith("__") else ""


def imported(source: str) -> Iterator[str]:
    """Full names that a file imports, as modules or as names inside of them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def read_structure(root: Path = ROOT) -> Structure:
    """Read the imports of all files of the libraries below `root`."""
    files = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    edges = set()
    for module, path in files.items():
        for name in imported(path.read_text(encoding="utf-8")):
            target = name if name in files else name.rpartition(".")[0]
            if target in files and target != module:
                edges.add((module, target))
    return Structure(tuple(files), frozenset(edges))


def circles(nodes: Collection[str], edges: Collection[Edge]) -> list[list[str]]:
    """Groups of nodes each of which reaches all others (strongly connected, more than one node)."""
    reach = {node: reachable(node, edges) for node in nodes}
    groups = {tuple(sorted({node} | {other for other in reach[node] if node in reach[other]})) for node in nodes}
    return [list(group) for group in sorted(groups) if len(group) > 1]


def reachable(node: str, edges: Collection[Edge]) -> set[str]:
    """Nodes that can be reached from one along edges."""
    following: dict[str, set[str]] = {}
    for first, second in edges:
        following.setdefault(first, set()).add(second)
    found: set[str] = set()
    waiting = [node]
    while waiting:
        new = following.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def allowed_floors(root: Path = ROOT) -> dict[str, int]:
    """Floor of each room by the layers of the import contracts in `pyproject.toml`; metrics stand above cafa."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = {c["layers"][0].split(".")[0]: c["layers"] for c in contracts if c["type"] == "layers"}
    floors: dict[str, int] = {}
    for package in PACKAGES:
        start = max(floors.values(), default=-1) + 1
        for floor, layer in enumerate(reversed(layers[package]), start):
            floors |= {room.strip(): floor for room in layer.split("|")}
    floors[TOP] = max(floors.values()) + 1
    return floors


def without_shortcuts(edges: Collection[Edge]) -> list[Edge]:
    """Edges that do not follow from others (transitive reduction of a graph without circles)."""
    return sorted(edge for edge in edges if edge[1] not in reachable(edge[0], set(edges) - {edge}))


def places(rooms: Collection[str], edges: Collection[Edge]) -> dict[str, tuple[float, float]]:
    """Middle of each room's box: every arrow leads down, and rooms stand near those that they use."""
    floor: dict[str, int] = {}
    while len(floor) < len(rooms):
        for room in sorted(set(rooms) - set(floor)):
            below = {second for first, second in edges if first == room}
            if below <= set(floor):
                floor[room] = max((floor[other] for other in below), default=-1) + 1
    top = max(floor.values())
    found: dict[str, tuple[float, float]] = {}
    for level in range(top + 1):
        row = [room for room in sorted(floor) if floor[room] == level]

        def wish(room: str) -> float:
            uses = [found[second][0] for first, second in edges if first == room]
            return (sum(uses) / len(uses) if uses else WIDTH / 2) + (60 if room.startswith("metrics") else -60)

        for place, room in enumerate(sorted(row, key=wish)):
            found[room] = (WIDTH * (place + 1) / (len(row) + 1), (top - level) * ROW + 30)
    return found


def picture(structure: Structure) -> str:
    """The rooms as SVG; an arrow leads from the room that imports. Arrows that follow from others are left out."""
    arrows = without_shortcuts(set(structure.arrows))
    place = places(structure.rooms, set(structure.arrows))
    height = max(y for _, y in place.values()) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif" '
        'font-size="13"><title>Rooms of cafa and metrics, and which imports which</title>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#667"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height:.0f}" rx="8" fill="#fff"/>',
    ]
    for first, second in arrows:
        (x1, y1), (x2, y2) = place[first], place[second]
        start, end = y1 + HEIGHT / 2, y2 - HEIGHT / 2 - 1
        parts.append(
            f'<path d="M{x1:.0f} {start:.0f}C{x1:.0f} {start + 30:.0f} {x2:.0f} {end - 30:.0f} {x2:.0f} {end:.0f}" '
            'fill="none" stroke="#99a" stroke-width="1.2" marker-end="url(#tip)"/>'
        )
    for room, (x, y) in place.items():
        fill = "#e3edf9" if room.startswith("cafa") else "#e9f4e4"
        left, top = x - BOX / 2, y - HEIGHT / 2
        parts.append(
            f'<rect x="{left:.0f}" y="{top:.0f}" width="{BOX}" height="{HEIGHT}" rx="6" fill="{fill}" '
            f'stroke="#667"/><text x="{x:.0f}" y="{y + 4.5:.0f}" text-anchor="middle" fill="#223">{room}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def numbers(structure: Structure, root: Path = ROOT) -> dict[str, int | float]:
    """Counts that say how well the rooms are cut."""
    arrows, inside = structure.arrows, sum(room_of(a) == room_of(b) for a, b in structure.edges)
    return {
        "files": len(structure.modules),
        "rooms": len(structure.rooms),
        "import edges": len(structure.edges),
        "of these inside a room": inside,
        "arrows between rooms": len(arrows),
        "arrows back up": len(structure.up(allowed_floors(root))),
        "circles of rooms": len(circles(structure.rooms, set(arrows))),
        "circles of files": len(circles(structure.modules, structure.edges)),
    }


def main() -> None:
    """Print the numbers and the arrows; write the picture if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--svg", type=Path, help="write the picture to this file")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder that holds cafa, metrics and pyproject.toml")
    arguments = parser.parse_args()
    structure = read_structure(arguments.root)
    for name, count in numbers(structure, arguments.root).items():
        print(f"{name}: {count}")
    for (first, second), count in sorted(structure.arrows.items()):
        print(f"{first} -> {second}: {count}")
    for first, second in structure.up(allowed_floors(arguments.root)):
        print(f"back up: {first} -> {second}")
    for group in circles(structure.modules, structure.edges):
        print(f"circle: {', '.join(group)}")
    if arguments.svg:
        arguments.svg.write_text(picture(structure), encoding="utf-8")


if __name__ == "__main__":
    main()
