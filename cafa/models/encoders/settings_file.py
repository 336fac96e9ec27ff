"""Settings of a frozen network from the configuration that is published with its weights."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from cafa.common.errors import WeightsError
from cafa.common.settings_errors import fault_of, found_in

#: what helps, whatever is wrong
REMEDY = "put the file there that is published with the weights"


class PublishedSettings(BaseModel):
    """Sizes of a network by their published names; a field that is not given has the default of its class."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    #: what is described, for messages: ``"a T5 encoder"``
    network: ClassVar[str]
    #: entry that holds the settings where a file describes a larger model
    part: ClassVar[str] = ""

    @classmethod
    def from_file(cls, file: Path) -> Self:
        """From a JSON file such as ``config.json``.

        Raises
        ------
        WeightsError
            If the file is missing, is no JSON, or describes another network.
        """
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise WeightsError(f"there is no file {file}, which describes {cls.network}: {REMEDY}") from error
        except ValueError as error:
            raise WeightsError(f"{file} does not describe {cls.network}: it is not JSON ({error}); {REMEDY}") from error
        return cls.from_sizes(content.get(cls.part, content) if isinstance(content, dict) else content, file)

    @classmethod
    def from_sizes(cls, sizes: Mapping[str, Any], file: Path) -> Self:
        """From what was read of `file`, in whatever form.

        Raises
        ------
        WeightsError
            If they are those of another network: every field that is wrong, and what was found.
        """
        try:
            return cls.model_validate(sizes)
        except ValidationError as error:
            wrong = "; ".join(_said(problem) for problem in error.errors(include_url=False))
            raise WeightsError(f"{file} does not describe {cls.network}: {wrong}; {REMEDY}") from error


def _said(problem: ErrorDetails) -> str:
    where = ".".join(map(str, problem["loc"]))
    return f"{where} is {found_in(problem)}: {fault_of(problem)}" if where else fault_of(problem)
