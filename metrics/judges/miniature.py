"""The judges of the miniature as a panel; that of the published ones is in :mod:`metrics.judges.published`."""

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cafa.common.errors import InputError
from cafa.media.mel import MelSettings, log_mel
from cafa.media.sound import mono_at_rate, read_own_rate
from cafa.media.usable_sound import finding_of, over_full_scale
from metrics.judges.interface import Columns, PreparedAudio
from metrics.judges.kinds import JUDGES
from metrics.judges.media import sample_frames
from metrics.judges.trained import MicroJudges


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
    reported_classes: Mapping[str, int] = {}

    def __init__(self, folder: Path, check: Mapping[str, Any], judges: Collection[str], device: str = "cpu") -> None:
        self._judges = MicroJudges(folder, device, judges)
        self._measured = self._judges.measured
        self.judges: dict[str, Any] = self._judges.judges
        for name, judge in self._judges.trained.items():
            checked = check.get("judges", {}).get(name, {}).get("weights_sha256")
            if checked != judge.weights_sha256:
                raise InputError(
                    f"judge {name} in {folder} (weights {judge.weights_sha256}) is not the one that was checked "
                    f"(weights {checked}): check the judges again"
                )
        self.check = dict(check)
        for name, measured in self._measured.items():
            verdict = measured.verdict()
            self.check["judges"] = {**self.check["judges"], name: verdict}
            self.check["good"] = self.check["good"] and verdict["good"]
        self.seconds = float(self._judges.mel["seconds"])
        self.needs_video = any("video" in JUDGES[name].parts for name in self.judges)
        self._mel = MelSettings(**{name: self._judges.mel[name] for name in MelSettings.model_fields})
        self._size = int(self._judges.frames["frame_size"])
        self._rate = Fraction(self._judges.frames["frame_rate"])
        self._count = round(self.seconds * self._rate)
        self.settings = {"mel": self._judges.mel, "frames": self._judges.frames}
        self.audio_protocol = {"seconds": self.seconds}

    def facts(self, judge: str) -> Mapping[str, Any]:
        """See :class:`metrics.judges.interface.Panel`."""
        return self._judges.facts(judge)

    def decode_video(self, path: Path, start: float = 0.0) -> np.ndarray:
        """The picture from a second on, in the size that the judges take."""

        def squash(frame: np.ndarray) -> np.ndarray:
            return cv2.resize(frame, (self._size, self._size), interpolation=cv2.INTER_AREA)

        return sample_frames(path, {self._rate: self._count}, squash, start)[self._rate]

    def embed_video(self, frames: np.ndarray) -> Columns:
        """The frames, and the embeddings of them by judges that have one."""
        kept = {"frames": frames}
        for name in self.judges:
            if JUDGES[name].video_column:
                kept[f"{name}_video"] = self._judges.embed_video(frames[None], name)[0]
        return kept

    def prepare_audio(self, path: Path, judges: Collection[str]) -> PreparedAudio:
        """Log-mel of the window that the judges were trained on."""
        data, rate = read_own_rate(path, self.seconds)
        sound = mono_at_rate(data, rate, self._mel.sample_rate, self.seconds, path)
        arrays = {"mel": log_mel(sound, self._mel)}
        for name in [name for name in self._measured if name in judges]:
            arrays[name] = self._measured[name].prepare_audio(data, rate, self.seconds)
        return PreparedAudio(arrays, self._mel.sample_rate, "", finding_of(data), over_full_scale(data))

    def embed_audio(
        self, sounds: Sequence[PreparedAudio], video: Sequence[Columns], judges: Collection[str]
    ) -> dict[str, Columns]:
        """Columns of `judges`."""
        blank = np.zeros((self._count, self._size, self._size, 3), np.uint8)
        # Only the offset judge looks; where nobody asks for it, it may look at nothing.
        frames = np.stack([one.get("frames", blank) for one in video])
        found = self._judges.embed_sound(np.stack([one.arrays["mel"] for one in sounds]), frames)
        for name in [name for name in self._measured if name in judges]:
            found[name] = self._measured[name].embed_audio([one.arrays[name] for one in sounds], [None] * len(sounds))
        return {judge: found[judge] for judge in judges}

    def embed_text(self, captions: Sequence[str], judge: str = "clap") -> np.ndarray:
        """Unit vectors of captions by a judge."""
        return self._judges.embed_text(list(captions), judge)
