"""What the network of a judge's small form is: trained here, on log-mels and small frames."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn


class MiniatureNetwork(nn.Module):
    """A network of a judge. Subclass it, and write what the judge is asked for.

    Its arguments are some of these: ``bands`` (mel bands), ``silence`` (log-mel value of digital silence), ``classes``
    (labels of the clips) and ``size`` (side of the square frames). Each clip is treated by itself.

    Attributes
    ----------
    facts : mapping
        What the files of its embeddings say of it beside its weights; JSON-serialisable.
    """

    facts: ClassVar[Mapping[str, Any]] = {}

    def judge_sound(self, mel: Tensor, frames: Tensor) -> dict[str, Tensor]:
        """Columns of sounds, first axis the clips.

        Parameters
        ----------
        mel : Tensor
            (clips, 2 n, bands) log-mel.
        frames : Tensor
            (clips, n, size, size, 3) uint8, the pictures that they are judged with.
        """
        raise NotImplementedError

    def judge_pictures(self, frames: Tensor) -> Tensor:
        """Embeddings of pictures (clips, n, size, size, 3) uint8; of a judge with a column ``video``."""
        raise NotImplementedError

    def judge_captions(self, captions: Sequence[str]) -> Tensor:
        """Embeddings of captions; of a judge that reads captions."""
        raise NotImplementedError
