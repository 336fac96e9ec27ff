"""Counts as a line for people."""

from collections.abc import Mapping


def counts_line(counts: Mapping[str, int], nothing: str) -> str:
    """``3 ok, 1 short``; `nothing` where nothing was counted."""
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count) or nothing
