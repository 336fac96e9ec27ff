"""What is wrong with a configuration, in the few lines of a schema's answer that help."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Protocol

#: Characters of a message that are said: some hold the whole value.
LONGEST = 500


class Problem(Protocol):
    """What is used of a `jsonschema.ValidationError`."""

    message: str
    absolute_path: Iterable[Any]
    validator: Any
    instance: Any
    schema: Any


def said_shortly(problem: Problem) -> str:
    """The key, what is wrong with it, what the key is, and what may have been meant.

    Parameters
    ----------
    problem : jsonschema.ValidationError
        The one that is to be told, as :func:`jsonschema.exceptions.best_match` picks it.
    """
    key = ".".join(map(str, problem.absolute_path))
    message = problem.message if len(problem.message) <= LONGEST else f"{problem.message[:LONGEST]}..."
    lines = [f"config {key}: {message}" if key else f"config: {message}"]
    if problem.validator == "additionalProperties":
        known = sorted(problem.schema.get("properties", {}))
        unknown = [name for name in problem.instance if name not in known]
        near = {name: match[0] for name in unknown if (match := get_close_matches(str(name), known, 1))}
        lines += [f"did you mean {near[name]} for {name}?" for name in near]
        lines.append(f"keys that are known {'in ' + key if key else 'there'}: {', '.join(known)}")
    elif "description" in problem.schema:
        lines.append(f"{key} is: {problem.schema['description']}")
    return "\n".join(lines)
