"""Published checkpoints of Stable Audio and of its adapter, under our names."""

from pathlib import Path

from safetensors.torch import save_file

from cafa.common.errors import WeightsError
from cafa.common.files import atomic_write
from cafa.models.checkpoint_reader import read_tensors
from cafa.models.stable_audio.checkpoint_names import PublishedWeights, from_published, to_published


def read_published(file: str | Path, prefix: str | tuple[str, ...] = "") -> PublishedWeights:
    """Weights of a published file, safetensors or another checkpoint, under our names; of a part with `prefix` alone.

    Raises
    ------
    WeightsError
        If it is missing, is no checkpoint, or has names too many or too few.
    """
    file = Path(file)
    if not file.is_file():
        raise WeightsError(f"there is no file {file}: download the published checkpoint and put it there")
    return from_published(read_tensors(file, prefix=prefix))


def write_published(file: str | Path, weights: PublishedWeights, rotary_dim: int = 32) -> None:
    """Write weights as a published checkpoint; appears whole or not at all."""
    with atomic_write(file) as temporary:
        save_file({name: value.contiguous() for name, value in to_published(weights, rotary_dim).items()}, temporary)
