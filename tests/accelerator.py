"""An accelerator that is not there: what a GPU would be waited for in a loop is found on a machine without one.

Tensors are on torch's device ``meta``, which has shapes and no values. Whatever needs a value of the device, as
``float(loss)`` or ``if mask.any()``, raises there, and so does an operation on tensors of two devices. A copy from the
host that waits until the device has done all that it was given is recorded.
"""

import contextlib
import traceback
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

META = torch.device("meta")


class Waits(TorchDispatchMode):
    """Collects the places where the host, while it copies to the device, waits for it.

    Attributes
    ----------
    found : list of str
        ``file:line`` of the code that called torch, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func is torch.ops.aten._to_copy.default:
            source, waits = args[0], not kwargs.get("non_blocking")
        elif func is torch.ops.aten.copy_.default:
            source, waits = args[1], not (args[2:] or [kwargs.get("non_blocking")])[0]
        else:
            return out
        if waits and out.device == META != source.device:
            ours = [frame for frame in traceback.extract_stack()[:-1] if "/torch/" not in frame.filename]
            self.found.append(f"{ours[-1].filename}:{ours[-1].lineno}")
        return out


def without_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what runs under autocast run on ``meta``, which has none."""
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: contextlib.nullcontext())
