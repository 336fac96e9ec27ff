"""A small receiver: shows the page, hands out sets, and appends answers to a file.

Answers are checked first, and each hand-in is one line that is written at once and synchronised to the disk: after a
crash the file holds whole lines, apart from at most one that was cut, which is put aside at the next start.
"""

import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cafa.common.errors import InputError
from metrics.study.answers import HandIn, hand_in, read_answers
from metrics.study.build import KEY, PAGE, study_digest
from metrics.study.results import StudyKey

LOGGER = logging.getLogger(__name__)
#: Largest hand-in, in bytes: some hundred pairs.
LARGEST = 1_000_000


class AnswerFile:
    """The file that answers are appended to.

    Parameters
    ----------
    path : path
        ``.jsonl``; made if it is not there. A last line that was cut is moved to ``<name>.cut``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self.cut = self._put_cut_line_aside()

    def _put_cut_line_aside(self) -> bool:
        data = self.path.read_bytes() if self.path.exists() else b""
        end = data.rfind(b"\n") + 1
        if end == len(data):
            return False
        with self.path.with_name(f"{self.path.name}.cut").open("ab") as file:
            file.write(data[end:] + b"\n")
        with self.path.open("r+b") as file:
            file.truncate(end)
        return True

    def append(self, value: object) -> None:
        """Write one line, complete, and wait until it is on the disk."""
        line = (json.dumps(value, sort_keys=True) + "\n").encode()
        with self._lock:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                written = os.write(handle, line)
                if written < len(line):  # a full disk: what is there would be a cut line
                    os.ftruncate(handle, os.fstat(handle).st_size - written)
                    raise OSError(f"only {written} of {len(line)} bytes of {self.path} could be written")
                os.fsync(handle)
            finally:
                os.close(handle)

    def read(self) -> list[HandIn]:
        """All hand-ins so far."""
        return read_answers(self.path) if self.path.exists() and self.path.stat().st_size else []


class _Sets:
    """Which set a rater gets: the same one again, else the one that was handed out least often."""

    def __init__(self, count: int, taken: Sequence[int]) -> None:
        self._times = Counter(dict.fromkeys(range(count), 0))
        self._times.update(number for number in taken if number in self._times)
        self._of: dict[str, int] = {}
        self._lock = threading.Lock()

    def of(self, rater: str) -> int:
        with self._lock:
            if rater not in self._of:
                self._of[rater] = min(self._times, key=lambda number: (self._times[number], number))
                self._times[self._of[rater]] += 1
            return self._of[rater]


def study_app(folder: str | Path, answers: str | Path) -> Starlette:
    """The receiver of a study as a web application.

    Parameters
    ----------
    folder : path
        What ``cafa study build`` wrote.
    answers : path
        ``.jsonl`` file to append to.

    Raises
    ------
    InputError
        If the folder holds no study.
    """
    folder = Path(folder)
    key = StudyKey.read(folder / KEY)
    page = folder / PAGE
    if not (page / "index.html").is_file():
        raise InputError(f"no page of a study in {page}: make it with `cafa study build`")
    file, digest = AnswerFile(answers), study_digest(key.design)
    if file.cut:
        LOGGER.warning(
            "the last line of %s was cut and lies in %s.cut beside it now: its rater had no answer that it arrived, so "
            "ask for these answers again",
            file.path,
            file.path.name,
        )
    lines = [json.loads(line) for line in file.path.read_text("utf-8").splitlines()] if file.path.exists() else []
    sets = _Sets(len(key.design.sets), [line["set"] for line in lines if isinstance(line.get("set"), int)])

    async def next_set(request: Request) -> JSONResponse:
        rater = request.query_params.get("rater", "")
        if not 0 < len(rater) <= 200:
            return JSONResponse({"error": "name the rater: ?rater=..."}, 400)
        return JSONResponse({"set": sets.of(rater)})

    async def receive(request: Request) -> JSONResponse:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST:
                return JSONResponse({"error": f"more than {LARGEST} bytes"}, 413)
        try:
            value: Any = json.loads(body)
            if not isinstance(value, dict):
                raise InputError("the hand-in is no object")
            checked = hand_in(value, "the hand-in")
            if checked.digest != digest:
                raise InputError(f"answers of study {checked.digest!r}, this one is {digest!r}: reload the page")
        except (ValueError, UnicodeDecodeError) as error:  # InputError is a ValueError
            return JSONResponse({"error": str(error)}, 400)
        file.append(value)
        return JSONResponse({"received": len(checked.rows)})

    async def error(request: Request, problem: Exception) -> JSONResponse:
        status = problem.status_code if isinstance(problem, HTTPException) else 500
        return JSONResponse({"error": str(problem) or "not possible"}, status)

    routes = [
        Route("/set", next_set),
        Route("/answers", receive, methods=["POST"]),
        Mount("/", StaticFiles(directory=page, html=True)),
    ]
    return Starlette(routes=routes, exception_handlers={OSError: error})


def serve_study(folder: str | Path, answers: str | Path, host: str = "127.0.0.1", port: int = 8765) -> None:
    """Show the page and receive answers until the process is ended; see :func:`study_app`."""
    import uvicorn

    uvicorn.run(study_app(folder, answers), host=host, port=port, log_level="warning", access_log=False)
