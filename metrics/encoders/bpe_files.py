"""The files of a tokenizer of byte pairs, as GPT-2 and RoBERTa publish them."""

import json
from pathlib import Path

from cafa.common.errors import WeightsError


def read_byte_pairs(vocab: Path, merges: Path, model: str) -> tuple[dict[str, int], list[tuple[str, ...]]]:
    """Read ``vocab.json`` and ``merges.txt``.

    They are opened by name: transformers gives an empty tokenizer, without an error, where it does not find them.

    Parameters
    ----------
    vocab, merges : path
    model : str
        Whose files they are, for the message.

    Returns
    -------
    dict of str to int
        Token -> id.
    list of tuple of str
        Pairs that are merged, in order.

    Raises
    ------
    WeightsError
        If a file is missing.
    """
    for path in (vocab, merges):
        if not path.is_file():
            raise WeightsError(
                f"tokenizer file {path} not found: download {path.name} of {model} (see cafa/models/weights.tsv) "
                "and put it there"
            )
    lines = merges.read_text(encoding="utf-8").splitlines()
    pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    return json.loads(vocab.read_text(encoding="utf-8")), pairs
