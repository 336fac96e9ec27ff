"""Audiobox-Aesthetics: four ratings of a sound, without a reference."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cafa.models.weights import require_file
from metrics.encoders.audiobox.encoders import AXES, AudioboxEncoder
from metrics.judges.interface import Columns
from metrics.judges.published_judge import JudgeFiles, PublishedJudge

WEIGHTS, CONFIG = "audiobox", "audiobox_config"


class AudioboxJudge(PublishedJudge):
    """Ratings of every sound, in the order of :data:`AXES`."""

    def embed_audio(self, sounds: Sequence[np.ndarray], video: Sequence[np.ndarray | None]) -> Columns:
        """See :class:`PublishedJudge`."""
        return {"ratings": self.audio.embed(sounds)}

    def facts(self) -> dict[str, Any]:
        """The axes in their order."""
        return {"axes": list(AXES)}


def open_audiobox(files: JudgeFiles, parts: Sequence[str]) -> AudioboxJudge:
    """Load the published network and its settings."""
    require_file(files.paths[CONFIG], files.sources[CONFIG], unverified=files.unverified)
    encoder = AudioboxEncoder.from_files(
        files.paths[WEIGHTS],
        files.paths[CONFIG],
        files.sources[WEIGHTS],
        unverified=files.unverified,
        **files.of_network,
    )
    return AudioboxJudge(encoder)
