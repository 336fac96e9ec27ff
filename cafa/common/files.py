"""Writing files so that they appear whole or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cafa.common.file_names import shortened
from cafa.common.writing_errors import explained

#: How folders of single runs are named.
OF_RUN = ".of-run-"


@contextmanager
def atomic_write(path: str | Path, size: int | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without an error.

    The temporary name keeps the suffix, since some writers choose the format by it. `size` is about how many bytes the
    file needs, for the message.

    Raises
    ------
    WriteError
        If the disk is full or the place takes no files: which folder, how much was needed, how much is free.
    """
    path = Path(path)
    # Shortened, so that a name that just fits has a temporary one that fits as well.
    temporary = path.with_name(f".{shortened(path.stem, 200)}.{os.getpid()}.part{shortened(path.suffix, 30)}")
    try:
        with explained(path, size):  # while the temporary file is there: what is free is seen with it
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
    finally:
        if path.parent.is_dir():
            temporary.unlink(missing_ok=True)


@contextmanager
def folder_of_run(output: str | Path) -> Iterator[Path]:
    """Yield a new folder inside `output`; what was written there takes its place in `output` when the block ends.

    What a run writes and reads again is read from a folder of its own: never a file of another run. The folder is
    removed if the block ends with an error, and so are those that killed runs left.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    for left in output.glob(f"{OF_RUN}*"):
        shutil.rmtree(left)
    work = Path(tempfile.mkdtemp(prefix=OF_RUN, dir=output))
    try:
        yield work
        for entry in sorted(work.iterdir()):
            place = output / entry.name
            if place.is_dir():
                shutil.rmtree(place)
            os.replace(entry, place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text())


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON-serialisable value in canonical form, hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
