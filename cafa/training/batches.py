"""Batches from cached features, in an order that depends on the seed alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cafa.common.errors import InputError, MissingClipError
from cafa.common.seeds import seed_for
from cafa.features.store import FeatureStore
from cafa.features.text import text_id
from cafa.training.silence import Silence


class EpochOrder:
    """Which clips are in which batch: every epoch is a new permutation; nothing is left out between epochs.

    Parameters
    ----------
    count : int
        Clips.
    batch_size : int
    seed : int
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        if count < batch_size:
            raise InputError(f"a batch of {batch_size} clips cannot be drawn from {count}: lower batch_size")
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self._epoch, self._order = -1, np.empty(0, int)

    def _at(self, position: int) -> int:
        epoch, place = divmod(position, self.count)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng(seed_for(self.seed, "epoch", epoch)).permutation(self.count)
        return int(self._order[place])

    def batch(self, index: int) -> list[int]:
        """Positions of the clips of batch number `index`."""
        return [self._at(index * self.batch_size + k) for k in range(self.batch_size)]


def clips_with_features(manifest: pd.DataFrame, split: str, stores: Sequence[FeatureStore]) -> pd.DataFrame:
    """Rows of a split that every store has, ordered by clip_id.

    Clips that a store lacks are in that stage's ledger; training goes on without them.

    Raises
    ------
    MissingClipError
        If none is left.
    """
    rows = manifest[manifest["split"] == split].sort_values("clip_id")
    for store in stores:
        rows = rows[rows["clip_id"].isin(store.clip_ids)]
    if rows.empty:
        raise MissingClipError(f"no clip of split {split!r} has all features: see the ledgers of the stages before")
    return rows.reset_index(drop=True)


def text_ids_of(rows: pd.DataFrame, text: FeatureStore) -> list[str]:
    """:func:`cafa.features.text.text_id` of the caption of every row.

    Raises
    ------
    MissingClipError
        If a caption has no text states.
    """
    text_ids = [text_id(caption) for caption in rows["caption"]]
    if untold := set(text_ids).difference(text.clip_ids):
        example = next(caption for caption in rows["caption"] if text_id(caption) in untold)
        raise MissingClipError(
            f"{len(untold)} captions have no text states, for example {example!r}: encode the captions of this "
            "manifest, and name every file of them"
        )
    return text_ids


class FeatureBatches:
    """Stacks of stored features, by position in an ordered list of clips.

    Parameters
    ----------
    rows : DataFrame
        clip_id and caption, as :func:`clips_with_features` returns.
    latents : FeatureStore
    text : FeatureStore
        Keyed by :func:`cafa.features.text.text_id` of the caption.
    video : sequence of FeatureStore
        Laid side by side, feature by feature, in this order (CAFA-C: AV-CLIP, then CLIP).
    silence : Silence, optional
        What follows the stored latents.

    Raises
    ------
    MissingClipError
        If a caption has no text states.
    """

    def __init__(
        self,
        rows: pd.DataFrame,
        latents: FeatureStore,
        text: FeatureStore,
        video: Sequence[FeatureStore] = (),
        silence: Silence | None = None,
    ) -> None:
        self.clip_ids = rows["clip_id"].tolist()
        self.text_ids = text_ids_of(rows, text)
        self.latents, self.text, self.video, self.silence = latents, text, list(video), silence

    def __call__(self, positions: Sequence[int]) -> dict[str, Tensor]:
        """Float32 tensors: latents (B, C, T), text (B, L, D) and, if there are video stores, video (B, F, D)."""
        return {name: tensor.float() for name, tensor in self.stored(positions).items()}

    def stored(self, positions: Sequence[int]) -> dict[str, Tensor]:
        """The same in the type in which they are stored, of half the size; latents with silence behind are float32."""
        clips = [self.clip_ids[p] for p in positions]
        arrays = {
            "latents": self.latents.stack(clips).transpose(0, 2, 1),
            "text": self.text.stack([self.text_ids[p] for p in positions]),
        }
        if self.silence is not None:
            arrays["latents"] = self.silence.after(arrays["latents"].astype(np.float32), clips)
        if self.video:
            arrays["video"] = np.concatenate([store.stack(clips) for store in self.video], axis=-1)
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


@dataclass(frozen=True)
class DeviceBatches:
    """Batches of features on their way to a device.

    Parameters
    ----------
    features : FeatureBatches
    device : torch.device
    silence : Silence, optional
        What follows the latents, drawn on the device; that of `features` is drawn on the host.
    """

    features: FeatureBatches
    device: torch.device
    silence: Silence | None = None

    def read(self, positions: Sequence[int]) -> tuple[dict[str, Tensor], list[str]]:
        """A batch on the host, as it is best sent from, and its clips; may be called in a thread."""
        clips = [self.features.clip_ids[position] for position in positions]
        if self.device.type == "cpu":
            return self.features(positions), clips
        stored = self.features.stored(positions)
        pinned = self.device.type == "cuda"
        return {name: tensor.pin_memory() if pinned else tensor for name, tensor in stored.items()}, clips

    def send(self, read: tuple[dict[str, Tensor], list[str]]) -> dict[str, Tensor]:
        """That batch on the device, float32; from pinned memory it is on its way while the device still works."""
        tensors, clips = read
        batch = {name: tensor.to(self.device, non_blocking=True).float() for name, tensor in tensors.items()}
        if self.silence is not None:
            batch["latents"] = self.silence.behind(batch["latents"], clips)
        return batch
