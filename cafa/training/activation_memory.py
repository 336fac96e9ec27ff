"""What a training step holds in memory, and which blocks have to be run again so that it fits."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

Recomputed = Literal["none", "adapter", "all"]
#: from the fastest to the one that holds least
CHOICES: tuple[Recomputed, ...] = ("none", "adapter", "all")
#: share of the free memory that a step may take: the rest is for what operations need while they run, and for gaps
USABLE = 0.85


@dataclass(frozen=True)
class Choice:
    """Which blocks are run again, and why.

    Parameters
    ----------
    recomputed : str
    needed : mapping of str to int
        Bytes that a step needs with each choice that was worked out.
    free : int or None
        Bytes that were free; None where the device does not say, so that nothing was worked out.
    """

    recomputed: Recomputed
    needed: Mapping[str, int]
    free: int | None

    def on_card(self) -> dict[str, Any]:
        """As the model's card tells it."""
        needed = {name: round(size / 1e9, 2) for name, size in self.needed.items()}
        free = None if self.free is None else round(self.free / 1e9, 2)
        return {"gradient_checkpointing": self.recomputed, "needed_gb": needed, "free_gb": free}


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a GPU, what torch has reserved for later included; None of other devices."""
    if device.type != "cuda":
        return None
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


def held_bytes(step: Callable[[], Tensor], parameters: Iterable[Tensor]) -> int:
    """Bytes that are held from a forward pass for its backward pass.

    Parameters
    ----------
    step : callable () -> Tensor
        The forward pass, with gradients.
    parameters : iterable of Tensor
        Held anyway, and not counted.
    """
    own = {tensor.untyped_storage().data_ptr() for tensor in parameters}
    held: dict[int, torch.UntypedStorage] = {}  # which keeps them, so that none takes the place of another

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage
        return tensor

    with saved_tensors_hooks(count, lambda tensor: tensor), torch.enable_grad():
        step()
    return sum(storage.nbytes() for storage in held.values())


def choose(
    held: Callable[[Recomputed], int], items: int, blocks: int, trainable: Iterable[Tensor], free: int | None
) -> Choice:
    """The fastest choice that fits; the one that holds least if none does.

    Parameters
    ----------
    held : callable (choice) -> int
        Bytes held of one item, see :func:`held_bytes`.
    items : int
        In memory at once.
    blocks : int
        Of each of the two networks; a block that is run again holds its share for that time.
    trainable : iterable of Tensor
        Have a gradient, two moments of the optimiser and a moving average.
    free : int or None
        Bytes; None where the device does not say: nothing is run again.
    """
    if free is None:
        return Choice("none", {}, None)
    states = 4 * sum(tensor.nbytes for tensor in trainable)
    needed: dict[str, int] = {}
    for choice in CHOICES:
        own = held(choice)
        whole = needed["none"] - states if needed else items * own
        again = 0 if choice == "none" else whole // blocks
        needed[choice] = states + items * own + again
        if needed[choice] <= USABLE * free:
            return Choice(choice, needed, free)
    return Choice("all", needed, free)
