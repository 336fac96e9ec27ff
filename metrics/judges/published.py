"""The published judges of an evaluation as a panel."""

import math
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cafa.common.errors import InputError
from cafa.common.files import sha256_file
from cafa.media.usable_sound import check_samples, finding_of, over_full_scale, usable_length
from cafa.models.encoders.synchformer_network import FRAME_SIZE
from cafa.models.weights import WeightSource
from metrics.encoders.frames import resize_short_side
from metrics.judges.interface import Columns, PreparedAudio
from metrics.judges.media import decode_whole_sound, fill_up, sample_frames
from metrics.judges.published_files import find_weights, open_judges, rows_of
from metrics.judges.published_judge import PublishedJudge

#: Setting of a panel: names of weights whose SHA-256 could not be compared with a recorded one.
UNVERIFIED_WEIGHTS = "weights_without_recorded_sha256"


class RealJudges:
    """Published judges, such as PANNs, LAION-CLAP, ImageBind and Synchformer.

    Parameters
    ----------
    judges : mapping of str to PublishedJudge
        From :func:`metrics.judges.published_files.open_judges`.
    seconds : float
        Length that is scored, from the beginning of each file.
    whole_file_for_imagebind : bool
        ImageBind takes the whole file, whatever its length, as in av-benchmark.

    Raises
    ------
    InputError
        If a judge cannot judge sounds of that length.
    """

    kind = "real"

    def __init__(
        self, judges: Mapping[str, PublishedJudge], seconds: float, *, whole_file_for_imagebind: bool = False
    ) -> None:
        self.judges, self.seconds = dict(judges), seconds
        for judge in self.judges.values():
            judge.check_length(seconds)
        self._whole = {name for name, judge in judges.items() if whole_file_for_imagebind and judge.takes_whole_files}
        self.audio_protocol = {
            "seconds": seconds,
            "imagebind_hears": "whole file" if whole_file_for_imagebind else seconds,
        }
        self.settings: dict[str, Any] = dict(self.audio_protocol)
        self._looking = {name: judge for name, judge in self.judges.items() if judge.video_encoder is not None}
        self.frame_counts: dict[Fraction, int] = {
            judge.frame_rate: judge.frames(seconds) for judge in self._looking.values() if judge.frame_rate is not None
        }
        self.needs_video = bool(self.frame_counts)

    @property
    def reported_classes(self) -> dict[str, int]:
        """See :class:`metrics.judges.interface.Panel`."""
        return {name: place for judge in self.judges.values() for name, place in judge.reported_classes.items()}

    def facts(self, judge: str) -> Mapping[str, Any]:
        """See :class:`metrics.judges.interface.Panel`."""
        return self.judges[judge].facts()

    @property
    def check(self) -> dict[str, Any]:
        """The published networks by name and checksum, and what is measured of them."""
        verdicts = {name: {**judge.verdict(), "network": judge.audio.name} for name, judge in self.judges.items()}
        return {"judges": verdicts, "good": all(verdict["good"] for verdict in verdicts.values())}

    def decode_video(self, path: Path, start: float = 0.0) -> dict[Fraction, np.ndarray]:
        """Frames from a second on for all judges that look, from one decoding."""
        return sample_frames(path, self.frame_counts, _short_side, start)

    def embed_video(self, frames: Mapping[Fraction, np.ndarray]) -> Columns:
        """What each judge that looks keeps of a picture."""
        return {
            f"{name}_video": judge.embed_video(frames[judge.frame_rate])
            for name, judge in self._looking.items()
            if judge.frame_rate is not None
        }

    def prepare_audio(self, path: Path, judges: Collection[str]) -> PreparedAudio:
        """Decode once; every judge then takes its own rate, channels and length."""
        decoded, rate = decode_whole_sound(path)
        whole = self._whole & set(judges)
        judged = math.ceil(self.seconds * rate)
        check_samples(decoded if whole else decoded[:, :judged], rate, path.name)
        # What is not judged must not reach the mean of the file, which some judges subtract.
        decoded = decoded[:, : usable_length(decoded, judged)]
        samples = fill_up(decoded, rate, self.seconds)
        added = (samples.shape[1] - decoded.shape[1]) / rate
        arrays = {
            judge: self.judges[judge].prepare_audio(samples, rate, None if judge in whole else self.seconds)
            for judge in judges
        }
        note = f"{added:.3f} s of silence appended" if added else ""
        return PreparedAudio(arrays, rate, note, finding_of(samples[:, :judged]), over_full_scale(samples[:, :judged]))

    def embed_audio(
        self, sounds: Sequence[PreparedAudio], video: Sequence[Columns], judges: Collection[str]
    ) -> dict[str, Columns]:
        """Columns of `judges`."""
        return {
            judge: self.judges[judge].embed_audio(
                [sound.arrays[judge] for sound in sounds], [kept.get(f"{judge}_video") for kept in video]
            )
            for judge in judges
        }

    def embed_text(self, captions: Sequence[str], judge: str = "clap") -> np.ndarray:
        """Unit vectors (captions, d) of a judge that reads captions."""
        if judge not in self.judges:
            raise InputError(f"no metric asked for the judge {judge}, so it was not loaded")
        return self.judges[judge].embed_text(captions)


def _short_side(frame: np.ndarray) -> np.ndarray:
    """All judges begin by bringing the short side to 224: done once, frame by frame, the result is the same."""
    small = resize_short_side(torch.from_numpy(frame).permute(2, 0, 1)[None], FRAME_SIZE)
    return small[0].permute(1, 2, 0).numpy()


def load_real(
    folder: Path,
    sources: Mapping[str, WeightSource],
    judges: Collection[str],
    seconds: float,
    *,
    whole_file_for_imagebind: bool = False,
    device: str = "cpu",
    unverified: bool = False,
) -> RealJudges:
    """Load the published networks from a folder.

    Parameters
    ----------
    folder : path
        Holds the files of the table of weights under their published names.
    sources : mapping of str to WeightSource
        Rows of that table.
    judges : collection of str
        Those that are needed.
    seconds, whole_file_for_imagebind
        As in :class:`RealJudges`.
    device : str
    unverified : bool
        Accept files for which the table holds no SHA-256; those found are on the protocol card.

    Raises
    ------
    WeightsError
        If files are missing (all of them are named, with what to download), or are not what the table says.
    """
    paths = find_weights(folder, sources, judges)
    sources = rows_of(paths, sources)
    opened = open_judges(paths, sources, judges, device=device, unverified=unverified)
    panel = RealJudges(opened, seconds, whole_file_for_imagebind=whole_file_for_imagebind)
    panel.settings |= {name: sha256_file(path) for name, path in paths.items() if name.startswith("roberta_")}
    if unknown := sorted(name for name in paths if sources[name].sha256 is None and not name.startswith("roberta_")):
        panel.settings[UNVERIFIED_WEIGHTS] = unknown
    return panel
