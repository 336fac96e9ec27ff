"""Copies of results for other people: messages name files, not the folders of the machine that made them."""

import re
from pathlib import Path

import pandas as pd

from cafa.common.files import atomic_write

#: the folders of an absolute path; no part of an address, a relative path or a unit
FOLDERS = re.compile(r"""(?<![\w.:/~-])(?:~?/|[A-Za-z]:\\)(?:[^/\\\s'",;:()]+[/\\])+""")
#: column of messages in tables
DETAIL = "detail"


def without_folders(text: str) -> str:
    """A text whose absolute paths are names of files alone.

    >>> without_folders("/data/ann/sounds/a.wav has zero bytes (see https://example.org/a/b)")
    'a.wav has zero bytes (see https://example.org/a/b)'
    """
    return FOLDERS.sub("", text)


def copy_without_folders(source: Path, target: Path) -> None:
    """Copy a csv, JSON, Markdown or parquet file of results; what names no folder keeps its bytes."""
    with atomic_write(target) as temporary:
        if source.suffix != ".parquet":
            temporary.write_text(without_folders(source.read_text(encoding="utf-8")), encoding="utf-8", newline="")
            return
        frame = pd.read_parquet(source)
        messages = frame[DETAIL].map(without_folders, na_action="ignore") if DETAIL in frame else None
        if messages is None or messages.equals(frame[DETAIL]):
            temporary.write_bytes(source.read_bytes())
        else:
            frame.assign(**{DETAIL: messages}).to_parquet(temporary, index=False)
