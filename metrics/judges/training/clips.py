"""Clips that judges are trained on or checked with: arrays from the feature stores, labels and captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from cafa.common.errors import InputError
from cafa.common.files import digest_of, sha256_file
from cafa.features.store import FeatureStore


@dataclass(frozen=True)
class Clips:
    """Clips in order of clip_id.

    Attributes
    ----------
    clip_ids, captions : list of str
    targets : ndarray of int
        Index of each clip's label in `labels`.
    labels : list of str
        Sorted.
    frames, mel : FeatureStore
    absent : list of str
        Clips of the manifest that have no features (their ledger says why).
    digest : str
        Digest of everything that is drawn from.
    """

    clip_ids: list[str]
    captions: list[str]
    targets: np.ndarray
    labels: list[str]
    frames: FeatureStore
    mel: FeatureStore
    absent: list[str]
    digest: str

    def __len__(self) -> int:
        return len(self.clip_ids)

    def sounds(self, rows: Sequence[int]) -> Tensor:
        """Log-mel of the clips at `rows`, float32 (clips, frames, bands)."""
        return torch.from_numpy(self.mel.stack([self.clip_ids[row] for row in rows])).float()

    def pictures(self, rows: Sequence[int]) -> Tensor:
        """Frames of the clips at `rows`, uint8 (clips, frames, height, width, 3)."""
        return torch.from_numpy(self.frames.stack([self.clip_ids[row] for row in rows]))

    def draw(self, count: int, generator: Generator) -> list[int]:
        """Rows of `count` clips, drawn independently."""
        return torch.randint(len(self), (count,), generator=generator).tolist()

    def draw_one_of_each(self, groups: int, generator: Generator) -> list[int]:
        """Rows of `groups` times one clip of every label, labels in order.

        Two clips of one label in a contrastive batch would be false negatives of each other.
        """
        rows = []
        for _ in range(groups):
            for target in range(len(self.labels)):
                of_label = np.flatnonzero(self.targets == target)
                pick = torch.randint(len(of_label), (), generator=generator)
                rows.append(int(of_label[int(pick)]))
        return rows


def read_clips(frames: Sequence[Path], mel: Sequence[Path], manifest: pd.DataFrame, split: str | None = None) -> Clips:
    """Collect the clips of a manifest that have both features.

    Parameters
    ----------
    frames, mel : sequence of path
        Shards of the feature stores.
    manifest : DataFrame
        clip_id, label, caption, split.
    split : str, optional
        Only clips of this split.

    Raises
    ------
    InputError
        If no clip is left, or a clip has no label.
    """
    pictures, sounds = FeatureStore(frames), FeatureStore(mel)
    if split is not None:
        manifest = manifest[manifest["split"] == split]
    rows = manifest.sort_values("clip_id")
    here = np.array([clip_id in pictures and clip_id in sounds for clip_id in rows["clip_id"]], dtype=bool)
    kept = rows[here]
    if kept.empty:
        raise InputError(
            f"none of {len(rows)} clips of the manifest{f' in split {split!r}' if split else ''} has frames and "
            "log-mel: name the feature files of this manifest"
        )
    if kept["label"].isna().any() or (kept["label"] == "").any():
        raise InputError("judges are trained on labels, and a clip of the manifest has none")
    labels = sorted(kept["label"].unique())
    index = {label: number for number, label in enumerate(labels)}
    digest = digest_of(
        [
            [sorted(sha256_file(path) for path in paths) for paths in (frames, mel)],
            kept[["clip_id", "label", "caption"]].to_numpy().tolist(),
        ]
    )
    return Clips(
        clip_ids=kept["clip_id"].tolist(),
        captions=kept["caption"].tolist(),
        targets=kept["label"].map(index).to_numpy(),
        labels=labels,
        frames=pictures,
        mel=sounds,
        absent=rows["clip_id"][~here].tolist(),
        digest=digest,
    )
