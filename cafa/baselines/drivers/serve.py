"""Serve requests for sounds from a driver: the loop that every driver shares. Runs in the environment of a peer.

Only the standard library is imported here, for Python 3.9 on. Requests are lines of JSON on the standard input, answers
are lines of JSON on what was the standard output; whatever the peer prints goes to the standard error.

    -> {"rows": [{"id", "video", "prompt", "negative", "seed", "seconds", "folder"}, ...]}
    <- {"id", "file", "sample_rate"}   or   {"id", "failed"}     one for each row, in any order
    <- {"done": true}

The first answer is ``{"ready": ...}``, after the models were loaded. A driver is a file that defines
``open_peer(settings, device)``; what that returns has ``generate(rows)``, which gives a file for each row, or a pair of
a file and its sample rate where the file is a NumPy array.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import threading
import time
import traceback
from types import ModuleType
from typing import Any, TextIO


def answers_to() -> TextIO:
    """Keep the standard output for answers; everything else that is printed goes to the standard error."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


def end_with(parent: int) -> None:
    """End this process when the one that started it is gone: a killed job must not leave a driver on a GPU."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def load_driver(path: str) -> ModuleType:
    """Module of a driver's file."""
    spec = importlib.util.spec_from_file_location("cafa_driver", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one_line(error: Exception) -> str:
    """An exception as one line; its traceback goes to the log."""
    traceback.print_exception(type(error), error, error.__traceback__)
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def made(peer: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers for rows: of all at once or, where that fails, of each by itself."""
    failed, files = "", []
    try:
        files = peer.generate(rows)
    except Exception as error:  # whatever a peer raises belongs to the clips
        failed = one_line(error)
    # Outside of the handler, where the error no longer holds what it left on the GPU.
    if failed and len(rows) > 1:
        print(f"{failed}: its {len(rows)} rows are tried one by one", file=sys.stderr, flush=True)
        return [answer for row in rows for answer in made(peer, [row])]
    if failed:
        return [{"id": rows[0]["id"], "failed": failed}]
    pairs = [file if isinstance(file, tuple) else (file, None) for file in files]
    return [
        {"id": row["id"], "file": str(file), "sample_rate": rate}
        for row, (file, rate) in zip(rows, pairs)  # noqa: B905
    ]


def main() -> None:
    """Load the models, then answer until the standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--settings", default="{}")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    out = answers_to()
    end_with(os.getppid())

    def say(answer: dict[str, Any]) -> None:
        out.write(json.dumps(answer) + "\n")
        out.flush()

    peer = load_driver(given.driver).open_peer(json.loads(given.settings), given.device)
    say({"ready": sys.version.split()[0]})
    for line in sys.stdin:
        for answer in made(peer, json.loads(line)["rows"]):
            say(answer)
        say({"done": True})


if __name__ == "__main__":
    main()
