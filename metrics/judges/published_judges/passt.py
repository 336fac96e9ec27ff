"""PaSST: AudioSet's classes once more, and the embedding of FD_PaSST."""

from collections.abc import Sequence

import numpy as np

from metrics.encoders.passt import PasstEncoder
from metrics.judges.interface import Columns
from metrics.judges.published_judge import JudgeFiles, PublishedJudge

WEIGHTS = "passt"


class PasstJudge(PublishedJudge):
    """Embedding and logits of every sound."""

    def __init__(self, encoder: PasstEncoder) -> None:
        super().__init__(encoder)
        self._encoder = encoder

    def embed_audio(self, sounds: Sequence[np.ndarray], video: Sequence[np.ndarray | None]) -> Columns:
        """See :class:`PublishedJudge`."""
        embedding, logits = self._encoder.embed_with_logits(sounds)
        return {"embedding": embedding, "logits": logits}


def open_passt(files: JudgeFiles, parts: Sequence[str]) -> PasstJudge:
    """Load the published network."""
    source = files.sources[WEIGHTS]
    encoder = PasstEncoder.from_file(files.paths[WEIGHTS], source, unverified=files.unverified, **files.of_network)
    return PasstJudge(encoder)
