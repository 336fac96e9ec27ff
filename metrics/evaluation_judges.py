"""The judges of an evaluation behind one face, and those of the miniature.

A clip's picture is decoded once (`see`) and embedded once (`look`), a file of sound is opened once for all judges
(`hear`), and sounds are embedded together with what was seen of their clips (`listen`). `see` and `hear` use no network
and may run ahead in threads. The published networks are in :mod:`metrics.evaluation_real`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from cafa.errors import InputError
from cafa.media.mel import MelSettings, log_mel
from cafa.media.sound import at_rate, read_own_rate
from cafa.media.usable_sound import finding_of, over_full_scale
from metrics.encoders.micro_judges import MicroJudges
from metrics.evaluation_media import sample_frames

#: judge -> metrics that are made of it
METRICS_OF: dict[str, tuple[str, ...]] = {
    "classifier": ("FAD", "KAD", "KL", "IS", "Speech", "Music"),
    "clap": ("CLAP", "Acc", "Acc_margin", "FAD_CLAP", "KAD_CLAP"),
    "imagebind": ("IB",),
    "synchformer": ("DeSync",),
}
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

    kind: str
    seconds: float
    judges: Mapping[str, Any]
    grid: Sequence[float]
    sees: bool
    leaks: Mapping[str, int]
    hearing: Mapping[str, Any]
    settings: dict[str, Any]
    check: dict[str, Any]

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
        """Columns of `judges` (those of :data:`metrics.embedding.SOUND_COLUMNS`) for sounds of clips."""
        ...

    def read(self, captions: Sequence[str]) -> np.ndarray:
        """CLAP's unit vectors of captions."""
        ...


def judges_for(metrics: Collection[str]) -> frozenset[str]:
    """Judges that metrics need; the classifier, on which the reference set rests, is always one."""
    return frozenset({"classifier", *(judge for judge, own in METRICS_OF.items() if set(own) & set(metrics))})


class MiniatureJudges:
    """The judges of the miniature; what they judge is the rendered world's categories and nothing else.

    Parameters
    ----------
    folder : path
        Their model folders.
    check : mapping
        Verdict on them, of ``cafa judges check``.
    judges : collection of str
        Those that metrics need.
    device : str

    Raises
    ------
    InputError
        If the verdict is on other weights.
    """

    kind = "miniature"
    leaks: Mapping[str, int] = {}

    def __init__(self, folder: Path, check: Mapping[str, Any], judges: Collection[str], device: str = "cpu") -> None:
        self._judges = MicroJudges(folder, device)
        self.judges = {name: judge for name, judge in self._judges.judges.items() if name in judges}
        for name, judge in self.judges.items():
            checked = check.get("judges", {}).get(name, {}).get("weights_sha256")
            if checked != judge.weights_sha256:
                raise InputError(
                    f"judge {name} in {folder} (weights {judge.weights_sha256}) is not the one that was checked "
                    f"(weights {checked}): check the judges again"
                )
        self.check = dict(check)
        self.grid = self._judges.grid
        self.seconds = float(self._judges.mel["seconds"])
        self.sees = bool(SEEING & set(self.judges))
        self._mel = MelSettings(**{name: self._judges.mel[name] for name in MelSettings.model_fields})
        self._size = int(self._judges.frames["frame_size"])
        self._rate = Fraction(self._judges.frames["frame_rate"])
        self._count = round(self.seconds * self._rate)
        self.settings = {"mel": self._judges.mel, "frames": self._judges.frames}
        self.hearing = {"seconds": self.seconds}

    def see(self, path: Path) -> np.ndarray:
        """The picture as the judges see it."""

        def squash(frame: np.ndarray) -> np.ndarray:
            return cv2.resize(frame, (self._size, self._size), interpolation=cv2.INTER_AREA)

        return sample_frames(path, {self._rate: self._count}, squash)[self._rate]

    def look(self, frames: np.ndarray) -> Columns:
        """The frames, and ImageBind's embedding of them."""
        return {"frames": frames, "imagebind_video": self._judges.embed_video(frames[None])[0]}

    def hear(self, path: Path, judges: Collection[str]) -> Heard:
        """Log-mel of the window that the judges were trained on."""
        data, rate = read_own_rate(path, self.seconds)
        mono = data.mean(axis=0, dtype=np.float32)[None]
        sound = at_rate(mono, rate, self._mel.sample_rate, self.seconds, path)[0]
        mel = log_mel(sound, self._mel)
        return Heard({"mel": mel}, self._mel.sample_rate, "", finding_of(data), over_full_scale(data))

    def listen(self, heard: Sequence[Heard], seen: Sequence[Columns], judges: Collection[str]) -> dict[str, Columns]:
        """Columns of `judges`."""
        blank = np.zeros((self._count, self._size, self._size, 3), np.uint8)
        # Only the offset judge looks; where nobody asks for it, it may look at nothing.
        frames = np.stack([one.get("frames", blank) for one in seen])
        found = self._judges.embed_sound(np.stack([one.arrays["mel"] for one in heard]), frames)
        return {judge: found[judge] for judge in judges}

    def read(self, captions: Sequence[str]) -> np.ndarray:
        """CLAP's unit vectors (captions, 64)."""
        return self._judges.embed_text(list(captions))
