"""The published judges of an evaluation: PANNs, LAION-CLAP, ImageBind and Synchformer."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cafa.common.errors import InputError
from cafa.common.files import sha256_file
from cafa.media.usable_sound import check_samples, finding_of, over_full_scale, usable_length
from cafa.models.encoders.synchformer_network import DESYNC_STRIDE, FRAME_SIZE, SEGMENT_FRAMES
from cafa.models.weights import WeightSource
from metrics.encoders.clap.tokenizer import LARGEST_COSINE, UNRELATED
from metrics.encoders.frames import resize_short_side
from metrics.encoders.imagebind.network import PAIR
from metrics.encoders.synchformer.offset_network import WINDOW_SEGMENTS, offset_grid
from metrics.judges.interface import Columns, Heard
from metrics.judges.media import decode_whole_sound, fill_up, sample_frames
from metrics.judges.published_networks import RealEncoders, find_weights, load_encoders, rows_of

IB_RATE, SYNC_RATE = Fraction(1, 2), Fraction(25)
#: Setting of a panel: names of weights that no recorded SHA-256 vouches for.
UNVOUCHED = "weights_without_recorded_sha256"
#: AudioSet's classes that a foley system should not make unasked.
LEAKS = {"Speech": 0, "Music": 137}


@dataclass(frozen=True)
class Identity:
    """SHA-256 of a judge's weights."""

    weights_sha256: str


