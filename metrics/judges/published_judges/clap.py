"""LAION-CLAP: sounds and captions in one space."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cafa.common.errors import InputError
from cafa.models.weights import require_file
from metrics.encoders.clap.encoders import ClapAudioEncoder, ClapNetwork, ClapTextEncoder, clap_config, load_clap
from metrics.encoders.clap.tokenizer import LARGEST_COSINE, UNRELATED, load_tokenizer
from metrics.judges.published_judge import JudgeFiles, PublishedJudge


class ClapJudge(PublishedJudge):
    """Unit vectors of sounds and of captions.

    Parameters
    ----------
    audio, text
        Either may be left out.
    weights_sha256 : str
    """

    def __init__(self, audio: ClapAudioEncoder | None, text: ClapTextEncoder | None, weights_sha256: str) -> None:
        super().__init__(audio, weights_sha256)
        self._text = text

    def embed_text(self, captions: Sequence[str]) -> np.ndarray:
        """Unit vectors (captions, 512)."""
        if self._text is None:
            raise InputError("no metric asked for CLAP, so its text tower was not loaded")
        return self._text.embed(list(captions))

    def measures(self) -> dict[str, dict[str, Any]]:
        """Whether captions that have nothing to do with each other are told apart: some converted files fail there."""
        cosines = (text := self.embed_text(UNRELATED)) @ text.T
        largest = float(cosines[~np.eye(len(text), dtype=bool)].max())
        return {
            "largest_cosine_of_unrelated_captions": {
                "value": largest,
                "threshold": LARGEST_COSINE,
                "direction": "<=",
                "good": largest <= LARGEST_COSINE,
            }
        }


def open_clap(files: JudgeFiles, parts: Sequence[str]) -> ClapJudge:
    """Load the published network, and the tokenizer where captions are embedded."""
    checkpoint = load_clap(files.paths["laion_clap"], files.sources["laion_clap"], unverified=files.unverified)
    config = clap_config(**files.sizes) if files.sizes else None
    network = ClapNetwork.from_tensors(checkpoint.tensors, device=files.device, config=config)
    audio = ClapAudioEncoder(network, checkpoint.sha256) if "audio" in parts else None
    text = None
    if "text" in parts:
        for name in ("roberta_vocab", "roberta_merges"):
            # Without a recorded digest they are known by what they make of known sentences.
            require_file(files.paths[name], files.sources[name], unverified=True)
        tokenizer = load_tokenizer(files.paths["roberta_vocab"], files.paths["roberta_merges"])
        text = ClapTextEncoder(network, tokenizer, checkpoint.sha256)
    return ClapJudge(audio, text, checkpoint.sha256)
