"""Tiny pretrained models on disk, in every published layout, with weights that are the same every time.

Two geometries: ``SHORT`` (8 samples per latent, 24 latents) for tests of the models themselves, and ``REAL`` (the
published 2048 samples per latent, 256 latents = 11.9 s) for tests that go from clips to sounds.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderOobleck
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, T5Config, T5Tokenizer
from transformers import T5EncoderModel as T5

from cafa.common.files import digest_of
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.encoders.synchformer_network import SynchformerVisual
from cafa.models.folders import save_model
from cafa.models.loading import ADAPTER
from cafa.models.registry import open_backbone, parse_pretrained, read_card, register
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.checkpoint_names import PublishedWeights
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioSettings
from cafa.models.stable_audio.published_files import write_published
from cafa.models.tangoflux.denoiser import TangoFluxDenoiser, TangoFluxSettings
from tests.diffusers_layout import diffusers_parts

WORDS = ("<pad>", "</s>", "<unk>", "a", "dog", "barks", "loud", "music")
LATENT_CHANNELS, TEXT_DIM = 4, 32


@dataclass(frozen=True)
class Geometry:
    """How a tiny autoencoder divides time, and its channels."""

    strides: tuple[int, ...]
    multiples: tuple[int, ...]
    latents: int
    width: int

    @property
    def samples_per_latent(self) -> int:
        return int(torch.tensor(self.strides).prod())


SHORT = Geometry((2, 4), (1, 2), 24, 8)
REAL = Geometry((2, 4, 4, 8, 8), (1, 1, 1, 1, 1), 256, 2)


def seeded(seed: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function's random numbers its own."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return function(*args, **kwargs)

        return wrapped

    return decorate


def stable_audio_settings(geometry: Geometry = SHORT) -> StableAudioSettings:
    """Size of the tiny Stable Audio denoiser."""
    return StableAudioSettings(
        latent_channels=LATENT_CHANNELS,
        latents=geometry.latents,
        blocks=2,
        heads=2,
        head_dim=32,
        key_value_heads=1,
        text_dim=TEXT_DIM,
        time_dim=256,
    )


def tangoflux_settings(geometry: Geometry = SHORT) -> TangoFluxSettings:
    """Size of the tiny TangoFlux denoiser."""
    return TangoFluxSettings(
        latent_channels=LATENT_CHANNELS,
        latents=geometry.latents,
        double_blocks=1,
        single_blocks=2,
        heads=2,
        head_dim=16,
        rotary_axes=(4, 6, 6),
        text_dim=TEXT_DIM,
        joint_dim=TEXT_DIM,
    )


def small_autoencoder(geometry: Geometry = SHORT) -> AutoencoderOobleck:
    """The tiny autoencoder."""
    return AutoencoderOobleck(
        encoder_hidden_size=2 * LATENT_CHANNELS,
        downsampling_ratios=list(geometry.strides),
        channel_multiples=list(geometry.multiples),
        decoder_channels=geometry.width,
        decoder_input_channels=LATENT_CHANNELS,
    )


@seeded(10)
def make_text_encoder(encoder: Path, tokenizer: Path, width: int = TEXT_DIM, words: Sequence[str] = WORDS) -> None:
    """T5 with a tokenizer of whole words; any other word is unknown."""
    config = T5Config(vocab_size=len(words), d_model=width, d_kv=8, d_ff=16, num_layers=2, num_heads=2)
    network = T5(config)
    torch.nn.init.constant_(network.encoder.final_layer_norm.weight, 5.0)  # random denoisers hardly listen
    network.save_pretrained(encoder)
    pieces = [(word, 0.0) if word.startswith("<") else (f"\u2581{word}", -1.0) for word in words]
    T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(tokenizer)


@seeded(11)
def stable_audio_parts(geometry: Geometry = SHORT) -> tuple[StableAudioBackbone, AutoencoderOobleck]:
    """Denoiser and autoencoder of the tiny Stable Audio Open."""
    backbone, autoencoder = StableAudioBackbone(stable_audio_settings(geometry)), small_autoencoder(geometry)
    for parameter in autoencoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return backbone, autoencoder


def make_stable_audio_open(folder: Path, geometry: Geometry = SHORT, words: Sequence[str] = WORDS) -> Path:
    """Stable Audio Open in diffusers' layout."""
    backbone, autoencoder = stable_audio_parts(geometry)
    transformer, timing = diffusers_parts(backbone)
    for part, module in (
        ("transformer", transformer),
        ("projection_model", timing),
        ("vae", autoencoder),
    ):
        module.save_pretrained(folder / part)
    make_text_encoder(folder / "text_encoder", folder / "tokenizer", words=words)
    (folder / "model_index.json").write_text("{}")
    return folder


def make_stable_audio_original(folder: Path, geometry: Geometry = SHORT) -> Path:
    """The same model in the original layout, which holds no text encoder."""
    backbone, autoencoder = stable_audio_parts(geometry)
    parts = PublishedWeights(backbone=backbone.state_dict(), autoencoder=autoencoder.state_dict())
    write_published(folder / "model.safetensors", parts)
    (folder / "model_config.json").write_text(json.dumps(model_config(geometry)))
    return folder


@seeded(12)
def make_published_adapter(
    file: Path, geometry: Geometry = SHORT, feature_dim: int = 768, with_backbone: bool = False
) -> Path:
    """An adapter of the tiny Stable Audio Open under its published names, alone or with its backbone."""
    adapter = Adapter(stable_audio_settings(geometry), AdapterSettings(feature_dim=feature_dim))
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    parts = PublishedWeights(adapter=adapter.state_dict())
    if with_backbone:
        parts.backbone = dict(stable_audio_parts(geometry)[0].state_dict())
    write_published(file, parts)
    return file


