"""VGGish: 128 values of every 0.96 s of a sound, one after the other in one row."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cafa.common.errors import InputError
from metrics.encoders.vggish import LEAST_SAMPLES, SAMPLE_RATE, WIDTH, VggishEncoder
from metrics.judges.interface import Columns
from metrics.judges.published_judge import JudgeFiles, PublishedJudge

WEIGHTS = "vggish"


class VggishJudge(PublishedJudge):
    """A row per sound: (pieces x 128) values; metrics take it apart again."""

    def check_length(self, seconds: float) -> None:
        """See :class:`PublishedJudge`."""
        if int(seconds * SAMPLE_RATE) < LEAST_SAMPLES:
            raise InputError(f"FD_VGG needs at least {LEAST_SAMPLES / SAMPLE_RATE} s, got {seconds:g} s")

    def embed_audio(self, sounds: Sequence[np.ndarray], video: Sequence[np.ndarray | None]) -> Columns:
        """See :class:`PublishedJudge`."""
        pieces = self.audio.embed(sounds)
        return {"embedding": pieces.reshape(len(pieces), -1)}

    def facts(self) -> dict[str, Any]:
        """Values of a piece."""
        return {"piece": WIDTH}


def open_vggish(files: JudgeFiles, parts: Sequence[str]) -> VggishJudge:
    """Load the published network, without its last ReLU and without post-processing."""
    source = files.sources[WEIGHTS]
    encoder = VggishEncoder.from_file(files.paths[WEIGHTS], source, unverified=files.unverified, **files.of_network)
    return VggishJudge(encoder)
