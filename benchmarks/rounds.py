"""Several ways of doing the same work: each in a process of its own, in turns, over several rounds.

A way is a function that takes its turns one at a time and works in each::

    def naive(clips: int, turns: Iterator[Turn]) -> None:
        model = open_model()           # not measured
        for turn in turns:             # the first one warms up
            turn.value = model.generate(clips)

Between two turns of a way every other way has one, so whatever else the machine does slows all ways of a round alike.
Processes are forked from the one that measures: what it has imported is there, and that is not measured. Such a
process must not have computed before, with torch or on a GPU, or the locks and threads of these libraries would be
missing in the others: :func:`apart` is for what has to be prepared.
"""

import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any


@dataclass
class Turn:
    """One turn of a way.

    Attributes
    ----------
    number : int
        0 warms up and is not reported; a way may do less in it.
    value : object
        What came out, small and picklable, for whoever compares the ways.
    memory_mb : float
        Largest memory of a process that the way started, where that is what counts.
    """

    number: int
    value: Any = None
    memory_mb: float | None = None

    @property
    def warms_up(self) -> bool:
        """Whether this turn is not reported."""
        return self.number == 0


@dataclass(frozen=True)
class Taken:
    """What a turn took.

    Attributes
    ----------
    processor, clock : float
        Seconds of the processor (of the process, and of those that it started and waited for) and of the clock.
    memory_mb, gpu_mb : float
        Largest memory so far of the process, imports included (or what the way says of one that it started), and of the
        GPU.
    value : object
        As :class:`Turn` has it.
    """

    processor: float
    clock: float
    memory_mb: float
    gpu_mb: float | None
    value: Any


@dataclass(frozen=True)
class Way:
    """A way of doing the work.

    Attributes
    ----------
    name : str
    run : callable
        Takes its turns and works in each.
    units : float
        How many clips (steps, ...) a turn is; seconds are reported for one.
    """

    name: str
    run: Callable[[Iterator[Turn]], None]
    units: float = 1


def processor_seconds() -> float:
    """Processor seconds of this process and of those that it has waited for."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def peak_memory_mb() -> float:
    """Largest memory of this process so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # the other count begins with that of the process which started this one
        return (
            next(float(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1e3
        )
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _wait_for_gpu() -> None:
    import torch

    torch.cuda.synchronize()


def _gpu_peak_mb() -> float:
    import torch

    return float(torch.cuda.max_memory_allocated() / 1e6)


def _turns(connection: Connection, cuda: bool) -> Iterator[Turn]:
    """Turns as the parent gives them; what each took is sent when the next one is asked for."""
    number = 0
    while connection.recv():
        turn = Turn(number)
        if cuda:
            _wait_for_gpu()
        processor, clock = processor_seconds(), time.perf_counter()
        yield turn
        if cuda:
            _wait_for_gpu()
        spent = processor_seconds() - processor, time.perf_counter() - clock
        memory = turn.memory_mb or peak_memory_mb()
        connection.send(Taken(*spent, memory, _gpu_peak_mb() if cuda else None, turn.value))
        number += 1


def _work(connection: Connection, way: Way, cuda: bool, messages: int, of_parent: Sequence[Connection]) -> None:
    """What the process of a way does; what it prints beside (progress, warnings) goes to a file."""
    os.dup2(messages, 2)
    for inherited in of_parent:  # or the end of the parent would not be seen
        inherited.close()
    try:
        way.run(_turns(connection, cuda))
    except EOFError:  # whoever measures has ended
        return
    except Exception:
        connection.send(traceback.format_exc())


class _Running:
    """The process of a way, beside those that run already."""

    def __init__(self, way: Way, cuda: bool, others: Sequence["_Running"] = ()) -> None:
        context = multiprocessing.get_context("fork")
        self.name = way.name
        self.connection, theirs = context.Pipe()
        of_parent = [self.connection, *(other.connection for other in others)]
        self.messages = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self.process = context.Process(target=_work, args=(theirs, way, cuda, self.messages.fileno(), of_parent))
        self.process.start()
        theirs.close()

    def __enter__(self) -> "_Running":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the way end by itself; after an error end it, whatever it does with signals."""
        if error is None:
            self.connection.send(False)
        else:
            self.process.kill()
        self.process.join()
        self.connection.close()
        self.messages.close()

    def take_turn(self) -> Taken:
        """One turn, and a line that says how long it took, for who waits."""
        found = self._taken()
        if self.name:
            words = f"[{self.name}] {found.processor:.2f} s of the processor, {found.clock:.2f} s of the clock"
            print(words, file=sys.stderr, flush=True)
        return found

    def _taken(self) -> Taken:
        try:
            self.connection.send(True)
            found = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            self.messages.seek(0)
            printed = self.messages.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name}: its process ended ({self.process.exitcode})\n{printed}") from None
        if isinstance(found, str):
            raise RuntimeError(f"{self.name} failed:\n{found}")
        return found


def measure(ways: Sequence[Way], rounds: int, device: str = "cpu") -> dict[str, list[Taken]]:
    """Give every way a turn in each of several rounds.

    On a CPU the processes of all ways live through all rounds. On a GPU, whose memory might not hold all ways, there is
    one process at a time: for every way and round a new one, which warms up first.

    Parameters
    ----------
    ways : sequence of Way
    rounds : int
        Those that are reported; on a CPU there is one before them that warms up.
    device : str
        cpu or cuda.

    Returns
    -------
    dict of str to list of Taken
        By way, one for each round.

    Raises
    ------
    RuntimeError
        If a way fails; with its traceback.
    """
    taken: dict[str, list[Taken]] = {way.name: [] for way in ways}
    if device != "cpu":
        for number in range(rounds):
            for way in _in_order(ways, number):
                with _Running(way, device.startswith("cuda")) as running:
                    running.take_turn()
                    taken[way.name].append(running.take_turn())
        return taken
    with ExitStack() as stack:
        processes: list[_Running] = []
        for way in ways:
            processes.append(stack.enter_context(_Running(way, False, processes)))
            processes[-1].take_turn()
        for number in range(rounds):
            for running in _in_order(processes, number):
                taken[running.name].append(running.take_turn())
    return taken


def apart(work: Callable[[], Any]) -> Any:
    """What `work` returns, done in a process of its own."""

    def once(turns: Iterator[Turn]) -> None:
        for turn in turns:
            turn.value = work()

    with _Running(Way("", once), cuda=False) as running:
        return running.take_turn().value


def _in_order(ways: Sequence[Any], number: int) -> Sequence[Any]:
    """Forwards and backwards in turn: no way is always the first after another."""
    return ways if number % 2 == 0 else ways[::-1]
