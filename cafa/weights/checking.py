"""Whether a file is the published one: by its SHA-256, or by what its publisher states."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from cafa.common.errors import WeightsError
from cafa.common.weight_files import WeightSource, no_download
from cafa.weights.folder import LockEntry

WORDS = {"sha256": "SHA-256", "md5": "MD5", "git": "git's SHA-1"}
RECORDED, LOCKED = "the table of weights", "weights.lock.json"


@dataclass(frozen=True)
class Expectation:
    """A digest that a file must have, and who says so."""

    algorithm: str
    digest: str
    by: str


def digests_of(
    path: Path, algorithms: Collection[str], read: Callable[[int], None] = lambda size: None
) -> dict[str, str]:
    """Digests of a file, of one pass: ``sha256``, ``md5``, ``git`` (SHA-1 of git's blob), or any of hashlib.

    Parameters
    ----------
    path : Path
    algorithms : collection of str
    read : callable
        Called with the number of bytes read so far.
    """
    hashes = {name: hashlib.new({"git": "sha1"}.get(name, name), usedforsecurity=False) for name in algorithms}
    if "git" in hashes:
        hashes["git"].update(f"blob {path.stat().st_size}\0".encode())
    size = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            for one in hashes.values():
                one.update(block)
            size += len(block)
            read(size)
    return {name: one.hexdigest() for name, one in hashes.items()}


def expectations(
    source: WeightSource, entry: LockEntry | None, stated: Mapping[str, str] | None = None, by: str = ""
) -> list[Expectation]:
    """Everything that is known of a file, the surest first.

    Parameters
    ----------
    source : WeightSource
    entry : LockEntry, optional
        Of the record, if the file was checked before.
    stated : mapping of str to str, optional
        What its publisher states.
    by : str
        Who that is.
    """
    found = [Expectation("sha256", source.sha256, RECORDED)] if source.sha256 else []
    found += [Expectation("sha256", entry.sha256, LOCKED)] if entry is not None else []
    known = [(name, digest.lower()) for name, digest in (stated or {}).items() if name in WORDS]
    found += [Expectation(name, digest, by) for name, digest in known]
    # Older than what is stated now, and weaker than a SHA-256.
    found += [Expectation("md5", source.md5, RECORDED)] if source.md5 else []
    found += [Expectation("git", source.git, RECORDED)] if source.git else []
    return found


def contradiction(expected: list[Expectation]) -> str:
    """Two that cannot both be true, in words; empty where all agree."""
    first: dict[str, Expectation] = {}
    for one in expected:
        other = first.setdefault(one.algorithm, one)
        if other.digest != one.digest:
            return (
                f"{one.by} states {WORDS[one.algorithm]} {one.digest}, {other.by} has {other.digest}: the published "
                "file was replaced, or another one is served in its place"
            )
    return ""


def require_equal(path: Path, found: Mapping[str, str], expected: list[Expectation], source: WeightSource) -> str:
    """Check digests that were found; return what the surest of them was compared with.

    Raises
    ------
    WeightsError
        If one is another, with what the file seems to be.
    """
    for one in expected:
        if found[one.algorithm] != one.digest:
            seems = no_download(path)
            raise WeightsError(
                f"{source.name}: the file has {WORDS[one.algorithm]} {found[one.algorithm]}, "
                f"{one.by} has {one.digest}: "
                + (seems or "it was damaged, or it is another file than the published one")
            )
    return f"{expected[0].by} ({WORDS[expected[0].algorithm]})" if expected else "nothing"


def require_known_size(path: Path, size: int | None, source: WeightSource) -> None:
    """Check a file's size, where one is known.

    Raises
    ------
    WeightsError
        If it is another, with what the file seems to be.
    """
    found = path.stat().st_size
    if size is not None and found != size:
        seems = no_download(path) or ("it ends early" if found < size else "it is another file")
        raise WeightsError(f"{source.name}: the file has {found:,} bytes, the published one {size:,}: {seems}")
