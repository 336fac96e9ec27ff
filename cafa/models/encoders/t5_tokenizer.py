"""T5's tokenizer from its published ``tokenizer.json``, by the library that transformers itself calls.

transformers takes more seconds to import than many a job works. Published files come in two forms: older ones split at
white space, newer ones (as transformers 4.40 saves them) put the mark of a word's beginning only before the first.
transformers 5 takes words and normalisation from the file and puts T5's pipeline of today around them, whatever the
file says; so is it done here, and tests compare the two.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from cafa.common.errors import WeightsError
from cafa.models.releases import TOKENIZER

#: the first words of every T5, in their order
SPECIAL = ("<pad>", "</s>", "<unk>")
PAD, END, UNKNOWN = range(3)
#: around the words of any file: pieces begin with a mark, and a caption ends with the end token
PIPELINE = {
    "truncation": None,
    "padding": None,
    "pre_tokenizer": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        ],
    },
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [END], "tokens": ["</s>"]}},
    },
}


def load_tokenizer(folder: Path, words: int) -> Tokenizer:
    """T5's tokenizer of a folder: a caption becomes the ids of its pieces and, last, that of ``</s>``.

    Parameters
    ----------
    folder : Path
        Holds ``tokenizer.json``; what else belongs to a tokenizer there is not read.
    words : int
        Ids that the text encoder has embeddings of.

    Raises
    ------
    WeightsError
        If the file is missing, is no tokenizer, holds no words, or is not of a T5 of so many words.
    """
    file = folder / TOKENIZER
    described = _read(file)
    model = {**described["model"], "unk_id": UNKNOWN}
    try:
        tokenizer = Tokenizer.from_str(
            json.dumps({**described, **PIPELINE, "normalizer": _precompiled(described), "model": model})
        )
    except Exception as error:  # the library raises no narrower one
        raise _refused(file, f"the library `tokenizers` says: {error}") from error
    _require_words(file, tokenizer, words)
    tokenizer.add_special_tokens(list(SPECIAL))  # those that the file does not say to be special
    return tokenizer


def _read(file: Path) -> dict[str, Any]:
    """Content of the file, whose model is one of pieces with their scores."""
    if not file.is_file():
        found = ", ".join(sorted(path.name for path in file.parent.glob("*"))) or "nothing"
        raise _refused(file, f"there is no such file, only {found}; spiece.model alone is not enough")
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _refused(file, f"it is not JSON ({error})") from error
    model = described.get("model") if isinstance(described, dict) else None
    kind = model.get("type") if isinstance(model, dict) else None
    if kind != "Unigram":
        raise _refused(file, f"T5's model is Unigram, found {kind or 'none'}")
    return described


def _require_words(file: Path, tokenizer: Tokenizer, words: int) -> None:
    first = tuple(tokenizer.id_to_token(place) for place in range(len(SPECIAL)))
    if first != SPECIAL:
        raise _refused(file, f"its first words are {first}, T5's are {SPECIAL}")
    if not any(len(piece) > 1 and piece.startswith("▁") for piece in tokenizer.get_vocab()):
        raise _refused(file, "it holds no word: every caption would become the same ids")
    if (known := tokenizer.get_vocab_size()) > words:
        raise _refused(file, f"it gives {known} ids, the text encoder has embeddings of {words}")


def _precompiled(described: dict[str, Any]) -> dict[str, Any] | None:
    """The table of characters that SentencePiece normalises by; what newer files do beside it is in the pipeline."""
    normalizer = described.get("normalizer") or {}
    parts = normalizer.get("normalizers", [normalizer])
    return next((part for part in parts if part.get("type") == "Precompiled"), None)


def _refused(file: Path, found: str) -> WeightsError:
    return WeightsError(
        f"{file} is not the tokenizer of a T5: {found}. Put {TOKENIZER} there that is published with the text encoder"
    )
