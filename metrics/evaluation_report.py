"""What an evaluation says of single sounds and of categories."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from cafa.files import whole
from metrics.embeddings import Embeddings
from metrics.tables import BootstrapSettings, six_digits
from metrics.uncertainty import ClipBootstrap

ROW = ["clip_id", "caption_id"]


def leaks_of(classifier: Embeddings, classes: Mapping[str, int]) -> pd.DataFrame:
    """Probability of single classes for every sound: the key's columns, then one column per class.

    A probability is the sigmoid of the class's logit, as PANNs was trained.
    """
    logits = classifier.column("logits")
    return classifier.keys().assign(**{name: expit(logits[:, index]) for name, index in classes.items()})


def write_clips(
    path: Path,
    prompts: pd.DataFrame,
    indices: Mapping[str, pd.DataFrame],
    scores: Mapping[str, pd.DataFrame],
    leaks: Mapping[str, pd.DataFrame],
) -> None:
    """Write a row per system and prompt: what was asked, what became of it, and its value of every metric."""
    parts = []
    for system, index in indices.items():
        values = scores[system].pivot(index=ROW, columns="metric", values="value").reset_index()
        rows = prompts.merge(index.drop(columns=["caption", "label", "protocol"]), on=ROW, validate="1:1")
        rows = rows.merge(values, on=ROW, how="left", validate="1:1")
        rows = rows.merge(leaks[system].drop(columns="protocol", errors="ignore"), on=ROW, how="left", validate="1:1")
        rows.insert(0, "system", system)
        parts.append(rows)
    with whole(path) as temporary:
        pd.concat(parts, ignore_index=True).to_parquet(temporary, index=False)


def write_categories(
    path: Path, prompts: pd.DataFrame, scores: Mapping[str, pd.DataFrame], bootstrap: BootstrapSettings
) -> None:
    """Write the mean of every metric by category of the prompt, and by pair (category of the clip, of the prompt).

    Columns: system, own_label (``*`` for all), label, metric, value, low, high, n, n_clips. Low and high are the ends
    of the interval over clips; empty with fewer than two clips.
    """
    labels = prompts[[*ROW, "own_label", "label"]]
    records = []
    for system, found in scores.items():
        rows = found[found["metric"] != "DeSync_windows"].merge(labels, on=ROW, validate="m:1")
        for source in (rows.assign(own_label="*"), rows):
            for (own, label, metric), group in source.groupby(["own_label", "label", "metric"], sort=True):
                records.append([system, own, label, metric, *_interval(group, bootstrap)])
    columns = ["system", "own_label", "label", "metric", "value", "low", "high", "n", "n_clips"]
    table = pd.DataFrame(records, columns=columns).drop_duplicates()
    with whole(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def _interval(group: pd.DataFrame, bootstrap: BootstrapSettings) -> list[object]:
    values, clips = group["value"].to_numpy(), group["clip_id"].nunique()
    low = high = np.nan
    if clips > 1:
        draws = ClipBootstrap(group["clip_id"].to_list(), bootstrap.resamples, bootstrap.seed)
        low, high = draws.mean(values).interval(bootstrap.level)
    return [six_digits(float(values.mean())), six_digits(low), six_digits(high), len(values), clips]
