"""What every panel of judges offers, miniature or published."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

#: Judges that see.
SEEING = frozenset({"imagebind", "synchformer"})


Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Heard:
    """A file of sound, decoded and ready for the judges.

    Attributes
    ----------
    arrays
        What each judge takes.
    sample_rate
        Hertz; of the file where the judges take different rates, else theirs.
    note
        What was done to the sound so that it has its length; empty if nothing.
    finding
        Why nothing, or little, of it can be heard: a key of :data:`cafa.media.usable_sound.FINDINGS`, or empty.
    over
        Values beyond full scale.
    """

    arrays: Columns
    sample_rate: int
    note: str = ""
    finding: str = ""
    over: int = 0


class Panel(Protocol):
    """What an evaluation asks of its judges.

    Attributes
    ----------
    kind
        ``real`` or ``miniature``.
    seconds
        Length that is scored.
    judges
        Name -> object with `weights_sha256`.
    grid
        Offsets in seconds of the synchronisation judge's classes.
    sees
        Whether a judge looks at pictures.
    leaks
        Name -> index of classes of the classifier that are reported for themselves.
    hearing
        What is heard of a file: written into the embeddings, and compared where they meet.
    settings
        Everything else that embeddings depend on; JSON-serialisable.
    check
        Verdict on the judges, as from ``cafa judges check``.
    """

    @property
    def kind(self) -> str: ...  # noqa: D102

    @property
    def seconds(self) -> float: ...  # noqa: D102

    @property
    def judges(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def grid(self) -> Sequence[float]: ...  # noqa: D102

    @property
    def sees(self) -> bool: ...  # noqa: D102

    @property
    def leaks(self) -> Mapping[str, int]: ...  # noqa: D102

    @property
    def hearing(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def settings(self) -> dict[str, Any]: ...  # noqa: D102

    @property
    def check(self) -> dict[str, Any]: ...  # noqa: D102

    def see(self, path: Path) -> Any:
        """Decode a clip's picture once, for all judges."""
        ...

    def look(self, frames: Any) -> Columns:
        """What is kept of a clip's picture (from `see`); key ``imagebind_video`` is its embedding."""
        ...

    def hear(self, path: Path, judges: Collection[str]) -> Heard:
        """Decode a file once, for all of `judges`."""
        ...

    def listen(self, heard: Sequence[Heard], seen: Sequence[Columns], judges: Collection[str]) -> dict[str, Columns]:
        """Columns of `judges` (those of :data:`metrics.embedding.writing.SOUND_COLUMNS`) for sounds of clips."""
        ...

    def read(self, captions: Sequence[str]) -> np.ndarray:
        """CLAP's unit vectors of captions."""
        ...
