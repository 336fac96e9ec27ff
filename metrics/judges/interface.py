"""What a panel of judges offers an evaluation, miniature or published."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class PreparedAudio:
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
    """The judges of an evaluation behind one interface.

    A clip's picture is decoded once (`decode_video`) and embedded once (`embed_video`), a file of sound is decoded once
    for all judges (`prepare_audio`), and sounds are embedded together with what is kept of their clips' pictures
    (`embed_audio`). `decode_video` and `prepare_audio` use no network and may run ahead in threads.

    Attributes
    ----------
    kind
        ``real`` or ``miniature``.
    seconds
        Length that is scored.
    judges
        Name -> object with `weights_sha256`.
    needs_video
        Whether a judge looks at pictures.
    reported_classes
        Name -> index of classes of the classifier that are reported for themselves.
    audio_protocol
        What is used of a file of sound: written into the embeddings, and compared where they meet.
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
    def needs_video(self) -> bool: ...  # noqa: D102

    @property
    def reported_classes(self) -> Mapping[str, int]: ...  # noqa: D102

    @property
    def audio_protocol(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def settings(self) -> dict[str, Any]: ...  # noqa: D102

    @property
    def check(self) -> dict[str, Any]: ...  # noqa: D102

    def facts(self, judge: str) -> Mapping[str, Any]:
        """What the files of a judge's embeddings say of it beside its weights."""
        ...

    def decode_video(self, path: Path, start: float = 0.0) -> Any:
        """Decode a clip's picture from a second on, once for all judges."""
        ...

    def embed_video(self, frames: Any) -> Columns:
        """What is kept of a clip's picture (from `decode_video`): ``<judge>_video`` of the judges that look."""
        ...

    def prepare_audio(self, path: Path, judges: Collection[str]) -> PreparedAudio:
        """Decode a file once, for all of `judges`."""
        ...

    def embed_audio(
        self, sounds: Sequence[PreparedAudio], video: Sequence[Columns], judges: Collection[str]
    ) -> dict[str, Columns]:
        """Columns of `judges` (of :attr:`metrics.judges.kinds.JudgeKind.columns`) for sounds of clips."""
        ...

    def embed_text(self, captions: Sequence[str], judge: str = "clap") -> np.ndarray:
        """Unit vectors of captions by a judge."""
        ...
