"""One finding of the checks before a run."""

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """Something that will stop a run (``error``), or may (``warning``), and what to do."""

    kind: Literal["error", "warning"]
    text: str
