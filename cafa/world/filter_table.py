"""How well a filter by correspondence finds the wrong sounds of a rendered data set, where they are known."""

from pathlib import Path

import pandas as pd
from scipy.stats import binomtest

from cafa.common.errors import InputError, MissingClipError
from cafa.common.files import atomic_write
from cafa.data.correspondence_scores import read_scores
from cafa.world.wrong_sounds import RIGHT, WRONG

COLUMNS = ("measure", "of", "value", "low", "high", "count", "n")


def filter_table(scores: pd.DataFrame, sounds: pd.DataFrame) -> pd.DataFrame:
    """Precision and recall of a filter against the known wrong sounds.

    Parameters
    ----------
    scores : DataFrame
        clip_id, correspondence, kept.
    sounds : DataFrame
        clip_id, ``sound`` as :func:`cafa.world.clips.event_times` gives it; of all these clips, and possibly others.

    Returns
    -------
    DataFrame
        One row for each measure: recall of all wrong sounds and of each kind, precision, and the share of right sounds
        that were dropped; value = count / n, with Wilson's 95 % interval. A share of nothing is left empty.

    Raises
    ------
    MissingClipError
        If a scored clip's sound is not known.
    """
    rows = scores.merge(sounds[["clip_id", "sound"]], on="clip_id", how="left", validate="1:1")
    if (unknown := rows["sound"].isna()).any():
        raise MissingClipError(
            f"{unknown.sum()} scored clips have no event times, e.g. {rows.clip_id[unknown].iloc[0]}"
        )
    dropped, wrong = ~rows["kept"], rows["sound"] != RIGHT
    found = [
        ("precision", "dropped clips", wrong[dropped]),
        ("recall", "wrong sounds", dropped[wrong]),
        *(("recall", kind, dropped[rows["sound"] == kind]) for kind in WRONG),
        ("dropped", RIGHT, dropped[~wrong]),
        ("wrong", "all clips", wrong),
        ("wrong", "kept clips", wrong[~dropped]),
    ]
    records = [[measure, of, *_share(int(clips.sum()), len(clips))] for measure, of, clips in found]
    return pd.DataFrame(records, columns=list(COLUMNS))


def _share(count: int, n: int) -> list[object]:
    if n == 0:
        return [None, None, None, count, n]
    interval = binomtest(count, n).proportion_ci(method="wilson")
    return [round(count / n, 4), round(float(interval.low), 4), round(float(interval.high), 4), count, n]


def write_filter_table(scores: str | Path, event_times: str | Path, csv: str | Path, markdown: str | Path) -> str:
    """Write the table of :func:`filter_table` as csv and for people.

    Parameters
    ----------
    scores : path
        Of ``cafa features correspondence``.
    event_times : path
        Of a data set that was planned with a share of wrong sounds.
    csv, markdown : path
        Files to write.

    Returns
    -------
    str
        The table for people.

    Raises
    ------
    InputError
        If it is not known which sounds are wrong.
    """
    sounds = pd.read_parquet(event_times)
    if "sound" not in sounds:
        raise InputError(f"{event_times} does not say which sounds are wrong: plan the data set with --wrong-sounds")
    table = filter_table(read_scores(scores), sounds)
    text = "\n".join(_lines(table))
    with atomic_write(markdown) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    with atomic_write(csv) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    return text


def _lines(table: pd.DataFrame) -> list[str]:
    lines = ["| measure | of | value | count / n |", "| :-- | :-- | --: | --: |"]
    for row in table.to_dict("records"):
        none = pd.isna(row["value"])
        value = "none" if none else f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        lines.append(f"| {row['measure']} | {row['of']} | {value} | {row['count']} / {row['n']} |")
    return [
        *lines,
        "",
        "Share of clips, with Wilson's 95 % interval. Clips without features are not scored: see the ledgers.",
    ]
