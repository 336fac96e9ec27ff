"""Settings of a frozen network from the configuration that is published with its weights."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cafa.common.errors import WeightsError

#: what helps, whatever is wrong
REMEDY = "put the file there that is published with the weights"
#: characters of a value that are said
LONGEST = 60

Settings = TypeVar("Settings", bound=BaseModel)


def read_settings(kind: type[Settings], file: Path, network: str, part: str = "") -> Settings:
    """Settings from a JSON file such as ``config.json``; a field that it lacks has the default of its class.

    Parameters
    ----------
    kind : type of BaseModel
    file : Path
    network : str
        What the file should describe, for the message: ``"a T5 encoder"``.
    part : str, optional
        Entry that holds the settings where the file describes a larger model.

    Raises
    ------
    WeightsError
        If the file is missing, is no JSON, or describes another network.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WeightsError(f"there is no file {file}, which describes {network}: {REMEDY}") from error
    except ValueError as error:
        raise WeightsError(f"{file} does not describe {network}: it is not JSON ({error}); {REMEDY}") from error
    inner = content.get(part, content) if part and isinstance(content, dict) else content
    return checked_settings(kind, inner, file, network)


def checked_settings(kind: type[Settings], content: Any, file: Path, network: str) -> Settings:
    """Settings from what was read of `file`.

    Parameters
    ----------
    kind : type of BaseModel
    content : object
    file : Path
        Where the content is from, for the message.
    network : str
        What it should describe, for the message.

    Raises
    ------
    WeightsError
        If it describes another network: every field that is wrong, and what was found.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        wrong = "; ".join(_said(problem) for problem in error.errors(include_url=False))
        raise WeightsError(f"{file} does not describe {network}: {wrong}; {REMEDY}") from error


def _said(problem: Any) -> str:
    where = ".".join(map(str, problem["loc"]))
    found = repr(problem["input"])
    short = found if len(found) <= LONGEST else f"{found[:LONGEST]}..."
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where} is {short}: {message}" if where else message
