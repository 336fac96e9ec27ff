"""Synchformer: by how much sound and picture are apart."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from cafa.common.errors import InputError
from cafa.models.encoders.synchformer_network import DESYNC_STRIDE, SEGMENT_FRAMES, segment_starts
from metrics.encoders.synchformer.encoders import (
    SynchformerAudioEncoder,
    SynchformerJudge,
    SynchformerVideoEncoder,
    load_synchformer,
)
from metrics.encoders.synchformer.offset_network import VIDEO_VECTORS, WINDOW_SEGMENTS, offset_grid
from metrics.judges.interface import Columns
from metrics.judges.published_judge import JudgeFiles, PublishedJudge

WEIGHTS = "synchformer"
FRAME_RATE = Fraction(25)
#: Offsets in seconds that its classes stand for.
GRID = [round(float(offset), 6) for offset in offset_grid()]


class OffsetJudge(PublishedJudge):
    """Logits of the offset in the first and in the last window of a clip."""

    frame_rate: ClassVar[Fraction | None] = FRAME_RATE
    fewest_frames: ClassVar[int] = SEGMENT_FRAMES

    def __init__(
        self,
        audio: SynchformerAudioEncoder | None,
        video: SynchformerVideoEncoder | None,
        offset: SynchformerJudge | None,
        sha256: str,
    ) -> None:
        super().__init__(audio, sha256)
        self.video_encoder, self._offset = video, offset

    def frames(self, seconds: float) -> int:
        """See :class:`PublishedJudge`."""
        return int(FRAME_RATE * Fraction(seconds).limit_denominator(1000))

    def check_length(self, seconds: float) -> None:
        """See :class:`PublishedJudge`."""
        least = SEGMENT_FRAMES + (WINDOW_SEGMENTS - 1) * DESYNC_STRIDE
        if self.frames(seconds) < least:
            raise InputError(f"DeSync needs at least {float(least / FRAME_RATE)} s, got {seconds:g} s")

    def embed_audio(self, sounds: Sequence[np.ndarray], video: Sequence[np.ndarray | None]) -> Columns:
        """See :class:`PublishedJudge`."""
        if self._offset is None:
            raise InputError("the judge was not loaded for sounds")
        pictures = np.stack([one for one in video if one is not None])
        first, last = self._offset.window_logits(pictures, self.audio.embed(sounds))
        return {"logits_first": first, "logits_last": last}

    def kept_picture(self, seconds: float) -> tuple[int, ...]:
        """Segments, vectors of each, and their width."""
        if not isinstance(self.video_encoder, SynchformerVideoEncoder):
            raise InputError("the judge was not loaded for pictures")
        segments = len(segment_starts(self.frames(seconds), DESYNC_STRIDE))
        return segments, VIDEO_VECTORS, self.video_encoder.network.vproj.in_features

    def facts(self) -> dict[str, Any]:
        """The grid of offsets."""
        return {"grid": GRID}


def open_synchformer(files: JudgeFiles, parts: Sequence[str]) -> OffsetJudge:
    """Load the published networks of `parts`."""
    checkpoint = load_synchformer(files.paths[WEIGHTS], files.sources[WEIGHTS], unverified=files.unverified)
    how = files.of_network
    hears = "audio" in parts
    return OffsetJudge(
        SynchformerAudioEncoder.from_checkpoint(checkpoint, **how) if hears else None,
        SynchformerVideoEncoder.from_checkpoint(checkpoint, **how) if "video" in parts else None,
        SynchformerJudge.from_checkpoint(checkpoint, **how) if hears else None,
        checkpoint.sha256,
    )
