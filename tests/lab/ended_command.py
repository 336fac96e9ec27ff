"""`cafa` that is sent SIGTERM after so many items of its work, for test_asked_to_end.py."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import cafa.common.progress
from cafa.cli import main

_progress = cafa.common.progress.progress


def _ended(*arguments: Any, **options: Any) -> Iterator[Any]:
    for done, item in enumerate(_progress(*arguments, **options), start=1):
        yield item
        if done == int(os.environ["ITEMS"]):
            os.kill(os.getpid(), signal.SIGTERM)


cafa.common.progress.progress = _ended

if __name__ == "__main__":
    main()