@seeded(20)
def make_tangoflux(folder: Path, text: Path, geometry: Geometry = SHORT) -> Path:
    """TangoFlux as published; `text` is the folder of its T5, whose weights the checkpoint replaces."""
    folder.mkdir(parents=True, exist_ok=True)
    theirs = {"duration.": "duration_emebdder.", "pool.": "fc.", "transformer.": "transformer."}
    published = {}
    for name, value in TangoFluxDenoiser(tangoflux_settings(geometry)).state_dict().items():
        prefix = name.split(".")[0] + "."
        published[theirs[prefix] + name.removeprefix(prefix)] = torch.randn(value.shape) * 0.2
    for name, value in load_file(text / "model.safetensors").items():
        published[f"text_encoder.{name}"] = value * 1.5
    save_file(published, folder / "tangoflux.safetensors")
    save_file(small_autoencoder(geometry).state_dict(), folder / "vae.safetensors")
    config = {
        "in_channels": LATENT_CHANNELS,
        "audio_seq_len": geometry.latents,
        "num_layers": 1,
        "num_single_layers": 2,
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "joint_attention_dim": TEXT_DIM,
        "max_duration": 30,
        "axes_dims_rope": [4, 6, 6],
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@seeded(30)
def make_synchformer(file: Path, width: int = 8) -> Path:
    """The visual tower of Synchformer with one block, as safetensors under its published names."""
    network = SynchformerVisual(width=width, depth=1, heads=max(1, width // 64), patch=56)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_file(network.state_dict(), file)
    return file


@seeded(40)
def make_clip(folder: Path, width: int = 8) -> Path:
    """CLIP's image tower in transformers' layout."""
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPVisionConfig(**sizes, image_size=28, patch_size=14, projection_dim=width)
    CLIPVisionModelWithProjection(config).save_pretrained(folder)
    return folder


def make_registered(root: Path, geometry: Geometry = SHORT, words: Sequence[str] = WORDS) -> Path:
    """Everything, registered below ``models/``: backbone, tangoflux, av_clip, clip, adapter_published."""
    make_text_encoder(root / "t5", root / "t5", words=words)
    models = {
        "backbone": {
            "kind": "stable_audio_open",
            "source": str(make_stable_audio_open(root / "stable_audio_open", geometry, words)),
        },
        "tangoflux": {
            "kind": "tangoflux",
            "source": str(make_tangoflux(root / "published_tangoflux", root / "t5", geometry)),
            "text_source": str(root / "t5"),
        },
        "av_clip": {
            "kind": "synchformer",
            "file": str(make_synchformer(root / "synchformer.safetensors")),
            "segments_per_pass": 3,
        },
        "clip": {"kind": "clip", "source": str(make_clip(root / "published_clip"))},
        "adapter_published": {
            "kind": "cafa_adapter",
            "file": str(make_published_adapter(root / "CAFA_avclip.safetensors", geometry, feature_dim=8)),
        },
    }
    for name, settings in models.items():
        register(parse_pretrained(json.dumps(settings)), root / "models" / name)
    return root / "models"


@seeded(50)
def make_trained_adapter(
    models: Path,
    name: str,
    backbone: str = "backbone",
    kinds: Sequence[str] = ("av_clip",),
    seconds: float = 10.0,
    latents: int | None = None,
) -> Path:
    """The folder of an adapter as training leaves it, with random weights, for a registered backbone."""
    card = read_card(models / backbone)
    settings = AdapterSettings(feature_dim=8, clip_dim=8 if "clip" in kinds else 0, hint_dim=12, latents=latents)
    adapter = open_backbone(models / backbone).denoiser.new_adapter(settings)
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    encoders = {"text": card["encoders"]["text"], "latents": card["encoders"]["latents"]}
    encoders |= {kind: read_card(models / kind)["encoders"][kind] for kind in kinds}
    save_model(
        models / name,
        adapter.state_dict(),
        {
            "kind": ADAPTER,
            "settings": {"model": settings.model_dump(), "seconds": seconds},
            "inputs": {kind: digest_of(encoder) for kind, encoder in encoders.items()},
            "video_kinds": list(kinds),
            "text_shape": card["facts"]["text_shape"],
            "backbone_sha256": card["weights_sha256"],
        },
    )
    return models / name


def model_config(geometry: Geometry = SHORT) -> dict[str, Any]:
    """A model_config.json of stable-audio-tools for the tiny model."""
    sizes = {"channels": geometry.width, "c_mults": list(geometry.multiples), "strides": list(geometry.strides)}
    ratio = geometry.samples_per_latent
    return {
        "sample_size": geometry.latents * ratio,
        "sample_rate": 44100,
        "audio_channels": 2,
        "model": {
            "pretransform": {
                "config": {
                    "encoder": {"config": {**sizes, "latent_dim": 2 * LATENT_CHANNELS}},
                    "decoder": {"config": {**sizes, "latent_dim": LATENT_CHANNELS, "final_tanh": False}},
                    "downsampling_ratio": ratio,
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
                    "io_channels": LATENT_CHANNELS,
                    "embed_dim": 64,
                    "depth": 2,
                    "num_heads": 2,
                    "cond_token_dim": TEXT_DIM,
                    "global_cond_dim": 2 * TEXT_DIM,
                    "project_cond_tokens": False,
                }
            },
        },
    }
