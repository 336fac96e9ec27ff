"""A tokenizer in gpt2's files that knows the known sentences as gpt2 does."""

import json
from pathlib import Path

from tests.tiny_judges import write_tokenizer

WORDS = {"!": 0, "a": 64, "Ġ": 220, "Ġdog": 3290, "Hello": 15496, ",": 11, "Ġmy": 616, "Ġis": 318, "Ġcute": 13779}
END = {"<|endoftext|>": 50256}


def write_gpt2_tokenizer(folder: Path) -> tuple[Path, Path]:
    """``vocab.json`` and ``merges.txt``."""
    vocab_file, merges_file = write_tokenizer(folder)
    vocab = {piece: number + 1000 for piece, number in json.loads(vocab_file.read_text(encoding="utf-8")).items()}
    vocab_file.write_text(json.dumps(vocab | WORDS | END), encoding="utf-8")
    return vocab_file, merges_file
