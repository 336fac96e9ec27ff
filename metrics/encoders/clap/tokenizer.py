"""Captions for LAION-CLAP: RoBERTa's tokenizer, and the checks that it is the real one.

transformers 5 returns an *empty* tokenizer, without an error, when a tokenizer's files cannot be found;
every caption then becomes the same ids and every CLAP score is meaningless. So the files are opened here by
name, and two known sentences must give their known ids.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cafa.common.errors import InputError, WeightsError
from metrics.encoders.bpe_files import read_byte_pairs

if TYPE_CHECKING:
    from transformers import RobertaTokenizer

CONTEXT = 77
KNOWN_IDS = {
    "a dog": [0, 102, 2335, 2],
    "Hello, my dog is cute": [0, 31414, 6, 127, 2335, 16, 11962, 2],
}
UNRELATED = ("a dog barking", "heavy rain on a tin roof", "an electric guitar solo", "people laughing in a room")
LARGEST_COSINE = 0.9


def load_tokenizer(vocab: Path, merges: Path) -> "RobertaTokenizer":
    """Read ``vocab.json`` and ``merges.txt`` of roberta-base.

    Raises
    ------
    WeightsError
        If a file is missing, or known sentences do not get their known ids.
    """
    from transformers import RobertaTokenizer

    words, pairs = read_byte_pairs(vocab, merges, "roberta-base")
    tokenizer = RobertaTokenizer(vocab=words, merges=pairs)  # type: ignore[arg-type]  # takes pairs, annotated str
    check_tokenizer(tokenizer)
    return tokenizer


def check_tokenizer(tokenizer: "RobertaTokenizer") -> None:
    """Refuse a tokenizer that does not give the known ids of `KNOWN_IDS`.

    Raises
    ------
    WeightsError
        With the ids found and the ids expected.
    """
    for sentence, expected in KNOWN_IDS.items():
        found = tokenizer(sentence)["input_ids"]
        if found != expected:
            raise WeightsError(
                f"this is not roberta-base's tokenizer: {sentence!r} became {found}, expected {expected}. "
                f"An empty tokenizer gives every caption the same ids"
            )


def tokenise(tokenizer: "RobertaTokenizer", captions: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Ids and attention mask ``(captions, 77)``: cut or padded; letter case is kept.

    Raises
    ------
    InputError
        If there is no caption, or one is empty or not a string.
    """
    captions = list(captions)
    if not captions:
        raise InputError("the batch has no captions")
    for caption in captions:
        if not isinstance(caption, str) or not caption.strip():
            raise InputError(f"a caption must be a string that is not empty, found {caption!r}")
    tokens = tokenizer(captions, padding="max_length", truncation=True, max_length=CONTEXT)
    return torch.tensor(tokens["input_ids"]), torch.tensor(tokens["attention_mask"])


def check_not_collapsed(embeddings: np.ndarray, captions: Sequence[str] = UNRELATED) -> None:
    """Refuse a text tower that maps unrelated captions to one point.

    Some converted checkpoints do; every caption then fits every sound equally well.

    Parameters
    ----------
    embeddings
        ``(captions, width)``, L2 normalised, of captions that have nothing in common.
    captions
        Their texts, for the message.

    Raises
    ------
    WeightsError
        If two embeddings have a cosine above 0.9, or a value is not finite.
    """
    if not np.isfinite(embeddings).all():
        raise WeightsError("text embeddings are not finite")
    for one, other in combinations(range(len(embeddings)), 2):
        cosine = float(embeddings[one] @ embeddings[other])
        if cosine > LARGEST_COSINE:
            raise WeightsError(
                f"text embeddings have collapsed: {captions[one]!r} and {captions[other]!r} have cosine "
                f"{cosine:.3f}, more than {LARGEST_COSINE}; the checkpoint's text tower is not usable"
            )
