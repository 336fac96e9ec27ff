"""Seconds at which something that sounds is seen in a clip, where they are known (rendered clips; annotated ones)."""

from pathlib import Path

import pandas as pd

from cafa.common.errors import InputError
from cafa.common.tables import refuse_folder


def read_event_times(path: str | Path | None) -> dict[str, list[float]]:
    """Times of the events of each clip, ascending.

    Parameters
    ----------
    path : path, optional
        Table (parquet) with the columns ``clip_id`` and ``event_times``, a list of seconds; None: nothing is known.

    Raises
    ------
    InputError
        If it is a folder, or the columns are others.
    """
    if path is None:
        return {}
    refuse_folder(path, "a table of event times")
    frame = pd.read_parquet(path)
    if missing := {"clip_id", "event_times"} - set(frame.columns):
        raise InputError(
            f"{path} has no column {', '.join(sorted(missing))}, only {', '.join(frame.columns)}: "
            "event times are a table of clip_id and event_times, a list of seconds"
        )
    rows = zip(frame["clip_id"], frame["event_times"], strict=True)
    return {str(clip_id): sorted(map(float, times)) for clip_id, times in rows}
