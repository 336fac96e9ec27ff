"""Names of files that a person can read and a file system can hold."""

import errno
import os
import re
import unicodedata
from pathlib import Path
from uuid import uuid4

#: Bytes of UTF-8 in a name, on the common file systems.
LONGEST_NAME = 255


def shortened(text: str, size: int) -> str:
    """The longest beginning of `text` of at most `size` bytes of UTF-8, cut between characters."""
    return text.encode("utf-8", "surrogateescape")[:size].decode("utf-8", "ignore")


def readable_part(text: str, size: int = 60) -> str:
    """Part of a file's name made of a text of any script.

    Parameters
    ----------
    text : str
    size : int
        Bytes of UTF-8 at most.

    Returns
    -------
    str
        Letters, marks and digits as they are (composed, NFC), everything else as single ``_``. May be empty. Different
        texts may have equal parts: a digest has to follow.
    """
    composed = unicodedata.normalize("NFC", text)
    usable = "".join(mark if unicodedata.category(mark)[0] in "LMN" else " " for mark in composed)
    return shortened("_".join(usable.split()), size).strip("_")


def plain_part(text: str) -> str:
    """A name for a file system that knows ASCII only: accents are left out, other scripts become ``_``."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "_", ascii_text)


def holds_name(folder: str | Path, name: str) -> bool:
    """Whether a folder can hold a file of this name; found by making one for a moment.

    Raises
    ------
    OSError
        If the folder takes no file at all.
    """
    unique = uuid4().hex[:8]
    probe = Path(folder) / f".{shortened(name, 200)}.{unique}"
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except UnicodeEncodeError:
        return False
    except OSError as error:
        if error.errno in (errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG):
            return False
        raise
    os.unlink(probe)
    return True
