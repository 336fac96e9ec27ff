"""Text states of the miniature: a frozen encoder that gives every word a fixed random vector.

It stands where a pretrained text encoder (T5) stands at full size: frozen, any words, padded to a fixed length with
zeros. What the words mean is left to the backbone to learn.
"""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cafa.errors import InputError
from cafa.seeds import seed_for
from cafa.shards import shard_of
from cafa.store import write_features
from cafa.words import words_of


class TextSettings(BaseModel):
    """Geometry of the text states."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dim: int = Field(48, gt=0, description="width of a text state")
    words: int = Field(16, gt=0, description="length; longer captions are refused")

    def encoder(self) -> dict[str, Any]:
        """Identity of the encoder, as stored with its features."""
        return {"name": "hashed_words", **self.model_dump()}


def text_id(caption: str) -> str:
    """Key of a caption in a feature store."""
    return hashlib.sha256(caption.encode()).hexdigest()[:32]


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


def captions_of_shard(captions: Iterable[str], shard: tuple[int, int]) -> dict[str, str]:
    """Different captions of a shard by their :func:`text_id`, in its order: dealt by its hash."""
    by_id = {text_id(caption): caption for caption in set(captions)}
    return {key: by_id[key] for key in sorted(by_id) if shard_of(key, shard[1]) == shard[0]}


def write_text_features(
    path: str | Path, captions: Iterable[str], settings: TextSettings, *, shard: tuple[int, int] = (0, 1)
) -> int:
    """Write the states of all different captions of a shard to a feature store; returns their number."""
    arrays = ((key, text_states(text, settings)) for key, text in captions_of_shard(captions, shard).items())
    return write_features(
        path, arrays, kind="text", shape=(settings.words, settings.dim), dtype="float16", encoder=settings.encoder(),
        trimmed=True,
    )  # fmt: skip
