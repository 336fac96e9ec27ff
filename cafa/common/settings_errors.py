"""What is wrong with settings, in a line for each field: pydantic's own text names types and a page of its manual."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

#: Characters of a value that are said: some are whole tables.
LONGEST = 80


def settings_said(error: ValidationError, model: Any = None) -> str:
    """A line for each field: which, what is wrong with it, what was found, and which fields there are.

    Parameters
    ----------
    error : ValidationError
        What pydantic found.
    model : type or annotation, optional
        What was validated; without it the fields that there are cannot be listed.
    """
    lines, listed = [], set()
    for one in error.errors(include_url=False):
        line = _line(one)
        if one["type"] == "extra_forbidden" and (known := _known(one["loc"], model)):
            near = get_close_matches(str(one["loc"][-1]), known, 1)
            line += f"; did you mean {near[0]}?" if near else ""
            if known not in listed:  # a file of something else has many fields that there are not
                line += f"{'' if near else '.'} There are {', '.join(known)}"
            listed.add(known)
        lines.append(line)
    return "\n".join(lines)


def fault_of(one: ErrorDetails) -> str:
    """What is wrong with one field, without its name; faults that a validator of ours finds say it in our words."""
    return one["msg"].removeprefix("Value error, ")


def found_in(one: ErrorDetails) -> str:
    """What stands in one field, cut where it is long."""
    found = repr(one["input"])
    return found if len(found) <= LONGEST else f"{found[:LONGEST]}..."


def _line(one: ErrorDetails) -> str:
    name = ".".join(map(str, one["loc"]))
    where = f"{name}: " if name else ""  # the whole has no name
    if one["type"] == "extra_forbidden":
        return f"{where}there is no such setting"
    if one["type"] == "missing":
        return f"{where}has to be given"
    if one["type"] == "value_error":  # ours, which say what they found
        return f"{where}{fault_of(one)}"
    return f"{where}{fault_of(one)}, got {found_in(one)}"


def _known(place: Sequence[int | str], model: Any) -> tuple[str, ...]:
    """Fields that could stand where one is that there is not."""
    models = list(_models(model))
    for part in place[:-1]:
        inner = [entry.model_fields[part].annotation for entry in models if part in entry.model_fields]
        models = [found for annotation in inner for found in _models(annotation)] or models
    return tuple(sorted({field.alias or name for entry in models for name, field in entry.model_fields.items()}))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Models that an annotation names: itself, or those of a union or a container."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in get_args(annotation):
        yield from _models(part)
