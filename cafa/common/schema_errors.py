"""What is wrong with a configuration, in the few lines of a schema's answer that help."""

import json
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

from cafa.common.yaml_text import load_yaml

#: Characters of a message that are said: some hold the whole value.
LONGEST = 500


class Problem(Protocol):
    """What is used of a `jsonschema.ValidationError`."""

    message: str
    absolute_path: Iterable[Any]
    validator: Any
    instance: Any
    schema: Any


def said_shortly(problem: Problem, schemas: Path) -> str:
    """The key, what is wrong with it, what the key is, and what may have been meant.

    Parameters
    ----------
    problem : jsonschema.ValidationError
        The one that is to be told, as :func:`jsonschema.exceptions.best_match` picks it.
    schemas : Path
        Folder of the schemas, one of which a part of another may refer to.
    """
    key = ".".join(map(str, problem.absolute_path))
    message = problem.message if len(problem.message) <= LONGEST else f"{problem.message[:LONGEST]}..."
    lines = [f"config {key}: {message}" if key else f"config: {message}"]
    if problem.validator in ("additionalProperties", "unevaluatedProperties"):
        known = sorted(_known(problem.schema, schemas))
        unknown = [name for name in problem.instance if name not in known]
        near = {name: match[0] for name in unknown if (match := get_close_matches(str(name), known, 1))}
        lines += [f"did you mean {near[name]} for {name}?" for name in near]
        lines.append(f"keys that are known {'in ' + key if key else 'there'}: {', '.join(known)}")
    elif "description" in problem.schema:
        lines.append(f"{key} is: {problem.schema['description']}")
    return "\n".join(lines)


def _known(schema: Any, schemas: Path) -> set[str]:
    """Keys of a part of a schema, and of the part of another file that it refers to."""
    known = set(schema.get("properties", {}))
    file, _, pointer = schema.get("$ref", "").partition("#/")
    if file:
        part = read_schema(schemas / file)
        for step in pointer.split("/"):
            part = part[step]
        known |= set(part.get("properties", {}))
    return known


def read_schema(file: Path) -> Any:
    """A schema from a file of JSON or YAML."""
    text = file.read_text("utf-8")
    return json.loads(text) if file.suffix == ".json" else load_yaml(text)
