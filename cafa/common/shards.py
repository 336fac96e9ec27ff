"""Stable slices of work: shards of clips, batches of samples."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from cafa.common.errors import InputError

Item = TypeVar("Item")


def shard_of(clip_id: str, shards: int) -> int:
    """Shard of a clip: hash of its id modulo the count, so a clip never moves when others come or go."""
    return int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[8:16], "big") % shards


def parse_shard(text: str) -> tuple[int, int]:
    """Parse ``"2/8"`` (shard 2 of 8, counted from 0).

    Raises
    ------
    InputError
        If the text is not of that form or the index is out of range.
    """
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise InputError(f"shard must look like 0/4 (index from 0, below the count), got {text!r}")
    return int(index), int(count)


def batches_of_shard(items: Sequence[Item], batch_size: int, shard: int, shards: int) -> list[list[Item]]:
    """Batches that belong to a shard.

    Batches are cut from the whole ordered list first and then divided among shards, so which items share
    a batch, and with it every bit of the result, does not depend on the number of shards.
    """
    batches = [list(items[start : start + batch_size]) for start in range(0, len(items), batch_size)]
    return batches[shard::shards]


def shard_files(folder: Path, *patterns: str, shards: int | None = None) -> list[Path]:
    """Files that the shards of a stage wrote, in the order of the shards.

    Parameters
    ----------
    folder : Path
    *patterns : str
        Name of a shard's file with ``{}`` for the shard's number; the first of them that is there is taken.
    shards : int, optional
        How many there are; files of an older cut into more shards are not read. By default every file that is there.

    Raises
    ------
    InputError
        If there are none, or one of the shards is missing.
    """
    for pattern in patterns:
        if shards is None:
            found = sorted(folder.glob(pattern.format("*")))
        else:
            found = [folder / pattern.format(shard) for shard in range(shards)]
        if present := [path for path in found if path.exists()]:
            if missing := sorted(set(found) - set(present)):
                raise InputError(
                    f"{len(missing)} of {shards} shards are missing in {folder}, the first is {missing[0]}"
                )
            return found
    looked_for = " and ".join(pattern.format("*") for pattern in patterns)
    raise InputError(f"nothing of {folder.name} is there: looked for {looked_for} in {folder}")
