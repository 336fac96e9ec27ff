"""The judges of an evaluation behind one face, and those of the miniature.

A clip's picture is decoded once (`see`) and embedded once (`look`), a file of sound is opened once for all judges
(`hear`), and sounds are embedded together with what was seen of their clips (`listen`). `see` and `hear` use no network
and may run ahead in threads. The published networks are in :mod:`metrics.judges.published`.
"""

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cafa.common.errors import InputError
from cafa.media.mel import MelSettings, log_mel
from cafa.media.sound import at_rate, read_own_rate
from cafa.media.usable_sound import finding_of, over_full_scale
from metrics.encoders.miniature.all import MicroJudges
from metrics.judges.interface import SEEING, Columns, Heard
from metrics.judges.media import sample_frames


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
