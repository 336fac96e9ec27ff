"""Loss curves for TensorBoard; a resumed run has every step once."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from cafa.common.errors import InputError


class Curves:
    """Writes scalars by step.

    Parameters
    ----------
    folder : path
        Emptied first: what an interrupted run wrote after its last saved state would be written twice.
    rows : iterable of mapping
        Steps done before, each with ``step``; written again.

    Raises
    ------
    InputError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path, rows: Iterable[Mapping[str, float]]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                "tensorboard is not installed: `pip install cafa[full]`, or set tensorboard to false"
            ) from error
        shutil.rmtree(folder, ignore_errors=True)
        self._writer = SummaryWriter(str(folder))
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, float]) -> None:
        """Add one step."""
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(name, value, int(row["step"]))

    def close(self) -> None:
        """Write what is held back."""
        self._writer.close()
