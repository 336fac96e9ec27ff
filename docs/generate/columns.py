"""The page of columns: every table, ledger, index and feature file, from columns.toml."""

import importlib
import tomllib
from pathlib import Path
from typing import Any

HEAD = """# Tables, ledgers and files

Every file that the pipeline writes for others to read, with all its columns. Paths are below `results`. Parquet and
Arrow files are read with pandas or pyarrow: `pandas.read_parquet(path)`. A test compares this page with the code, and
with the files of a run.

Beside these there are JSON files: a model's `card.json` (what it is, what it was trained on, digests), a table's
`NAME.card.json` (the protocol card) and `judges.json` (the verdict on the judges).
"""


def tables() -> list[dict[str, Any]]:
    """The tables of columns.toml."""
    text = (Path(__file__).with_name("columns.toml")).read_text(encoding="utf-8")
    return list(tomllib.loads(text)["table"])


def page() -> str:
    """Text of the page."""
    parts = [HEAD]
    for table in tables():
        files = ", ".join(f"`{name}`" for name in table["files"] if not name.startswith("!"))
        parts += [f"## {table['title']}\n", " ".join(table["about"].split()) + "\n"]
        parts += [f"Files: {files}\n"] if files else []
        parts += ["| column | meaning |", "|---|---|"]
        parts += [f"| `{name}` | {meaning} |" for name, meaning in table["columns"].items()]
        parts.append("")
    return "\n".join(parts)


def names_in_code(schema: str) -> list[str]:
    """Columns of ``module:object`` or ``module:object[key]``: a schema, a judge, or a sequence of names."""
    module, _, rest = schema.partition(":")
    name, _, key = rest.removesuffix("]").partition("[")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    found = found[key] if key else found
    return list(getattr(found, "columns", getattr(found, "names", found)))
