"""Ledgers for people: counts of every status, and the clips that are not ok."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from cafa.common.ledger import COUNTED, OK, read_ledger_rows, summary


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
    rows = read_ledger_rows(files)
    counts = summary(rows)
    if as_csv:
        return _as_csv(counts)
    bad = [row for row in rows if row["status"] != OK]
    shown = bad[:limit] if limit else bad
    lines = [*_count_lines(counts), *([""] if shown else [])]
    for row in shown:
        line = "" if row["line"] is None else f" (line {row['line']})"
        lines.append(f"{row['stage']}: {row['clip_id'] or '?'}{line}: {row['status']}: {row['detail']}")
    if len(shown) < len(bad):
        lines.append(f"... {len(bad) - len(shown)} more: --limit 0 shows all")
    return "\n".join(lines)


def _as_csv(counts: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COUNTED)
    writer.writerows([row[name] for name in COUNTED] for row in counts)
    return text.getvalue().removesuffix("\n")


def _count_lines(counts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"{'stage':12} {'status':18} {'class':10} {'clips':>7}  meaning"
    for row in counts:
        meaning = f"{row['meaning']}{'; may pass later' if row['retriable'] else ''}"
        line = f"{row['stage']:12} {row['status']:18} {row['class']:10} {row['clips']:7}  {meaning}"
        yield line.rstrip()
    for stage, part in groupby(counts, key=itemgetter("stage")):
        of_stage = list(part)
        total = sum(row["clips"] for row in of_stage)
        ok = sum(row["clips"] for row in of_stage if row["status"] == OK)
        later = sum(row["clips"] for row in of_stage if row["retriable"])
        yield f"{stage}: {total} clips, {ok} ok ({ok / total:.1%}), {later} may pass later"
