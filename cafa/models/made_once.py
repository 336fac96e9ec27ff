"""What does not depend on the step of a sampling run, kept between its steps."""

from collections.abc import Callable
from typing import TypeVar

import torch

Made = TypeVar("Made")


class MadeOnce:
    """What layers make of text or video alone: for all steps of a sampling run it is made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[object, int], object] = {}

    def once(self, layer: object, items: int, make: Callable[[], Made]) -> Made:
        """What `make` gives for a layer and so many items; kept only where no gradient could be wanted of it."""
        if torch.is_grad_enabled():
            return make()
        found = self._made.get((layer, items))
        if found is None:
            found = self._made[layer, items] = make()
        return found  # type: ignore[return-value]  # of one layer it is always of one type
