"""T5's tokenizer gives what that of transformers gives, in every form that its file is published in."""

import base64
import json
import random
import struct
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from cafa.common.errors import WeightsError
from cafa.models.encoders.t5 import T5Text
from cafa.models.encoders.t5_network import T5Encoder, T5Settings
from cafa.models.encoders.t5_tokenizer import load_tokenizer

SPECIAL = ["<pad>", "</s>", "<unk>"]
EXTRA = [f"<extra_id_{number}>" for number in range(99, -1, -1)]
PIECES = ["\u2581", "\u2581a", "\u2581dog", "\u2581bark", "s", "ing", "a", "d", "o", "g", "\u2581,", ",", "!", "b", "é"]
WORDS = len(SPECIAL) + len(PIECES) + len(EXTRA)
CAPTIONS = [
    *["", " ", "\n", " \t \n", "a", "a dog barks", " a dog", "a dog ", "  a   dog  ", "a\ndog\r\n\tbarks"],
    *["a dog, a dog!", "</s>", "a</s>b", "a </s> b", " </s> ", "dog</s>", "<pad> a", "<unk>", "a<unk>b"],
    *["<extra_id_0>", "a<extra_id_0>b", "a <extra_id_0>  dog <extra_id_99>", "<extra_id_100>", "<EXTRA_ID_0>"],
    *["</ s>", "<b>a</b>", "\u2581a\u2581dog", "café é e\u0301", "日本語 テキスト", "🐕 barks 👩\u200d🚀!", "ＡＢ①ﬁ"],
    *["a\u00a0dog", "a\u3000dog", "a\u0085dog", "\u200ba", "\ufeffa", "a\x0bdog\x0c\x1c\x00a", "x" * 500],
    *["a dog " * 300, "dog" * 100, "\u200f\u05e9 a", "“a” — dog…"],
]
SPLIT = {"type": "WhitespaceSplit"}
MARK = {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True}
STRIP = {"type": "Strip", "strip_left": False, "strip_right": True}
SPACES = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}


def character_map(first: str, becomes: str) -> dict[str, Any]:
    """SentencePiece's table of characters, of one that becomes another: a double array and the texts behind it."""
    units = [0] * 512
    units[0] = 256 << 10
    place = 256 ^ ord(first)
    units[place] = (1 << 10) | (1 << 8) | ord(first)
    texts = becomes.encode() + b"\0"
    table = struct.pack("<513I", 4 * len(units), *units) + texts
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(table).decode()}


def special_token(number: int, content: str, strip: bool) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": strip, "rstrip": strip, "normalized": False, "special": True}
    return {"id": number, "content": content, **flags}


def write_form(folder: Path, form: str) -> Path:
    """A tokenizer of few words as it is published: `old` until 2023, `new` since, `bare` without special tokens."""
    folder.mkdir()
    table = character_map("\n", " ")
    normalizer: Any = {"type": "Sequence", "normalizers": [table, STRIP, SPACES]} if form == "new" else table
    split: Any = {"type": "Sequence", "pretokenizers": [SPLIT, MARK]}
    split = {**MARK, "prepend_scheme": "first"} if form == "new" else split
    pieces = [*((word, 0.0) for word in SPECIAL), *((piece, -2.0 - 0.1 * at) for at, piece in enumerate(PIECES))]
    pieces += [(word, 0.0) for word in EXTRA]
    added = [special_token(at, word, False) for at, word in enumerate(SPECIAL)]
    added += [special_token(len(SPECIAL) + len(PIECES) + at, word, form == "new") for at, word in enumerate(EXTRA)]
    end = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    described = {
        "version": "1.0",
        "truncation": {"max_length": 5, "strategy": "LongestFirst", "stride": 0} if form == "cutting" else None,
        "padding": None,
        "added_tokens": [] if form == "bare" else added,
        "normalizer": normalizer,
        "pre_tokenizer": split,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": end,
            "pair": end,
            "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
        },
        "decoder": MARK,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": pieces},
    }
    (folder / "tokenizer.json").write_text(json.dumps(described))
    if form == "new":
        config = {"tokenizer_class": "T5Tokenizer", "extra_ids": 100, "model_max_length": 512, "legacy": True}
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    else:  # t5-base: the class is that of the text encoder beside it
        (folder / "config.json").write_text(json.dumps({"model_type": "t5"}))
    return folder


def captions() -> list[str]:
    """Those above, and many that are drawn from pieces of them."""
    draw = random.Random(0)
    parts = [*PIECES, *SPECIAL, "<extra_id_7>", " ", "  ", "\n", "\t", "犬", "🐕", "\u0085", "\u00a0", "'s", "A"]
    return CAPTIONS + ["".join(draw.choices(parts, k=draw.randint(1, 12))) for _ in range(500)]


def knows_extra(folder: Path) -> bool:
    """Whether the file says that T5's extra tokens are special; transformers takes them for so in any case."""
    return bool(json.loads((folder / "tokenizer.json").read_text())["added_tokens"])


