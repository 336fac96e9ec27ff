"""Training of an adapter from files, as one job of one or several processes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from cafa.data.manifest import read_manifest
from cafa.features.store import FeatureStore, open_features
from cafa.training.adapter import AdapterTraining, train_adapter
from cafa.training.distributed import check_dealt, join, launch, launched


@dataclass(frozen=True)
class AdapterJob:
    """What to train from which files; see :func:`cafa.training.adapter.train_adapter`.

    Parameters
    ----------
    settings : AdapterTraining
    backbone, output : Path
        Model folders.
    start_from : Path or None
    manifest : str
    latents, text, video : sequence of str
        Feature files; those of `video` may be of several kinds.
    seed : int
    device : str
    threads : int
        Of each process.
    """

    settings: AdapterTraining
    backbone: Path
    output: Path
    start_from: Path | None
    manifest: str
    latents: Sequence[str]
    text: Sequence[str]
    video: Sequence[str]
    seed: int
    device: str
    threads: int

    def run(self) -> None:
        """Train in this process, which may be one of several."""
        torch.set_num_threads(self.threads)
        processes = join(self.device)
        train_adapter(
            self.settings, read_manifest(self.manifest), self.backbone, FeatureStore(self.latents),
            FeatureStore(self.text), stores_by_kind(self.video), seed=self.seed, output=self.output,
            device=self.device, start_from=self.start_from, dataset=Path(self.manifest).stem, processes=processes,
        )  # fmt: skip
        processes.close()

    def run_in(self, processes: int) -> None:
        """Train in so many new processes of this machine; in this one if it was itself launched, or if it is one."""
        if processes > 1 and not launched():
            check_dealt(self.settings.loop.batch_size, processes)
            launch(processes, self.device, AdapterJob.run, self)
        else:
            self.run()


def stores_by_kind(paths: Sequence[str | Path]) -> list[FeatureStore]:
    """Stores of feature files, one per kind that they hold."""
    kinds: dict[str, list[str | Path]] = {}
    for path in paths:
        kinds.setdefault(open_features(path)[0].kind, []).append(path)
    return [FeatureStore(found) for found in kinds.values()]
