"""What an evaluation says of single sounds."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from cafa.common.files import atomic_write

ROW = ["clip_id", "caption_id"]


def write_clips(
    path: Path,
    prompts: pd.DataFrame,
    indices: Mapping[str, pd.DataFrame],
    scores: Mapping[str, pd.DataFrame],
) -> None:
    """Write a row per system and prompt: what was asked, what became of it, and its value of every metric."""
    parts = []
    for system, index in indices.items():
        values = scores[system].pivot(index=ROW, columns="metric", values="value").reset_index()
        rows = prompts.merge(index.drop(columns=["caption", "label", "protocol"]), on=ROW, validate="1:1")
        rows = rows.merge(values, on=ROW, how="left", validate="1:1")
        rows.insert(0, "system", system)
        parts.append(rows)
    with atomic_write(path) as temporary:
        pd.concat(parts, ignore_index=True).to_parquet(temporary, index=False)
