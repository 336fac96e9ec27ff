import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import RobertaTokenizer

from cafa.common.errors import ClipError, InputError, WeightsError
from metrics.encoders.clap.checkpoint import to_transformers
from metrics.encoders.clap.encoders import (
    ClapAudioEncoder,
    ClapNetwork,
    ClapTextEncoder,
    clap_config,
    front_end_tables,
    repeat_pad,
)
from metrics.encoders.clap.tokenizer import (
    KNOWN_IDS,
    check_not_collapsed,
    check_tokenizer,
    load_tokenizer,
    tokenise,
)
from metrics.encoders.interface import Encoder
from metrics.judges.synthetic_signals import waves
from metrics.parity.weights import fill
from tests.tiny_judges import write_tokenizer


@pytest.fixture(scope="module")
def tokenizer_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_tokenizer(tmp_path_factory.mktemp("roberta"))


@pytest.fixture(scope="module")
def network() -> ClapNetwork:
    """The architecture with one narrow text layer and a narrow audio tower."""
    torch.manual_seed(0)
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    narrow = {"patch_embeds_hidden_size": 8, "hidden_size": 64}
    audio = {**narrow, "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 4, 8]}
    config = clap_config(text=text, audio=audio)
    network = ClapNetwork(config)
    fill(network, gain=2.0)
    for name, table in front_end_tables().items():
        network.get_parameter(f"log_mel.{name.removeprefix('audio_branch.')}").data.copy_(table)
    return network


def test_known_sentences_get_their_known_ids(tokenizer_files: tuple[Path, Path]):
    tokenizer = load_tokenizer(*tokenizer_files)
    ids, mask = tokenise(tokenizer, ["a dog", "Hello, my dog is cute"])
    assert ids.shape == mask.shape == (2, 77)
    assert ids[0, :5].tolist() == [0, 102, 2335, 2, 1]
    assert mask.sum(1).tolist() == [4, 8]
    assert ids[1, :8].tolist() == KNOWN_IDS["Hello, my dog is cute"]


def test_long_captions_are_cut_to_77_tokens_with_the_end_token(tokenizer_files: tuple[Path, Path]):
    ids, mask = tokenise(load_tokenizer(*tokenizer_files), ["a" + " dog" * 200])
    assert mask.sum() == 77
    assert ids[0, -1] == 2


def test_the_empty_tokenizer_is_refused(network: ClapNetwork):
    empty = RobertaTokenizer()
    with pytest.raises(WeightsError, match="An empty tokenizer gives every caption the same ids"):
        check_tokenizer(empty)
    with pytest.raises(WeightsError, match="not roberta-base's tokenizer: 'a dog'"):
        ClapTextEncoder(network, empty, "0" * 64)


def test_missing_tokenizer_files_are_named(tmp_path: Path):
    with pytest.raises(WeightsError, match=r"vocab\.json not found: download vocab\.json of roberta-base"):
        load_tokenizer(tmp_path / "vocab.json", tmp_path / "merges.txt")


def test_another_tokenizer_is_refused(tokenizer_files: tuple[Path, Path], tmp_path: Path):
    vocab = json.loads(tokenizer_files[0].read_text(encoding="utf-8"))
    vocab["a"], vocab["Ġdog"] = vocab["Ġdog"], vocab["a"]
    (tmp_path / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"became \[0, 2335, 102, 2\], expected \[0, 102, 2335, 2\]"):
        load_tokenizer(tmp_path / "vocab.json", tokenizer_files[1])


def test_empty_captions_are_refused(tokenizer_files: tuple[Path, Path]):
    tokenizer = load_tokenizer(*tokenizer_files)
    for captions, message in (([], "no captions"), (["a dog", " "], "not empty"), ([None], "not empty")):
        with pytest.raises(InputError, match=message):
            tokenise(tokenizer, captions)


def test_collapsed_text_embeddings_are_refused():
    apart = np.eye(4)
    check_not_collapsed(apart)
    close = apart.copy()
    close[2] = (0.95, 0, np.sqrt(1 - 0.95**2), 0)
    with pytest.raises(WeightsError, match=r"'a dog barking' and 'an electric guitar solo' have cosine 0\.950"):
        check_not_collapsed(close)
    with pytest.raises(WeightsError, match="not finite"):
        check_not_collapsed(apart * np.nan)


def test_a_collapsed_text_tower_is_refused(network: ClapNetwork, tokenizer_files: tuple[Path, Path]):
    final = network.model.text_projection.linear2
    kept = final.weight.clone()
    final.weight.data.zero_()
    try:
        with pytest.raises(WeightsError, match=r"have cosine 1\.000"):
            ClapTextEncoder.from_files(network, *tokenizer_files, "0" * 64)
    finally:
        final.weight.data.copy_(kept)


def test_text_encoder_gives_unit_norm_and_ignores_padding(
    network: ClapNetwork, tokenizer_files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    # Random weights do not keep captions apart; the check itself is tested above.
    monkeypatch.setattr("metrics.encoders.clap.encoders.check_not_collapsed", lambda embeddings: None)
    judge = ClapTextEncoder.from_files(network, *tokenizer_files, "0" * 64)
    assert isinstance(judge, Encoder)
    embedded = judge.embed(["a dog", "Hello, my dog is cute"])
    assert embedded.shape == (2, 512)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, rtol=1e-5)
    ids = torch.tensor([KNOWN_IDS["a dog"]])
    bare = network.embed_text(ids, torch.ones_like(ids)).detach().numpy()
    np.testing.assert_allclose(embedded[:1], bare, atol=1e-5)


@pytest.mark.parametrize(("seconds", "copies"), [(3, 3), (5, 2), (6, 1), (8, 1), (10, 1)])
def test_shorter_sound_is_repeated_whole_times_then_filled_with_zeros(seconds: int, copies: int):
    sound = torch.rand(1, seconds * 48000) + 0.1
    padded = repeat_pad(sound)
    assert padded.shape == (1, 480000)
    assert torch.equal(padded[:, : copies * sound.shape[1]], sound.repeat(1, copies))
    assert not padded[:, copies * sound.shape[1] :].any()


def test_longer_sound_is_cut_to_its_first_ten_seconds_every_time(network: ClapNetwork):
    judge = ClapAudioEncoder(network, "0" * 64)
    long = waves(1, 48000, 10.5)
    once, again = judge.embed(long), judge.embed(long)
    np.testing.assert_array_equal(once, again)
    np.testing.assert_allclose(once, judge.embed(long[:, :480000]), atol=1e-6)


def test_audio_encoder_on_mono_stereo_and_short_sound(network: ClapNetwork):
    judge = ClapAudioEncoder(network, "0" * 64)
    assert isinstance(judge, Encoder)
    sounds = waves(2, 48000, 0.5)
    embedded = judge.embed(sounds)
    assert embedded.shape == (2, 512)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(judge.embed([sounds]), judge.embed([sounds.mean(0)]), atol=1e-5)
    with pytest.raises(ClipError, match="short"):
        judge.embed([sounds[0][:1023]])


def test_names_of_other_models_are_refused():
    with pytest.raises(WeightsError, match=r"1 names do not belong.*patch_embed\.fusion_model\.x"):
        to_transformers({"audio_branch.patch_embed.fusion_model.x": torch.zeros(1)})
    with pytest.raises(WeightsError, match="text_model"):
        to_transformers({"text_model.encoder.layer.0.x": torch.zeros(1)})
    assert (
        to_transformers(
            {"audio_branch.head.weight": torch.zeros(1), "text_transform.sequential.0.bias": torch.zeros(1)}
        )
        == {}
    )


def test_fused_query_key_value_is_split_in_thirds():
    split = to_transformers({"audio_branch.layers.2.blocks.11.attn.qkv.weight": torch.arange(6.0).view(6, 1)})
    stem = "model.audio_model.audio_encoder.layers.2.blocks.11.attention.self"
    assert {name: value.flatten().tolist() for name, value in split.items()} == {
        f"{stem}.query.weight": [0, 1],
        f"{stem}.key.weight": [2, 3],
        f"{stem}.value.weight": [4, 5],
    }
