import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cafa.common.errors import InputError, WeightsError
from cafa.models.weights import WeightSource
from metrics.encoders.interface import Encoder
from metrics.encoders.ms_clap.checkpoint import to_transformers
from metrics.encoders.ms_clap.encoders import (
    CLIP_SAMPLES,
    MsClapAudioEncoder,
    MsClapNetwork,
    MsClapTextEncoder,
    fit_length,
    gpt2_config,
    htsat_config,
    load_ms_clap,
)
from metrics.encoders.ms_clap.tokenizer import load_tokenizer, tokenise
from metrics.judges.synthetic_signals import wave
from metrics.parity.later_cases import SMALL_GPT2, SMALL_HTSAT
from metrics.parity.published_names import ms_clap_constants, ms_clap_shapes
from metrics.parity.weights import deterministic_tensors
from tests.gpt2_tokenizer import write_gpt2_tokenizer

SOURCE = WeightSource("ms_clap", "https://example.org/CLAP_weights_2023.pth", None, "", "")


def configs() -> dict:
    return {"audio": htsat_config(**SMALL_HTSAT), "text": gpt2_config(**SMALL_GPT2), "width": 64}


def tensors() -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        shapes = ms_clap_shapes(MsClapNetwork(**configs()))
    return deterministic_tensors(shapes, 2.0) | ms_clap_constants(shapes)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> MsClapNetwork:
    """From the published form: under ``model``, with what older transformers and training left in the file."""
    file = tmp_path_factory.mktemp("ms_clap") / "CLAP_weights_2023.pth"
    left = {
        "logit_scale": torch.tensor(4.0),
        "caption_encoder.base.h.0.attn.bias": torch.ones(1, 1, 8, 8).bool(),
        "caption_encoder.base.h.0.attn.masked_bias": torch.tensor(-1e4),
        "audio_encoder.base.htsat.tscam_conv.weight": torch.zeros(527, 128, 2, 3),
        "audio_encoder.base.htsat.head.bias": torch.zeros(527),
        "audio_encoder.base.htsat.layers.0.blocks.0.attn_mask": torch.zeros(64, 64, 64),
    }
    torch.save({"model": tensors() | left}, file)
    checkpoint = load_ms_clap(file, SOURCE, unverified=True)
    return MsClapNetwork.from_tensors(checkpoint.tensors, **configs())


@pytest.fixture(scope="module")
def tokenizer_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_gpt2_tokenizer(tmp_path_factory.mktemp("gpt2"))


def test_sound_becomes_unit_vectors_whatever_its_batch(network: MsClapNetwork):
    judge = MsClapAudioEncoder(network, "0" * 64)
    assert isinstance(judge, Encoder)
    ready = [judge.prepare(wave(index, 48000, 2.0), 48000, 2.0) for index in range(2)]
    found = judge.embed(ready)
    assert found.shape == (2, 64)
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    assert np.abs(judge.embed(ready[1:])[0] - found[1]).max() < 1e-5


def test_sound_is_repeated_or_cut_to_seven_seconds(network: MsClapNetwork):
    judge = MsClapAudioEncoder(network, "")
    short = fit_length(torch.arange(4.0)[None])
    assert short.shape == (1, CLIP_SAMPLES)
    assert short[0, :6].tolist() == [0, 1, 2, 3, 0, 1]
    sound = wave(0, 44100, 9.0)
    assert np.array_equal(judge.embed([sound]), judge.embed([sound[:CLIP_SAMPLES]]))
    # DC stays, channels are averaged
    assert np.allclose(judge.prepare(np.stack((sound + 1, sound)), 44100, None), sound + 0.5, atol=1e-6)


def test_captions_end_and_are_filled_up_with_the_exclamation_mark(tokenizer_files: tuple[Path, Path]):
    tokenizer = load_tokenizer(*tokenizer_files)
    ids = tokenise(tokenizer, ["a dog", "Hello, my dog is cute"])
    assert ids.shape == (2, 77)
    assert ids[0, :5].tolist() == [64, 3290, 220, 50256, 0]
    # the mark is the padding token, so that it never joins the space before it
    assert tokenise(tokenizer, ["a dog !"])[0, :7].tolist() == [64, 3290, 220, 0, 220, 50256, 0]
    long = tokenise(tokenizer, ["a dog", "a" + " dog" * 100])
    assert long.shape == (2, 103)  # nothing is cut
    for captions, message in (
        ([], "no captions"),
        (["a dog", " "], "not empty"),
        (["a" + " dog" * 1100], "a caption has 1103 tokens, GPT-2 reads 1024"),
    ):
        with pytest.raises(InputError, match=message):
            tokenise(tokenizer, captions)


def test_the_width_of_a_batch_changes_no_caption(network: MsClapNetwork):
    ids = torch.zeros(1, 77, dtype=torch.long)
    ids[0, :4] = torch.tensor([64, 3290, 220, 50256])
    wide = torch.nn.functional.pad(ids, (0, 40))
    with torch.inference_mode():
        assert torch.allclose(network.embed_text(ids), network.embed_text(wide), atol=1e-6)
        # an exclamation mark in the caption is token 0: the place that is read moves one forward, as published
        bang = ids.clone()
        bang[0, 1] = 0
        moved = network.text(input_ids=bang).last_hidden_state[:, 2]
        assert torch.allclose(network.embed_text(bang), network.text_projection(moved), atol=1e-6)


def test_another_tokenizer_is_refused(network: MsClapNetwork, tokenizer_files: tuple[Path, Path], tmp_path: Path):
    vocab = json.loads(tokenizer_files[0].read_text(encoding="utf-8"))
    vocab["a"], vocab["Ġdog"] = vocab["Ġdog"], vocab["a"]
    (tmp_path / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"not gpt2's tokenizer: 'a dog' became \[3290, 64"):
        load_tokenizer(tmp_path / "vocab.json", tokenizer_files[1])
    with pytest.raises(WeightsError, match=r"merges\.txt not found: download merges\.txt of gpt2"):
        load_tokenizer(tokenizer_files[0], tmp_path / "merges.txt")


def test_text_encoder_gives_unit_vectors(
    network: MsClapNetwork, tokenizer_files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    # Random weights do not keep captions apart; the check itself is tested with LAION's CLAP.
    monkeypatch.setattr("metrics.encoders.ms_clap.encoders.check_not_collapsed", lambda embeddings: None)
    judge = MsClapTextEncoder.from_files(network, *tokenizer_files, "0" * 64)
    found = judge.embed(["a dog", "Hello, my dog is cute"])
    assert isinstance(judge, Encoder)
    assert found.shape == (2, 64)
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)


def test_names_without_a_place_and_missing_ones_are_refused():
    with pytest.raises(WeightsError, match=r"1 names do not belong to Microsoft's CLAP.*\['audio_encoder.base.cnn"):
        to_transformers({"logit_scale": torch.zeros(()), "audio_encoder.base.cnn.weight": torch.zeros(1)})
    less = tensors()
    del less["caption_encoder.base.ln_f.bias"]
    with pytest.raises(WeightsError, match=r"1 missing: \['text.ln_f.bias'\]"):
        MsClapNetwork.from_tensors(less, **configs())
