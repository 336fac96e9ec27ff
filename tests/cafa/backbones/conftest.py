"""Tiny pretrained models on disk, in every layout."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderOobleck
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from cafa.adapter import Adapter, AdapterSettings
from cafa.backbones.official import PublishedWeights
from cafa.backbones.stable_audio import StableAudioBackbone, StableAudioSettings
from cafa.backbones.stable_audio_open import write_published

WORDS = ["<pad>", "</s>", "<unk>", "a", "dog", "barks", "loud", "music"]


def save_text_encoder(encoder: Path, tokenizer: Path, width: int) -> None:
    torch.manual_seed(10)
    config = T5Config(vocab_size=len(WORDS), d_model=width, d_kv=8, d_ff=16, num_layers=2, num_heads=2)
    T5EncoderModel(config).save_pretrained(encoder)
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(tokenizer)


def small_autoencoder() -> AutoencoderOobleck:
    return AutoencoderOobleck(
        encoder_hidden_size=8,
        downsampling_ratios=[2, 4],
        channel_multiples=[1, 2],
        decoder_channels=8,
        decoder_input_channels=4,
    )


SMALL = StableAudioSettings(
    latent_channels=4, latents=24, blocks=2, heads=2, head_dim=32, key_value_heads=1, text_dim=32, time_dim=256
)


@pytest.fixture(scope="session")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same tiny model in diffusers' layout, in the original one, and its text encoder."""
    root = tmp_path_factory.mktemp("stable_audio_open")
    torch.manual_seed(11)
    backbone, adapter, autoencoder = StableAudioBackbone(SMALL), Adapter(SMALL, AdapterSettings()), small_autoencoder()
    for parameter in [*adapter.parameters(), *autoencoder.parameters()]:
        torch.nn.init.normal_(parameter, std=0.3)
    folder = root / "diffusers"
    for part, module in (
        ("transformer", backbone.dit),
        ("projection_model", backbone.projection),
        ("vae", autoencoder),
    ):
        module.save_pretrained(folder / part)
    save_text_encoder(folder / "text_encoder", folder / "tokenizer", 32)
    (folder / "model_index.json").write_text("{}")
    save_text_encoder(root / "t5", root / "t5", 32)
    original = root / "original"
    original.mkdir()
    parts = PublishedWeights(backbone=backbone.state_dict(), autoencoder=autoencoder.state_dict())
    write_published(original / "model.safetensors", parts)
    (original / "model_config.json").write_text(json.dumps(model_config()))
    write_published(root / "CAFA_avclip.safetensors", PublishedWeights(adapter=adapter.state_dict()))
    return {
        "diffusers": folder,
        "original": original,
        "t5": root / "t5",
        "adapter": root / "CAFA_avclip.safetensors",
    }


def model_config() -> dict:
    """A model_config.json of stable-audio-tools for the tiny model."""
    sizes = {"channels": 8, "c_mults": [1, 2], "strides": [2, 4]}
    return {
        "sample_size": 192,
        "sample_rate": 44100,
        "audio_channels": 2,
        "model": {
            "pretransform": {
                "config": {
                    "encoder": {"config": {**sizes, "latent_dim": 8}},
                    "decoder": {"config": {**sizes, "latent_dim": 4, "final_tanh": False}},
                    "downsampling_ratio": 8,
                }
            },
            "conditioning": {
                "configs": [
                    {"id": "prompt", "type": "t5", "config": {}},
                    {"id": "seconds_start", "type": "number", "config": {"min_val": 0, "max_val": 512}},
                    {"id": "seconds_total", "type": "number", "config": {"min_val": 0, "max_val": 512}},
                ]
            },
            "diffusion": {
                "config": {
                    "io_channels": 4,
                    "embed_dim": 64,
                    "depth": 2,
                    "num_heads": 2,
                    "cond_token_dim": 32,
                    "global_cond_dim": 64,
                    "project_cond_tokens": False,
                }
            },
        },
    }