class RealJudges:
    """PANNs, LAION-CLAP, ImageBind and Synchformer.

    Parameters
    ----------
    encoders : RealEncoders
        Those that are needed; a judge without an encoder of sound (or of captions) is none of the panel.
    seconds : float
        Length that is scored, from the beginning of each file.
    whole_file_for_imagebind : bool
        ImageBind hears the whole file, whatever its length, as in av-benchmark.

    Raises
    ------
    InputError
        If a judge cannot judge sounds of that length.
    """

    kind = "real"
    leaks = LEAKS

    def __init__(self, encoders: RealEncoders, seconds: float, *, whole_file_for_imagebind: bool = False) -> None:
        self.encoders, self.seconds = encoders, seconds
        self.whole_file_for_imagebind = whole_file_for_imagebind
        self.grid = [round(float(offset), 6) for offset in offset_grid()]
        #: Encoders of sound by judge.
        self.listeners = {
            judge: encoder
            for judge, encoder in (
                ("classifier", encoders.panns),
                ("clap", encoders.clap_audio),
                ("imagebind", encoders.imagebind_audio),
                ("synchformer", encoders.synchformer_audio),
            )
            if encoder is not None
        }
        known = {**self.listeners, **({"clap": encoders.clap_text} if encoders.clap_text is not None else {})}
        self.judges = {judge: Identity(encoder.weights_sha256) for judge, encoder in known.items()}
        self.hearing = {"seconds": seconds, "imagebind_hears": "whole file" if whole_file_for_imagebind else seconds}
        self.settings: dict[str, Any] = dict(self.hearing)
        self.frame_counts = self._frame_counts()
        self.sees = bool(self.frame_counts)

    def _frame_counts(self) -> dict[Fraction, int]:
        """Frames of a clip's picture by rate; lengths that are too short for a judge of the panel are refused."""
        counts: dict[Fraction, int] = {}
        if "imagebind" in self.judges:
            count = int(IB_RATE * Fraction(self.seconds))
            if count < PAIR:
                raise InputError(f"IB needs at least {PAIR / IB_RATE} s (two frames), got {self.seconds:g} s")
            if self.encoders.imagebind_vision is not None:
                counts[IB_RATE] = count
        if "synchformer" in self.judges:
            count = int(SYNC_RATE * Fraction(self.seconds).limit_denominator(1000))
            if count < (least := SEGMENT_FRAMES + (WINDOW_SEGMENTS - 1) * DESYNC_STRIDE):
                raise InputError(f"DeSync needs at least {float(least / SYNC_RATE)} s, got {self.seconds:g} s")
            if self.encoders.synchformer_video is not None:
                counts[SYNC_RATE] = count
        return counts

    @property
    def check(self) -> dict[str, Any]:
        """The published networks by name and checksum; CLAP's text tower is measured."""
        names = {judge: encoder.name for judge, encoder in self.listeners.items()}
        verdicts: dict[str, Any] = {
            judge: {"weights_sha256": identity.weights_sha256, "network": names[judge], "measures": {}}
            for judge, identity in self.judges.items()
        }
        if "clap" in verdicts:
            cosines = (text := self.read(UNRELATED)) @ text.T
            largest = float(cosines[~np.eye(len(text), dtype=bool)].max())
            verdicts["clap"]["measures"]["largest_cosine_of_unrelated_captions"] = {
                "value": largest,
                "threshold": LARGEST_COSINE,
                "direction": "<=",
                "good": largest <= LARGEST_COSINE,
            }
        for verdict in verdicts.values():
            verdict["good"] = all(measure["good"] for measure in verdict["measures"].values())
        return {"judges": verdicts, "good": all(verdict["good"] for verdict in verdicts.values())}

    def see(self, path: Path) -> dict[Fraction, np.ndarray]:
        """Frames for both judges that look, from one decoding."""
        return sample_frames(path, self.frame_counts, _short_side)

    def look(self, frames: Mapping[Fraction, np.ndarray]) -> Columns:
        """Embedding for ImageBind and features for Synchformer."""
        seen: Columns = {}
        if self.encoders.imagebind_vision is not None:
            seen["imagebind_video"] = self.encoders.imagebind_vision.embed([frames[IB_RATE]])[0]
        if self.encoders.synchformer_video is not None:
            seen["synchformer_video"] = self.encoders.synchformer_video.embed([frames[SYNC_RATE]])[0]
        return seen

    def hear(self, path: Path, judges: Collection[str]) -> Heard:
        """Decode once; every judge then takes its own rate, channels and length."""
        decoded, rate = decode_whole_sound(path)
        whole = {"imagebind"} & set(judges) if self.whole_file_for_imagebind else set()
        judged = math.ceil(self.seconds * rate)
        check_samples(decoded if whole else decoded[:, :judged], rate, path.name)
        # What is not judged must not reach the mean of the file, which some judges subtract.
        decoded = decoded[:, : usable_length(decoded, judged)]
        samples = fill_up(decoded, rate, self.seconds)
        added = (samples.shape[1] - decoded.shape[1]) / rate
        arrays = {
            judge: self.listeners[judge].prepare(samples, rate, None if judge in whole else self.seconds)
            for judge in judges
        }
        note = f"{added:.3f} s of silence appended" if added else ""
        return Heard(arrays, rate, note, finding_of(samples[:, :judged]), over_full_scale(samples[:, :judged]))

    def listen(self, heard: Sequence[Heard], seen: Sequence[Columns], judges: Collection[str]) -> dict[str, Columns]:
        """Columns of `judges`."""
        found: dict[str, Columns] = {}
        for judge in judges:
            sounds = [one.arrays[judge] for one in heard]
            if judge == "classifier" and self.encoders.panns is not None:
                embedding, logits = self.encoders.panns.embed_with_logits(sounds)
                found[judge] = {"embedding": embedding, "logits": logits}
            elif judge == "synchformer":
                found[judge] = self._offsets(self.listeners[judge].embed(sounds), seen)
            else:
                found[judge] = {"embedding": self.listeners[judge].embed(sounds)}
        return found

    def _offsets(self, audio: np.ndarray, seen: Sequence[Columns]) -> Columns:
        assert self.encoders.synchformer_offset is not None
        video = np.stack([one["synchformer_video"] for one in seen])
        first, last = self.encoders.synchformer_offset.window_logits(video, audio)
        return {"logits_first": first, "logits_last": last}

    def read(self, captions: Sequence[str]) -> np.ndarray:
        """CLAP's unit vectors (captions, 512)."""
        if self.encoders.clap_text is None:
            raise InputError("no metric asked for CLAP, so its text tower was not loaded")
        return self.encoders.clap_text.embed(list(captions))


def _short_side(frame: np.ndarray) -> np.ndarray:
    """Both judges begin by bringing the short side to 224: done once, frame by frame, the result is the same."""
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
    encoders = load_encoders(paths, sources, judges, device=device, unverified=unverified)
    panel = RealJudges(encoders, seconds, whole_file_for_imagebind=whole_file_for_imagebind)
    panel.settings |= {name: sha256_file(path) for name, path in paths.items() if name.startswith("roberta_")}
    if unknown := sorted(name for name in paths if sources[name].sha256 is None and not name.startswith("roberta_")):
        panel.settings[UNVOUCHED] = unknown
    return panel
