"""Where a function runs: here, or wherever whoever gives a :data:`Work` has it run."""

from collections.abc import Callable
from typing import Any

#: Calls a function of a module with what is given, and gives its result. `cafa.service.apart` has one that runs it in a
#: process of its own.
Work = Callable[..., Any]


def here(function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
    """Call a function in this process."""
    return function(*given, **named)
