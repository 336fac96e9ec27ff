"""Video features of a shard of normalised clips, batched, to the feature store."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from cafa.errors import ClipError
from cafa.ledger import OK, ledger_row, read_ledgers, write_ledger
from cafa.progress import progress
from cafa.shards import shard_of
from cafa.store import write_features


class VideoEncoder(Protocol):
    """A frozen encoder of clips: :class:`SynchformerFeatures` or :class:`ClipFeatures`."""

    kind: str
    shape: tuple[int, int]
    encoder: dict[str, Any]

    def read(self, path: Path, seconds: float) -> np.ndarray:
        """What the encoder is given of a normalised clip; `seconds` is what the clip must hold."""
        ...

    def encode(self, clips: list[np.ndarray]) -> np.ndarray:
        """Features (B, *shape) of B clips."""
        ...


def write_video_features(
    encoder: VideoEncoder,
    manifest: pd.DataFrame,
    clips: str | Path,
    ingest_ledger: str | Path,
    shard: tuple[int, int],
    output: str | Path,
    ledger: str | Path,
    *,
    batch_size: int = 4,
    pad_short: bool = False,
) -> None:
    """Write the features of a shard, float16, and the stage's ledger: one row per clip, whatever became of it.

    Parameters
    ----------
    encoder : VideoEncoder
    manifest : DataFrame
        Columns ``clip_id`` and, for `pad_short`, ``duration`` in seconds.
    clips : path
        Folder of normalised clips of the shard.
    ingest_ledger : path
        Clips that ingest refused are not read.
    shard : (int, int)
        Number and count.
    output, ledger : path
        Files to write.
    batch_size : int
        Clips in memory at once.
    pad_short : bool
        Fill clips under 10 s with black frames, as the published code does; otherwise they end in the ledger.
    """
    stage = f"features {encoder.kind}"
    status = read_ledgers([ingest_ledger]).set_index("clip_id")["status"]
    mine = manifest[[shard_of(clip_id, shard[1]) == shard[0] for clip_id in manifest["clip_id"]]]
    durations = mine.set_index("clip_id")["duration"] if pad_short else pd.Series(dtype=float)
    rows: list[dict[str, Any]] = []

    def readable() -> Iterator[tuple[str, np.ndarray]]:
        for clip_id in progress(sorted(mine["clip_id"]), stage, len(mine)):
            if status.get(clip_id) != OK:
                rows.append(ledger_row(clip_id, stage, "missing_feature", f"ingest: {status.get(clip_id, 'no row')}"))
                continue
            try:
                yield clip_id, encoder.read(Path(clips) / f"{clip_id}.mp4", float(durations.get(clip_id, 10.0)))
            except ClipError as error:
                rows.append(ledger_row(clip_id, stage, error.reason, error.detail))

    def features() -> Iterator[tuple[str, np.ndarray]]:
        for group in batches(readable(), batch_size):
            encoded = encoder.encode([frames for _, frames in group])
            for (clip_id, _), array in zip(group, encoded, strict=True):
                rows.append(ledger_row(clip_id, stage))
                yield clip_id, array

    write_features(output, features(), kind=encoder.kind, shape=encoder.shape, dtype="float16", encoder=encoder.encoder)
    write_ledger(ledger, rows)


def batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Groups of `size` items in order; the last may be smaller."""
    group: list[Any] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
