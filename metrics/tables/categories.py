"""Every metric of clips by category of the prompt, and by pair of categories: where a mean comes from."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from cafa.common.files import atomic_write
from metrics.functional.bootstrap import ClipBootstrap
from metrics.tables.compute import BootstrapSettings, six_digits
from metrics.tables.coverage import ROW

COLUMNS = ("system", "own_label", "label", "metric", "value", "low", "high", "n", "n_clips")


def write_categories(
    path: Path, prompts: pd.DataFrame, scores: Mapping[str, pd.DataFrame], bootstrap: BootstrapSettings
) -> None:
    """Write the mean of every metric by category of the prompt, and by pair (category of the clip, of the prompt).

    Parameters
    ----------
    path : path
        csv to write: system, own_label (``*`` for all), label, metric, value, low, high, n, n_clips. Low and high are
        the ends of the interval over clips; empty with fewer than two clips.
    prompts : pandas.DataFrame
        Rows that count: clip_id, caption_id, own_label, label.
    scores : mapping of str to pandas.DataFrame
        system -> clip_id, caption_id, metric, value.
    bootstrap : BootstrapSettings
    """
    labels = prompts[[*ROW, "own_label", "label"]]
    records = []
    for system, found in scores.items():
        rows = found[found["metric"] != "DeSync_windows"].merge(labels, on=list(ROW), validate="m:1")
        for source in (rows.assign(own_label="*"), rows):
            for (own, label, metric), group in source.groupby(["own_label", "label", "metric"], sort=True):
                records.append([system, own, label, metric, *_interval(group, bootstrap)])
    with atomic_write(path) as temporary:
        pd.DataFrame(records, columns=list(COLUMNS)).drop_duplicates().to_csv(
            temporary, index=False, lineterminator="\n"
        )


def _interval(group: pd.DataFrame, bootstrap: BootstrapSettings) -> list[object]:
    values, clips = group["value"].to_numpy(), group["clip_id"].nunique()
    low = high = np.nan
    if clips > 1:
        draws = ClipBootstrap(group["clip_id"].to_list(), bootstrap.resamples, bootstrap.seed)
        low, high = draws.mean(values).interval(bootstrap.level)
    return [six_digits(float(values.mean())), six_digits(low), six_digits(high), len(values), clips]
