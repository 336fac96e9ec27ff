"""`cafa store`: what a store of embeddings holds, and removing what is no longer of use."""

import time
from collections import Counter
from pathlib import Path

from cafa.common.errors import InputError
from metrics.embedding.store import EmbeddingStore

DAY, GIGABYTE = 86400.0, 1e9
#: Unfinished files of processes that were killed are removed after so many seconds.
LEFT = 3600.0


def show_store(folder: Path) -> str:
    """Entries of a store by kind, with their size.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for path in _store(folder).entries():
        kind = path.parents[1].name
        counts[kind] += 1
        sizes[kind] += path.stat().st_size
    rows = [f"{kind:10} {counts[kind]:9} entries {sizes[kind] / GIGABYTE:9.3f} GB" for kind in sorted(counts)]
    return "\n".join([*rows, f"{'all':10} {counts.total():9} entries {sizes.total() / GIGABYTE:9.3f} GB"])


def prune_store(folder: Path, days: float | None = None, gigabytes: float | None = None) -> str:
    """Remove entries that were not used for so many days, then the longest unused until the rest is small enough.

    It may be done while others use the store: what they miss they make again.

    Parameters
    ----------
    folder : path
    days, gigabytes : float, optional
        One of them, or both.

    Returns
    -------
    str
        What was removed and what is left.

    Raises
    ------
    InputError
        If there is no such folder, or neither limit is given.
    """
    if days is None and gigabytes is None:
        raise InputError("say what may go: --unused-days, --keep-gb, or both")
    now, store = time.time(), _store(folder)
    for path in folder.glob("*/*/.*.part"):
        if now - path.stat().st_mtime > LEFT:
            path.unlink(missing_ok=True)
    found = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in store.entries())
    size, removed, freed = sum(bytes_ for _, bytes_, _ in found), 0, 0
    for used, bytes_, path in found:
        old = days is not None and now - used > days * DAY
        if old or (gigabytes is not None and size > gigabytes * GIGABYTE):
            path.unlink(missing_ok=True)
            size, removed, freed = size - bytes_, removed + 1, freed + bytes_
    left = len(found) - removed
    return f"{removed} entries removed ({freed / GIGABYTE:.3f} GB), {left} left ({size / GIGABYTE:.3f} GB)"


def _store(folder: Path) -> EmbeddingStore:
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: name the store, or set the variable CAFA_EMBEDDINGS")
    return EmbeddingStore(folder)
