"""One page for each room of the libraries: the docstrings of its public functions and classes."""

import ast
from pathlib import Path

from tests.structure import PACKAGES

#: The command line has a page of its own.
LEFT_OUT = ("cafa.cli",)
#: Pages for people come before these in the results of a search.
GUIDES_FIRST = "---\nsearch:\n  boost: 0.5\n---\n\n"
HEAD = """# Python

Two libraries that can be used without the workflow: `cafa` makes sound, `metrics` judges it. Each room has a page, made
from the docstrings. Names that begin with an underscore are not for others.

| page | what is in it |
|---|---|
"""


def rooms(root: Path) -> list[str]:
    """Rooms that have a page, as modules; the packages themselves have one, too."""
    found = [f"{package}.{path.parent.name}" for package in PACKAGES for path in (root / package).glob("*/__init__.py")]
    return sorted(set(found) - set(LEFT_OUT))


def pages(root: Path) -> dict[str, str]:
    """Pages of all rooms by their path on the site."""
    found = {}
    for package in PACKAGES:
        found[f"reference/api/{package}.md"] = _page(root, package, [root / package / "__init__.py"])
        for room in [room for room in rooms(root) if room.startswith(f"{package}.")]:
            found[f"reference/api/{room}.md"] = _page(root, room, sorted((root / room.replace(".", "/")).rglob("*.py")))
    rows = [f"| [`{Path(path).stem}`](api/{Path(path).name}) | {_first_line(page)} |" for path, page in found.items()]
    found = {path: GUIDES_FIRST + page for path, page in found.items()}
    return {"reference/api.md": HEAD + "\n".join(rows) + "\n", **found}


def _first_line(page: str) -> str:
    lines = [line for line in page.splitlines()[1:] if line.strip()]
    return lines[0] if lines and not lines[0].startswith("#") else ""


def _page(root: Path, room: str, files: list[Path]) -> str:
    parts = [f"# `{room}`\n"]
    for path in files:
        module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if module == room:
            parts.insert(1, f"{ast.get_docstring(tree) or ''}\n")
        elif _is_documented(tree):
            parts.append(f"## `{module}`\n\n::: {module}\n")
    return "\n".join(parts)


def _is_documented(tree: ast.Module) -> bool:
    """Whether there is something to show: a docstring, or a public function or class."""
    return bool(ast.get_docstring(tree)) or any(
        isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") for node in tree.body
    )
