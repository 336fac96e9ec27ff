"""Ledgers for people: counts of every status, and the clips that are not ok."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from cafa.common.ledger import OK, read_ledgers, summary
from cafa.common.tables import records, row_tuples


def ledgers_as_text(files: Sequence[str | Path], *, limit: int = 50, as_csv: bool = False) -> str:
    """Counts of each status by stage, then the rows that are not ok.

    Parameters
    ----------
    files : sequence of path
        Ledgers.
    limit : int
        Rows that are not ok, at most; 0: all.
    as_csv : bool
        The counts as csv, and nothing else.

    Raises
    ------
    InputError
        If a file is not a ledger.
    """
    rows = read_ledgers(files)
    counts = summary(rows)
    if as_csv:
        return counts.to_csv(index=False, lineterminator="\n").removesuffix("\n")
    bad = rows[rows["status"] != OK]
    shown = bad.head(limit) if limit else bad
    lines = [*_count_lines(counts), *([""] if len(shown) else [])]
    for row in row_tuples(shown):
        line = "" if row.line != row.line or row.line is None else f" (line {int(row.line)})"
        lines.append(f"{row.stage}: {row.clip_id or '?'}{line}: {row.status}: {row.detail}")
    if len(shown) < len(bad):
        lines.append(f"... {len(bad) - len(shown)} more: --limit 0 shows all")
    return "\n".join(lines)


def _count_lines(counts: pd.DataFrame) -> Iterator[str]:
    yield f"{'stage':12} {'status':18} {'class':10} {'clips':>7}  meaning"
    for row in records(counts):
        meaning = f"{row['meaning']}{'; may pass later' if row['retriable'] else ''}"
        line = f"{row['stage']:12} {row['status']:18} {row['class']:10} {row['clips']:7}  {meaning}"
        yield line.rstrip()
    for stage, part in counts.groupby("stage"):
        total, ok = part["clips"].sum(), part.loc[part["status"] == OK, "clips"].sum()
        later = part.loc[part["retriable"], "clips"].sum()
        yield f"{stage}: {total} clips, {ok} ok ({ok / total:.1%}), {later} may pass later"
