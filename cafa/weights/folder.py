"""The folder of weights: where it is, where each file lies in it, and the record of what was checked.

Files lie under their published names, those of a repository in a folder named after it, so that files that somebody
placed there by hand, or by ``hf download REPOSITORY --local-dir FOLDER/REPOSITORY``, are the same as fetched ones.
``weights.lock.json`` beside them holds the SHA-256 of each file that was checked: a later change is noticed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from cafa.common.errors import InputError, WeightsError
from cafa.common.files import read_json, write_json
from cafa.common.weight_files import WeightSource, read_weight_sources

#: environment variable that names the folder
VARIABLE = "CAFA_WEIGHTS"
LOCK = "weights.lock.json"
#: what is on its way lies here, below the folder of weights
STAGING = ".fetching"


def weights_folder(folder: str | Path | None = None) -> Path:
    """Folder of weights: the one given, that of the variable ``CAFA_WEIGHTS``, or ``weights`` in the user's data."""
    chosen = folder or os.environ.get(VARIABLE) or platformdirs.user_data_path("cafa") / "weights"
    return Path(chosen).expanduser().absolute()


def judges_folder() -> Path:
    """Folder where `cafa evaluate` looks for weights: that of the variable, ``weights`` here, or the user's own."""
    here = Path("weights")
    return here if here.is_dir() and not os.environ.get(VARIABLE) else weights_folder()


def why_folder(folder: str | Path | None = None) -> str:
    """What chose the folder of weights."""
    if folder:
        return "as given"
    return f"by the variable {VARIABLE}" if os.environ.get(VARIABLE) else "the default"


def find_weight(name: str, folder: str | Path | None = None, table: Path | None = None) -> Path | None:
    """A published file, if it is in the folder of weights.

    Parameters
    ----------
    name : str
        Its name in the table of weights.
    folder : path, optional
        See :func:`weights_folder`.
    table : path, optional
        Table of weights; None: that of the package.

    Returns
    -------
    Path or None
        None where it is not there. What the file is, is compared where it is registered or opened.

    Raises
    ------
    InputError
        If the table has no such file.
    """
    sources = read_weight_sources(table)
    if name not in sources:
        raise InputError(f"no file of the table of weights is named {name!r}: `cafa weights list --files` names them")
    path = weights_folder(folder) / sources[name].relative_path
    return path if path.is_file() else None


def require_weight(name: str, folder: str | Path | None = None, table: Path | None = None) -> Path:
    """As :func:`find_weight`; a missing file is an error that says how to fetch it.

    Raises
    ------
    InputError
        If the table has no such file.
    WeightsError
        If it is not there.
    """
    path = find_weight(name, folder, table)
    if path is None:
        raise WeightsError(
            f"weights {name} are not in {weights_folder(folder)}: run `cafa weights get {name}`, or name their folder "
            f"by the variable {VARIABLE}"
        )
    return path


def staging_path(folder: Path, source: WeightSource) -> Path:
    """Where a file is while it comes."""
    return folder / STAGING / source.relative_path.replace("/", "--")


def part_size(folder: Path, source: WeightSource) -> int:
    """Bytes of a file that came before a download of it ended."""
    staged = staging_path(folder, source)
    for path in (staged, staged.with_name(f".{staged.name}.part")):
        if path.is_file():
            return path.stat().st_size
    return 0


@dataclass
class LockEntry:
    """What is known of a file that was checked.

    Parameters
    ----------
    name, url, commit : str
        Of the table; where it came from; the commit of a repository, empty elsewhere.
    sha256 : str
    bytes : int
    checked_against : str
        What its digest was compared with.
    modified_ns : int
        Time of its last change when it was checked: a file that was not touched since need not be read again.
    """

    name: str
    url: str
    sha256: str
    bytes: int
    checked_against: str
    commit: str = ""
    modified_ns: int = 0


@dataclass
class Record:
    """What a ``weights.lock.json`` holds: entries by place, and accepted licences by the model's name."""

    files: dict[str, LockEntry] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)


def read_record(folder: Path) -> Record:
    """The record of a folder of weights; empty where there is none.

    Raises
    ------
    InputError
        If it is damaged.
    """
    path = folder / LOCK
    if not path.is_file():
        return Record()
    try:
        stored: dict[str, Any] = read_json(path)
        files = {place: LockEntry(**entry) for place, entry in stored["files"].items()}
        return Record(files, dict(stored["accepted"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is damaged ({error}): restore it, or delete it and run `cafa weights get` for the files that are "
            "there, which are then checked against the table and the publishers again"
        ) from error


@contextmanager
def changed_record(folder: Path) -> Iterator[Record]:
    """The record of a folder, written when the block ends without an error; one process at a time."""
    (folder / STAGING).mkdir(parents=True, exist_ok=True)
    with FileLock(folder / STAGING / f"{LOCK}.lock"):
        record = read_record(folder)
        yield record
        write_json(folder / LOCK, asdict(record))
