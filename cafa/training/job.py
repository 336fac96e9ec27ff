"""Training of an adapter from files, as one job of one or several processes."""

import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from cafa.common.folder_lock import only_writer_in
from cafa.training.adapter import AdapterTraining, train_adapter
from cafa.training.distributed import check_dealt, join, launch, launched
from cafa.training.generator import TrainingRun
from cafa.training.training_files import TrainingFiles


@dataclass(frozen=True)
class AdapterJob:
    """What to train from which files; see :func:`cafa.training.adapter.train_adapter`.

    Parameters
    ----------
    settings : AdapterTraining
    backbone : path
        Model folder of the frozen backbone.
    files : TrainingFiles
    seed : int
    output : path
        Model folder.
    device : str
    start_from : path, optional
        Model folder of the adapter whose weights are the first.
    threads : int
        Of each process.
    """

    settings: AdapterTraining
    backbone: Path
    files: TrainingFiles
    seed: int
    output: Path
    device: str = "cpu"
    start_from: Path | None = None
    threads: int = 1

    def run(self) -> None:
        """Train in this process, which may be one of several."""
        torch.set_num_threads(self.threads)
        processes = join(self.device)
        run = TrainingRun(self.seed, self.output, self.device, processes)
        train_adapter(self.settings, self.files.open(), self.backbone, run, start_from=self.start_from)
        processes.close()

    def run_in(self, processes: int) -> None:
        """Train in so many new processes of this machine; in this one if it was itself launched, or if it is one."""
        if processes > 1 and not launched():
            check_dealt(self.settings.loop.batch_size, processes)
            launch(processes, self.device, AdapterJob.run, self)
        else:
            self.run()


def train_adapter_from_files(
    settings: AdapterTraining,
    backbone: Path,
    files: TrainingFiles,
    *,
    seed: int,
    output: Path,
    device: str = "cpu",
    start_from: Path | None = None,
    processes: int = 1,
) -> None:
    """Train an adapter on a frozen backbone, with as many threads per process as torch has now.

    Parameters
    ----------
    settings : AdapterTraining
    backbone : path
        Model folder of the frozen backbone, trained or registered.
    files : TrainingFiles
    seed : int
    output : path
        Model folder to write.
    device : str
    start_from : path, optional
        Model folder of the adapter whose weights are the first; the phase before.
    processes : int
        Of this machine, one per GPU; they share every batch and give the same result to rounding.
    """
    job = AdapterJob(settings, backbone, files, seed, output, device, start_from, torch.get_num_threads())
    # Of several processes that were launched together the first one holds the folder, for all.
    with only_writer_in(output) if os.environ.get("RANK", "0") == "0" else nullcontext():
        job.run_in(processes)
