"""PANNs: AudioSet's classes, and the embedding that FAD is computed in."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from metrics.encoders.panns import PannsEncoder
from metrics.judges.interface import Columns
from metrics.judges.published_judge import JudgeFiles, PublishedJudge

WEIGHTS = "panns_cnn14_16k"
#: AudioSet's classes that are reported as leakage: speech and music that nobody asked for
REPORTED_CLASSES = {"Speech": 0, "Music": 137}


class ClassifierJudge(PublishedJudge):
    """Embedding and logits of every sound."""

    reported_classes: ClassVar[Mapping[str, int]] = REPORTED_CLASSES

    def __init__(self, encoder: PannsEncoder) -> None:
        super().__init__(encoder)
        self._encoder = encoder

    def embed_audio(self, sounds: Sequence[np.ndarray], video: Sequence[np.ndarray | None]) -> Columns:
        """See :class:`PublishedJudge`."""
        embedding, logits = self._encoder.embed_with_logits(sounds)
        return {"embedding": embedding, "logits": logits}

    def facts(self) -> dict[str, Mapping[str, int]]:
        """The classes that are reported; the key is that of the first files of this project."""
        return {"leaks": self.reported_classes}


def open_classifier(files: JudgeFiles, parts: Sequence[str]) -> ClassifierJudge:
    """Load the published network."""
    source = files.sources[WEIGHTS]
    encoder = PannsEncoder.from_file(files.paths[WEIGHTS], source, unverified=files.unverified, **files.of_network)
    return ClassifierJudge(encoder)
