"""One pace for all jobs that ask one site: a small file with a lock, on a disk that they share."""

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cafa.common.errors import CafaError
from cafa.common.files import write_json
from cafa.data.fetch.settings import Politeness

#: a waiting job looks at least this often whether the run was stopped, seconds
LONGEST_NAP = 10.0
_NEW: dict[str, Any] = {"next": 0.0, "not_before": 0.0, "stopped_until": 0.0, "in_a_row": 0, "why": ""}


class FetchStoppedError(CafaError):
    """The site blocked several requests in a row; asking on would get the address blocked for good."""


class RateLimiter:
    """Lets downloads begin one after the other, and stops them all when the site blocks them.

    Parameters
    ----------
    path : str or Path
        File that all jobs share; another beside it is locked.
    settings : Politeness
        The pace.
    clock, sleep : callable
        Seconds since 1970, and waiting; given by tests.
    """

    def __init__(
        self,
        path: str | Path,
        settings: Politeness,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.path, self.settings, self._clock, self._sleep = Path(path), settings, clock, sleep

    @contextmanager
    def _state(self) -> Iterator[dict[str, Any]]:
        """The shared state, written back at the end; nobody else has it meanwhile."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f".{self.path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = _NEW | (json.loads(self.path.read_text()) if self.path.exists() else {})
            yield state
            write_json(self.path, state)

    def wait(self) -> None:
        """Wait for a turn.

        Raises
        ------
        FetchStoppedError
            If the run is stopped.
        """
        turn = None
        while True:
            with self._state() as state:
                now = self._clock()
                if now < state["stopped_until"]:
                    raise FetchStoppedError(self._stopped(state))
                if turn is None or turn < state["not_before"]:
                    turn = max(now, state["next"], state["not_before"])
                    state["next"] = turn + self.settings.interval_seconds
                if turn <= now:
                    return
            self._sleep(min(turn - now, LONGEST_NAP))

    def record_success(self) -> None:
        """A download succeeded: earlier bot checks and rate limits no longer count."""
        with self._state() as state:
            state["in_a_row"] = 0

    def record_block(self, why: str) -> None:
        """A bot check or a rate limit: all jobs pause; too many in a row stop the run.

        Raises
        ------
        FetchStoppedError
            If this one stops the run.
        """
        with self._state() as state:
            now = self._clock()
            state["in_a_row"] += 1
            state["not_before"] = now + self.settings.back_off_seconds * 2 ** (state["in_a_row"] - 1)
            state["why"] = why
            stopped = state["in_a_row"] >= self.settings.bot_checks
            if stopped:
                state["stopped_until"] = now + self.settings.cool_down_seconds
                state["not_before"] = state["stopped_until"]
                # After the pause the first block stops the run again.
                state["in_a_row"] = self.settings.bot_checks - 1
        if stopped:
            raise FetchStoppedError(self._stopped(state))

    def _stopped(self, state: dict[str, Any]) -> str:
        until = datetime.fromtimestamp(state["stopped_until"], UTC).strftime("%Y-%m-%d %H:%M UTC")
        return (
            f"stopped until {until}: {self.settings.bot_checks} bot checks or rate limits in a row, the last: "
            f"{state['why']!r}. What has been downloaded stays. Wait, ask more slowly (politeness.interval_seconds), "
            f"or give cookies; then run the same command again. To go on before that time, delete {self.path}"
        )
