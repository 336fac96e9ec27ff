"""Where what a model is trained on lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cafa.data.manifest import read_manifest
from cafa.features.store import FeatureStore, open_features
from cafa.training.generator import TrainingData


@dataclass(frozen=True)
class TrainingFiles:
    """Files of a data set that a generator model is trained on.

    Parameters
    ----------
    manifest : path
        Its name without suffix is that of the data set.
    latents, text : sequence of path
        Feature files.
    video : sequence of path
        Feature files of video features, of one kind or of several.
    """

    manifest: str | Path
    latents: Sequence[str | Path]
    text: Sequence[str | Path]
    video: Sequence[str | Path] = ()

    @property
    def dataset(self) -> str:
        """Name of the data set, for the card."""
        return Path(self.manifest).stem

    def rows(self) -> pd.DataFrame:
        """The manifest."""
        return read_manifest(self.manifest)

    def open(self) -> TrainingData:
        """The data, read by memory mapping."""
        return TrainingData(
            self.rows(),
            FeatureStore(self.latents),
            FeatureStore(self.text),
            stores_by_kind(self.video),
            self.dataset,
        )


def stores_by_kind(paths: Sequence[str | Path]) -> list[FeatureStore]:
    """Stores of feature files, one per kind that they hold."""
    kinds: dict[str, list[str | Path]] = {}
    for path in paths:
        kinds.setdefault(open_features(path)[0].kind, []).append(path)
    return [FeatureStore(found) for found in kinds.values()]
