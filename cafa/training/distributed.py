"""Several processes that train one model: accelerate runs them, and N processes equal one to rounding.

A batch and all that is drawn for it (times, noise, dropped captions, dropout) belong to the batch number, not to the
process: every process draws for the whole batch and keeps its own part. Gradients are averaged by accelerate.
"""

import contextlib
import os
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from cafa.common.errors import CafaError, InputError
from cafa.common.signals import EndedBySignal, end_when_asked, passed_on

Items = TypeVar("Items", Tensor, Sequence[Any])


@dataclass(frozen=True)
class Share:
    """The part of every batch that one of `count` processes has."""

    rank: int = 0
    count: int = 1

    def of(self, items: Items) -> Items:
        """This process's part of the items of a whole batch; the number of items is a multiple of `count`."""
        if self.count == 1:
            return items
        size = len(items) // self.count
        return items[self.rank * size : (self.rank + 1) * size]


WHOLE = Share()


def check_dealt(batch_size: int, count: int) -> None:
    """Refuse a batch that cannot be divided evenly."""
    if batch_size % count:
        raise InputError(f"a batch of {batch_size} clips cannot be divided among {count} processes: give each as many")


class SharedDropout(nn.Module):
    """Dropout whose mask is that of the whole batch, of which this process keeps its part."""

    def __init__(self, probability: float, share: Share) -> None:
        super().__init__()
        self.probability, self.share = probability, share

    def forward(self, x: Tensor) -> Tensor:
        """Items first, as everywhere."""
        if not self.training:
            return x
        whole = torch.ones(len(x) * self.share.count, *x.shape[1:], dtype=x.dtype, device=x.device)
        return x * self.share.of(functional.dropout(whole, self.probability))


class Processes:
    """This process alone, or one of several that were launched together.

    Parameters
    ----------
    accelerator : accelerate.Accelerator, optional
        None = alone.

    Attributes
    ----------
    share : Share
    main : bool
        Whether this process writes.
    """

    def __init__(self, accelerator: Any = None) -> None:
        self._accelerator = accelerator
        self._launcher = os.getppid()
        self.share = WHOLE if accelerator is None else Share(accelerator.process_index, accelerator.num_processes)
        self.main = self.share.rank == 0

    def device(self, wanted: str) -> torch.device:
        """The device of this process."""
        return torch.device(wanted) if self._accelerator is None else self._accelerator.device

    def prepare(self, objective: nn.Module) -> nn.Module:
        """The module whose backward pass averages gradients over the processes."""
        if self._accelerator is None:
            return objective
        for module in list(objective.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Dropout) and child.p:
                    setattr(module, name, SharedDropout(child.p, self.share))
        return self._accelerator.prepare_model(objective)

    def averaging(self, objective: nn.Module, now: bool) -> AbstractContextManager[Any]:
        """Context of a backward pass: gradients are averaged in the last one of an optimiser step only."""
        if self._accelerator is None or now:
            return contextlib.nullcontext()
        return self._accelerator.no_sync(objective)

    def mean(self, values: Mapping[Any, float]) -> dict[Any, float]:
        """Mean of each value over the processes."""
        if self._accelerator is None:
            return dict(values)
        # Backends of some devices have no float64.
        mine = torch.tensor(list(values.values()), dtype=torch.float32, device=self._accelerator.device)
        return dict(zip(values, self._accelerator.reduce(mine, "mean").tolist(), strict=True))

    def check(self) -> None:
        """End if the launcher is gone: another run of the same command may be on its way."""
        if self._accelerator is not None and os.getppid() != self._launcher:
            raise CafaError("the process that launched this one is gone")

    def wait(self) -> None:
        """Wait until all processes have come here."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()

    def close(self) -> None:
        """Leave the group."""
        if self._accelerator is not None:
            self._accelerator.end_training()
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()


ALONE = Processes()


def launched() -> bool:
    """Whether this process was started by a launcher (ours, torchrun, `accelerate launch`)."""
    return {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys()


def join(device: str) -> Processes:
    """This process as one of those that were launched with it; alone if none were."""
    if not launched():
        return ALONE
    from accelerate import Accelerator, DistributedDataParallelKwargs

    # Gradients need no second copy. Where unused parameters are looked for, buckets stay as they are at the start;
    # otherwise the first step of every start has others than the rest, and with more than two processes other sums: a
    # run that was resumed would differ in the last bits from one that was not.
    how = DistributedDataParallelKwargs(gradient_as_bucket_view=True, find_unused_parameters=True)
    warnings.filterwarnings("ignore", message=r"find_unused_parameters=True was specified")
    return Processes(Accelerator(cpu=torch.device(device).type == "cpu", kwargs_handlers=[how]))


def launch(count: int, device: str, function: Callable[..., None], *arguments: Any, method: str = "spawn") -> None:
    """Run ``function(*arguments)`` in `count` processes of this machine, one per GPU, and wait for them.

    Parameters
    ----------
    count : int
    device : str
    function : callable
        Of a module, picklable; calls :func:`join`.
    *arguments
        Picklable.
    method : str
        How processes are started.

    Raises
    ------
    InputError
        If there are fewer GPUs than processes.
    CafaError
        If a process failed; the others are ended.
    EndedBySignal
        If the processes were asked to end, and have ended.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    cpu = torch.device(device).type == "cpu"
    if not cpu and (found := torch.cuda.device_count()) < count:
        raise InputError(f"{count} processes need as many GPUs, and {found} are visible: lower --processes")
    if cpu:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method=method,
        signals_to_handle="SIGINT,SIGHUP,SIGQUIT",
    )
    try:
        # The launcher would kill processes half a minute after SIGTERM, in the middle of saving: ours waits for them.
        with passed_on():
            ends = elastic_launch(config, _ended)(function, *arguments)
    except ChildFailedError as error:
        first = error.get_first_failure()[1]
        raise CafaError(
            f"process {first.local_rank} of {count} failed (exit code {first.exitcode}), and the others were ended: "
            "its own message is above; the same command continues from the last saved state"
        ) from error
    if ended := [end for end in ends.values() if end is not None]:
        raise EndedBySignal(ended[0])


def _ended(function: Callable[..., None], *arguments: Any) -> str | None:
    """Run a function in a process of its own; says how it ended if it was asked to, for the launcher to raise."""
    end_when_asked()
    try:
        function(*arguments)
    except EndedBySignal as ended:
        return str(ended)
    return None
