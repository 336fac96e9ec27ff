"""Microsoft's CLAP of 2023: sounds and captions in one space, other than LAION's."""

from collections.abc import Sequence

import numpy as np

from cafa.common.errors import InputError
from cafa.models.weights import require_file
from metrics.encoders.ms_clap.encoders import MsClapAudioEncoder, MsClapNetwork, MsClapTextEncoder, load_ms_clap
from metrics.encoders.ms_clap.tokenizer import load_tokenizer
from metrics.judges.published_judge import JudgeFiles, PublishedJudge

WEIGHTS, VOCAB, MERGES = "ms_clap", "gpt2_vocab", "gpt2_merges"


class MsClapJudge(PublishedJudge):
    """Unit vectors of sounds and of captions; either encoder may be left out."""

    def __init__(self, audio: MsClapAudioEncoder | None, text: MsClapTextEncoder | None, weights_sha256: str) -> None:
        super().__init__(audio, weights_sha256)
        self._text = text

    def embed_text(self, captions: Sequence[str]) -> np.ndarray:
        """Unit vectors (captions, 1024)."""
        if self._text is None:
            raise InputError("no metric asked for Microsoft's CLAP, so its text tower was not loaded")
        return self._text.embed(list(captions))


def open_ms_clap(files: JudgeFiles, parts: Sequence[str]) -> MsClapJudge:
    """Load the published network, and the tokenizer where captions are embedded."""
    checkpoint = load_ms_clap(files.paths[WEIGHTS], files.sources[WEIGHTS], unverified=files.unverified)
    network = MsClapNetwork.from_tensors(checkpoint.tensors, **files.of_network)
    audio = MsClapAudioEncoder(network, checkpoint.sha256) if "audio" in parts else None
    text = None
    if "text" in parts:
        for name in (VOCAB, MERGES):
            require_file(files.paths[name], files.sources[name], unverified=True)
        tokenizer = load_tokenizer(files.paths[VOCAB], files.paths[MERGES])
        text = MsClapTextEncoder(network, tokenizer, checkpoint.sha256)
    return MsClapJudge(audio, text, checkpoint.sha256)
