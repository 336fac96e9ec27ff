"""Batches in as many parts as the memory of a device asks for."""

import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

from cafa.common.errors import CafaError

Item = TypeVar("Item")
Made = TypeVar("Made")


class FittingBatches:
    """Makes something of batches; one that memory does not hold is halved, and so are those after it.

    An item must not depend on the others of its batch.

    Parameters
    ----------
    what : str
        What an item is, for messages.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._most: int | None = None

    def __call__(self, make: Callable[[Sequence[Item]], Made], items: Sequence[Item]) -> list[Made]:
        """What `make` gives of the parts of a batch, in order.

        Parameters
        ----------
        make : callable (items) -> what is made
        items : sequence

        Raises
        ------
        CafaError
            If memory does not hold a single item.
        """
        made: list[Made] = []
        while items:
            part = items[: self._most]
            short = self._tried(make, part, made)
            if short is None:
                items = items[len(part) :]
            elif len(part) == 1:
                raise CafaError(
                    f"memory does not hold one {self._what}: take a shorter window (`latents`, `seconds`) or 16 bits "
                    f"(`half`), or free the device of other processes. It said: {short}"
                )
            else:
                self._most = (len(part) + 1) // 2
                warnings.warn(
                    f"memory does not hold {len(part)} {self._what}s at once: from now on {self._most} are made at "
                    "once, which are the same to rounding",
                    stacklevel=2,
                )
        return made

    def _tried(self, make: Callable[[Sequence[Item]], Made], part: Sequence[Item], made: list[Made]) -> str | None:
        """Add what is made of a part; or say what the device said, with its memory given back."""
        try:
            made.append(make(part))
            return None
        except RuntimeError as error:
            # seconds to import, for what is seldom
            from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

            if not should_reduce_batch_size(error):
                raise
            said = str(error).splitlines()[0]
        clear_device_cache()  # only here: the error holds what was computed until it came
        return said
