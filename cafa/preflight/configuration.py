"""The workflow's configuration as it is read from files: laid over each other, and checked key by key."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from cafa.common.errors import InputError
from cafa.common.schema_errors import read_schema, said_shortly
from cafa.common.yaml_text import load_yaml

#: Mappings whose entries have names of the user's choice: null takes out one that a file below has. `judges`, and the
#: `prompts` of a data set, are not among them: their readers know null themselves.
NAMED = (
    "datasets",
    "backbones",
    "adapters",
    "pretrained.models",
    "systems",
    "tables",
    "figure.curves",
    "conflict.systems",
    "conflict.levels",
)


def read_configuration(paths: Sequence[str | Path]) -> dict[str, Any]:
    """Configurations laid over each other, as Snakemake does: mappings are joined, all else is replaced.

    Raises
    ------
    InputError
        If one is not there, or is no mapping.
    """
    found: dict[str, Any] = {}
    for path in paths:
        if not Path(path).is_file():
            raise InputError(f"no configuration at {path}")
        try:
            entry = load_yaml(Path(path).read_text("utf-8"))
        except yaml.YAMLError as error:
            raise InputError(f"configuration {path} cannot be read: {error}") from error
        if entry is None:
            raise InputError(f"configuration {path} holds no key, at most comments: write one, or leave the file out")
        if not isinstance(entry, Mapping):
            raise InputError(f"configuration {path} must be a mapping, got {type(entry).__name__}")
        _lay_over(found, entry)
    return found


def _lay_over(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            _lay_over(base[key], value)
        else:
            base[key] = dict(value) if isinstance(value, Mapping) else value


def take_out_nulls(config: dict[str, Any]) -> None:
    """Take out of the mappings :data:`NAMED` what is null, in place: an entry that another file switches off.

    What is no mapping is left for the schema to refuse.
    """
    for place in NAMED:
        entries: Any = config
        for key in place.split("."):
            entries = entries.get(key) if isinstance(entries, dict) else None
        if isinstance(entries, dict):
            for name in [name for name, entry in entries.items() if entry is None]:
                del entries[name]


def check_keys(config: Mapping[str, Any], schema: Path) -> None:
    """Check a whole configuration against the schema of the workflow, as the workflow does at each start.

    Parameters
    ----------
    config : mapping
        From :func:`read_configuration`, without the nulls that :func:`take_out_nulls` takes out.
    schema : Path
        ``config.schema.yaml``; the schemas that it refers to lie beside it.

    Raises
    ------
    InputError
        If a key is not known or has a value that it cannot have; names it, and what may have been meant.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry, Resource

    files = {file.resolve().as_uri(): read_schema(file) for file in schema.parent.glob("*.schema.*")}
    registry = Registry().with_resources((name, Resource.from_contents(part)) for name, part in files.items())
    validator = Draft202012Validator({"$ref": schema.resolve().as_uri()}, registry=registry)
    if problem := best_match(validator.iter_errors(config)):
        raise InputError(said_shortly(problem, schema.parent))
