"""Text states of the miniature: a frozen encoder that gives every word a fixed random vector.

It stands where a pretrained text encoder (T5) stands at full size: frozen, any words, padded to a fixed length with
zeros. What the words mean is left to the backbone to learn.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cafa.common.shards import shard_of
from cafa.features.store import write_features
from cafa.models.encoders.miniature_text import TextSettings, text_states


def text_id(caption: str) -> str:
    """Key of a caption in a feature store."""
    return hashlib.sha256(caption.encode()).hexdigest()[:32]


def captions_of_shard(captions: Iterable[str], shard: tuple[int, int]) -> dict[str, str]:
    """Different captions of a shard by their :func:`text_id`, in its order: dealt by its hash."""
    by_id = {text_id(caption): caption for caption in set(captions)}
    return {key: by_id[key] for key in sorted(by_id) if shard_of(key, shard[1]) == shard[0]}


def write_text_features(
    path: str | Path, captions: Iterable[str], settings: TextSettings, *, shard: tuple[int, int] = (0, 1)
) -> int:
    """Write the states of all different captions of a shard to a feature store; returns their number.

    Those of the empty text are zeros: the null text, which models here know from training.
    """
    nothing = np.zeros((settings.words, settings.dim), np.float32)
    mine = captions_of_shard(captions, shard)
    arrays = ((key, text_states(text, settings) if text else nothing) for key, text in mine.items())
    return write_features(
        path,
        arrays,
        kind="text",
        shape=(settings.words, settings.dim),
        dtype="float16",
        encoder=settings.encoder(),
        trimmed=True,
    )
