"""The miniature's text encoder: hashed words."""

from functools import lru_cache
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import InputError
from cafa.common.seeds import seed_for
from cafa.common.words import words_of


class TextSettings(BaseModel):
    """Geometry of the text states."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dim: int = Field(48, gt=0, description="width of a text state")
    words: int = Field(16, gt=0, description="length; longer captions are refused")

    def encoder(self) -> dict[str, Any]:
        """Identity of the encoder, as stored with its features."""
        return {"name": "hashed_words", **self.model_dump()}


@lru_cache(maxsize=100_000)
def _word_vector(word: str, dim: int) -> np.ndarray:
    return np.random.default_rng(seed_for(0, "word", word)).standard_normal(dim).astype(np.float32)


def text_states(caption: str, settings: TextSettings) -> np.ndarray:
    """States of one caption.

    Parameters
    ----------
    caption : str
        At least one word.
    settings : TextSettings

    Returns
    -------
    ndarray, float32 (words, dim)
        Unit variance; zero after the last word.

    Raises
    ------
    InputError
        If the caption has no word or too many.
    """
    words = words_of(caption)
    if not 0 < len(words) <= settings.words:
        raise InputError(f"a caption must have 1 to {settings.words} words, got {len(words)}: {caption!r}")
    states = np.zeros((settings.words, settings.dim), np.float32)
    for position, word in enumerate(words):
        states[position] = _word_vector(word, settings.dim)
    return states
