"""Captions for Microsoft's CLAP: GPT-2's tokenizer, and the check that it is the real one.

A caption ends in `` <|endoftext|>``; rows are filled up with token 0, which is also the exclamation mark. The published
code takes the embedding at (number of tokens that are not 0) - 1, so that every token that is exactly ``!`` moves it
one place forward in the caption. That is kept, as the printed numbers have it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cafa.common.errors import InputError, WeightsError
from metrics.encoders.bpe_files import read_byte_pairs

if TYPE_CHECKING:
    from transformers import GPT2Tokenizer

CONTEXT = 77
LONGEST = 1024
END = " <|endoftext|>"
PADDING = 0
KNOWN_IDS = {
    "a dog": [64, 3290],
    "Hello, my dog is cute": [15496, 11, 616, 3290, 318, 13779],
}


def load_tokenizer(vocab: Path, merges: Path) -> "GPT2Tokenizer":
    """Read ``vocab.json`` and ``merges.txt`` of gpt2.

    Raises
    ------
    WeightsError
        If a file is missing, or known sentences do not get their known ids.
    """
    from transformers import GPT2Tokenizer

    words, pairs = read_byte_pairs(vocab, merges, "gpt2")
    tokenizer = GPT2Tokenizer(vocab=words, merges=pairs)  # type: ignore[arg-type]  # takes pairs, annotated str
    # As published: it also takes " !" apart into a space and the mark, which gpt2 by itself reads as one token.
    tokenizer.add_special_tokens({"pad_token": "!"})
    check_tokenizer(tokenizer)
    return tokenizer


def check_tokenizer(tokenizer: "GPT2Tokenizer") -> None:
    """Refuse a tokenizer that does not give the known ids of `KNOWN_IDS`, each followed by space and end.

    Raises
    ------
    WeightsError
        With the ids found and the ids expected.
    """
    for sentence, words in KNOWN_IDS.items():
        found, expected = tokenizer(sentence + END)["input_ids"], [*words, 220, 50256]
        if found != expected:
            raise WeightsError(f"this is not gpt2's tokenizer: {sentence!r} became {found}, expected {expected}")


def tokenise(tokenizer: "GPT2Tokenizer", captions: Sequence[str]) -> Tensor:
    """Ids ``(captions, 77)``, or as wide as the longest caption where that is longer; nothing is cut.

    Raises
    ------
    InputError
        If there is no caption, or one is empty, not a string or longer than GPT-2 can read (1024 tokens).
    """
    captions = list(captions)
    if not captions:
        raise InputError("the batch has no captions")
    rows = []
    for caption in captions:
        if not isinstance(caption, str) or not caption.strip():
            raise InputError(f"a caption must be a string that is not empty, found {caption!r}")
        rows.append(tokenizer(caption + END)["input_ids"])
        if len(rows[-1]) > LONGEST:
            raise InputError(f"a caption has {len(rows[-1])} tokens, GPT-2 reads {LONGEST}: {caption[:60]!r}...")
    ids = torch.full((len(rows), max(CONTEXT, *map(len, rows))), PADDING)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
    return ids