@pytest.fixture(params=["old", "new", "bare", "cutting", "saved"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "saved":  # as transformers writes it today
        AutoTokenizer.from_pretrained(write_form(tmp_path / "old", "old")).save_pretrained(tmp_path / "saved")
        return tmp_path / "saved"
    return write_form(tmp_path / "t5", request.param)


def test_captions_become_what_they_become_in_transformers(folder: Path) -> None:
    theirs, ours = AutoTokenizer.from_pretrained(folder), load_tokenizer(folder, WORDS)
    texts = [text for text in captions() if knows_extra(folder) or "extra_id" not in text]
    whole = theirs(texts, truncation=False).input_ids
    assert [ours.encode(text).ids for text in texts] == whole
    assert len({tuple(ids) for ids in whole}) > 300
    expected = theirs(texts, padding="max_length", max_length=16, truncation=True)
    ours.enable_truncation(16)
    ours.enable_padding(length=16)
    found = ours.encode_batch(texts)
    assert [tokens.ids for tokens in found] == expected.input_ids
    assert [tokens.attention_mask for tokens in found] == expected.attention_mask
    assert [bool(tokens.overflowing) for tokens in found] == [len(ids) > 16 for ids in whole]
    assert {tokens.ids[15] for tokens in found} == {0, 1}, "what is cut ends with the end token"


def test_characters_are_normalised_by_the_table_of_the_file(tmp_path: Path) -> None:
    ours = load_tokenizer(write_form(tmp_path / "t5", "new"), WORDS)
    assert ours.encode("a\ndog").tokens == ["\u2581a", "\u2581dog", "</s>"]


def test_a_caption_that_is_cut_is_said_to_be(tmp_path: Path) -> None:
    settings = T5Settings(vocab_size=WORDS, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    text = T5Text(T5Encoder(settings), load_tokenizer(write_form(tmp_path / "t5", "new"), WORDS), 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, mask = text.encode_padded(["a dog", "a dog a dog a", ""])
    assert mask.sum(1).tolist() == [3, 6, 1]
    assert mask.dtype == torch.int64
    with pytest.warns(UserWarning, match="caption cut to 6 tokens: 'a dog a dog a dog'"):
        _, mask = text.encode_padded(["a dog a dog a dog"])
    assert mask.tolist() == [[1] * 6]


def test_the_part_of_a_caption_that_is_read_ends_with_the_last_token_before_the_cut(folder: Path) -> None:
    settings = T5Settings(vocab_size=WORDS, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    text = T5Text(T5Encoder(settings), load_tokenizer(folder, WORDS), 6)
    assert text.part_read("a dog") == "a dog"
    assert text.part_read("  a  dog a dog\n a dog") == "  a  dog a dog\n a"
    assert text.part_read("a dogs barking loudly") == "a dogs barking"
    whole = load_tokenizer(folder, WORDS)
    for caption in captions():
        part, ids = text.part_read(caption), whole.encode(caption).ids
        assert caption.startswith(part)
        if len(ids) <= 6:
            assert part == caption
        else:  # what is cut behind the part is of no token that is kept
            assert [end for _, end in whole.encode(caption).offsets][4] == len(part)


def changed(folder: Path, **parts: Any) -> None:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | parts))


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"model": {"type": "WordLevel", "vocab": {}, "unk_token": "<unk>"}}, "T5's model is Unigram, found WordLevel"),
        ({"model": None}, "T5's model is Unigram, found none"),
        ({"model": {"type": "Unigram", "vocab": []}}, "the library `tokenizers` says"),
        ({"model": {"type": "Unigram", "vocab": [[word, 0.0] for word in SPECIAL]}}, "it holds no word"),
        (
            {"model": {"type": "Unigram", "vocab": [["<s>", 0.0], ["</s>", 0.0], ["<unk>", 0.0]]}, "added_tokens": []},
            r"its first words are \('<s>', '</s>', '<unk>'\), T5's are",
        ),
    ],
)
def test_another_tokenizer_is_refused(tmp_path: Path, parts: dict[str, Any], found: str) -> None:
    folder = write_form(tmp_path / "t5", "old")
    if "added_tokens" not in parts and "vocab" in (parts["model"] or {}):
        parts = {**parts, "added_tokens": []}
    changed(folder, **parts)
    with pytest.raises(WeightsError, match=rf"tokenizer\.json is not the tokenizer of a T5: .*{found}.*Put tokenizer"):
        load_tokenizer(folder, WORDS)


def test_a_missing_file_and_one_that_is_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(b"pieces")
    with pytest.raises(WeightsError, match=r"no such file, only spiece\.model; spiece\.model alone is not enough"):
        load_tokenizer(tmp_path, WORDS)
    (tmp_path / "tokenizer.json").write_text("")
    with pytest.raises(WeightsError, match="it is not JSON"):
        load_tokenizer(tmp_path, WORDS)
    (tmp_path / "tokenizer.json").write_text("[]")
    with pytest.raises(WeightsError, match="found none"):
        load_tokenizer(tmp_path, WORDS)


def test_more_ids_than_the_text_encoder_has_embeddings_of_are_refused(tmp_path: Path) -> None:
    folder = write_form(tmp_path / "t5", "old")
    with pytest.raises(WeightsError, match=f"it gives {WORDS} ids, the text encoder has embeddings of {WORDS - 1}"):
        load_tokenizer(folder, WORDS - 1)
