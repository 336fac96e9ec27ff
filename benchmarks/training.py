"""Time, memory and cost of a training step of the adapter: ours against the naive way, as ratios within one round.

The naive way: the frozen encoders (autoencoder, T5, Synchformer) run in every step, and gradients of the frozen
backbone's weights are computed and thrown away. Ours, switched on one after the other (:func:`ways`): encoders'
outputs are read from a cache; only what the adapter needs has a gradient; the frozen blocks are kept in 16 bits;
blocks are run again in the backward pass to save memory (the one that costs time); and a window of 216 latents
instead of 1024, which needs an adapter trained so. Every way is trained by the loop that trains adapters, optimiser
and moving average included, in a process of its own; a turn is one step. Weights and batches are random, from a fixed
seed.

At full size model FLOP utilisation and GPU hours are printed too. The former counts what the mathematics of a step
needs (both forward passes, the adapter's gradients, and what carries them through the backbone), whatever a way
computes beyond that. GPU hours are those of 81,000 steps at batch 16, the paper's (48 on an A100 of 40 GB).

On a CPU, reduced size, some three minutes::

    python -m benchmarks.training

On a GPU at full size (not run here), batch 16 and 16 bits; the second for 40 GB::

    python -m benchmarks.training --size full --device cuda
    python -m benchmarks.training --size full --device cuda --batch 4 --accumulation 4
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import T5Config, T5EncoderModel

from benchmarks.report import Comparison, Report, clock_of, finish, options, row, seconds_of
from benchmarks.rounds import Turn, Way, measure
from cafa.diffusion.guidance import adapted_velocity
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.encoders.oobleck import OobleckAudio
from cafa.models.encoders.oobleck_network import Oobleck, OobleckSettings
from cafa.models.encoders.synchformer import FRAMES, SQUASHED, TOKENS, SynchformerFeatures
from cafa.models.encoders.synchformer_network import SynchformerVisual
from cafa.models.precision import hold_linear_layers
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioSettings
from cafa.training.frozen_backbone import FrozenBackbone
from cafa.training.loop import train
from cafa.training.loop_settings import LoopSettings
from cafa.training.objective import DiffusionSettings, velocity_loss

SECONDS, WORDS = 10.0, 128
PAPER_STEPS, PAPER_BATCH = 81_000, 16
#: Dense 16-bit TFLOP/s by part of the device's name.
PEAKS = {"A100": 312.0, "H100": 989.0, "H200": 989.0}
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "denoiser": {"blocks": 1, "heads": 1, "key_value_heads": 1, "text_dim": 64},
        "autoencoder": {"encoder_hidden_size": 2, "decoder_channels": 2},
        "text": {"d_model": 64, "d_ff": 64, "num_layers": 1, "num_heads": 1, "d_kv": 64},
        "visual": {"width": 8, "depth": 1, "heads": 1, "patch": 56},
    },
    "reduced": {
        "denoiser": {"blocks": 3, "heads": 4, "key_value_heads": 2, "text_dim": 128},
        "autoencoder": {"encoder_hidden_size": 4, "decoder_channels": 4},
        "text": {"d_model": 128, "d_ff": 256, "num_layers": 2, "num_heads": 2, "d_kv": 64},
        "visual": {"width": 64, "depth": 2, "heads": 1},
    },
    "full": {
        "denoiser": {},
        "autoencoder": {},
        "text": {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12, "d_kv": 64},
        "visual": {},
    },
}


@dataclass(frozen=True)
class Setting:
    """What all ways share. `latents` is the published window, `short` that of 10 s."""

    size: str = "reduced"
    device: str = "cpu"
    bf16: bool = False
    batch: int = 2
    accumulation: int = 1
    latents: int = 1024
    short: int = 216


DEFAULTS = {
    "tiny": Setting("tiny", batch=1, latents=256),
    "reduced": Setting(),
    "full": Setting("full", bf16=True, batch=16),
}


@dataclass(frozen=True)
class How:
    """How a step is computed, and what the project aims at for it."""

    latents: int
    encoders: bool = False
    frozen_gradients: bool = False
    half_frozen: bool = False
    recompute: bool = False
    goal: str = ""


def ways(setting: Setting) -> dict[str, How]:
    """Each adds one thing to the one before; the first is the naive one."""
    naive = How(setting.latents, encoders=True, frozen_gradients=True)
    cached = replace(naive, encoders=False)
    frozen = replace(cached, frozen_gradients=False, goal="5 times")
    half = replace(frozen, half_frozen=True, goal="")
    found = {"naive": naive, "+ cached features": cached, "+ no gradients of the frozen weights": frozen}
    if setting.bf16:
        found["+ frozen blocks kept in 16 bits"] = half
    found["+ blocks run again (memory)"] = replace(half, recompute=True)
    found[f"without that, {setting.short} latents"] = replace(half, latents=setting.short, goal="25 times")
    return found


class Encoders:
    """The frozen encoders with random weights, and what a step without a cache gives them."""

    def __init__(self, size: str, device: str, half: bool) -> None:
        sizes = SIZES[size]
        autoencoder = Oobleck(OobleckSettings.model_validate(sizes["autoencoder"]))
        for parameter in autoencoder.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        self.audio = OobleckAudio(autoencoder.to(device))
        config = T5Config(vocab_size=32128, **sizes["text"])
        self.text = T5EncoderModel(config).requires_grad_(False).eval().to(device)
        visual = SynchformerVisual(**sizes["visual"])
        self.video = SynchformerFeatures(visual, "random", device=device, half=half, segments_per_pass=27)

    def run(self, items: int, latents: int, device: str) -> None:
        """Encode sounds of a window (published: 47.55 s), captions and frames; what they give is thrown away."""
        words = torch.zeros(items, WORDS, dtype=torch.long, device=device)
        with torch.no_grad():
            self.text(words, attention_mask=torch.ones_like(words))
        for _ in range(items):  # one at a time, as they come from a reader
            self.audio.encode(torch.zeros(1, 2, latents * self.audio.samples_per_latent))
            self.video.encode(np.zeros((1, FRAMES, *SQUASHED, 3), np.uint8))


class Models:
    """Backbone and adapter with random weights, and the loss of an adapter."""

    def __init__(self, size: str, device: str) -> None:
        torch.manual_seed(0)
        self.settings = StableAudioSettings(**SIZES[size]["denoiser"])
        own = StableAudioBackbone(self.settings).requires_grad_(False).eval().to(device)
        self.frozen = FrozenBackbone(
            "random", "", {}, own, lambda text, seconds: own.condition(text, torch.zeros_like(seconds), seconds)
        )
        self.adapter = Adapter(self.settings, AdapterSettings()).to(device)
        self.adapter.copy_backbone(own)

    def loss(self, model: Adapter, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """As :func:`cafa.training.adapter.train_adapter` computes it."""
        text = batch["text"]
        with torch.autocast(text.device.type, enabled=False):
            told = self.frozen.condition(text, torch.full((len(text),), SECONDS, device=text.device))
        velocity = lambda z, t: adapted_velocity(self.frozen.denoiser, model, z, t, told, batch["video"])  # noqa: E731
        return {"loss": velocity_loss(velocity, batch["latents"], DiffusionSettings(), generator)}

    def batch(self, items: int, latents: int, device: str) -> dict[str, Tensor]:
        """A batch of random features."""
        shapes = {
            "latents": (self.settings.latent_channels, latents),
            "text": (WORDS, self.settings.text_dim),
            "video": (TOKENS, AdapterSettings().feature_dim),
        }
        return {name: torch.randn(items, *shape).to(device) for name, shape in shapes.items()}


def step_flops(size: str, batch: int, latents: int) -> float:
    """FLOPs that the mathematics of a step needs, counted on tensors without content."""
    with torch.device("meta"):
        models = Models(size, "meta")
        given = models.batch(batch, latents, "meta")
        told = models.frozen.condition(given["text"], torch.full((batch,), SECONDS))
        time_, noisy = torch.rand(batch), given["latents"]
        with FlopCounterMode(display=False) as counter:
            adapted_velocity(
                models.frozen.denoiser, models.adapter, noisy, time_, told, given["video"]
            ).sum().backward()
    return float(counter.get_total_flops())


class _Over(Exception):
    """There are no more turns: training may end."""


def train_in_turns(how: How, setting: Setting, turns: Iterator[Turn]) -> None:
    """Train for as long as there are turns; each is one step of the optimiser."""
    device = setting.device
    models = Models(setting.size, device)
    encoders = Encoders(setting.size, device, setting.bf16) if how.encoders else None
    if how.frozen_gradients:
        models.frozen.denoiser.requires_grad_(True)
    if how.half_frozen and setting.bf16:
        hold_linear_layers(models.frozen.denoiser.transformer_blocks(), torch.bfloat16)
    models.adapter.gradient_checkpointing = models.frozen.denoiser.gradient_checkpointing = how.recompute
    given = models.batch(setting.batch, how.latents, device)

    def make_batch(index: int, generator: torch.Generator) -> dict[str, Tensor]:
        if index % setting.accumulation == 0 and next(turns, None) is None:  # ends the turn before
            raise _Over
        if encoders is not None:
            encoders.run(setting.batch, how.latents, device)
        return given

    loop = LoopSettings(
        steps=sys.maxsize,
        batch_size=setting.batch,
        accumulation=setting.accumulation,
        learning_rate=5e-5,
        ema_decay=0.9999,
        bf16=setting.bf16,
        save_every_seconds=1e9,
    )
    with tempfile.TemporaryDirectory() as folder, suppress(_Over):
        train(models.adapter, make_batch, models.loss, loop, seed=0, resume_dir=folder, key={}, label="benchmark")


def peak_of(device: str) -> float | None:
    """Dense 16-bit TFLOP/s of a known GPU."""
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else ""
    return next((peak for part, peak in PEAKS.items() if part in name), None)


def figures_of(setting: Setting, how: How, seconds: float, peak: float | None) -> dict[str, float | None]:
    """Cost of a step at full size."""
    if setting.size != "full":
        return {}
    flops = step_flops(setting.size, setting.batch, how.latents) * setting.accumulation
    together = setting.batch * setting.accumulation
    return {
        "TFLOP per step": flops / 1e12,
        "model FLOP utilisation, %": 100 * flops / seconds / (peak * 1e12) if peak else None,
        "hours for 81,000 x 16": seconds / together * PAPER_BATCH * PAPER_STEPS / 3600,
    }


def compare(setting: Setting, rounds: int, peak: float | None) -> Comparison:
    """All ways, in turns."""
    hows, clock = ways(setting), clock_of(setting.device)
    measured = [Way(name, partial(train_in_turns, how, setting)) for name, how in hows.items()]
    taken = measure(measured, rounds, setting.device)
    peer = seconds_of(measured[0], taken["naive"], clock)
    peak = peak or peak_of(setting.device)
    rows = []
    for way in measured:
        made = row(way, taken[way.name], peer, clock, hows[way.name].goal)
        figures = figures_of(setting, hows[way.name], made.median_seconds, peak)
        rows.append(made.model_copy(update={"figures": {key: value for key, value in figures.items() if value}}))
    return Comparison(
        title="A training step of the adapter",
        compared_with="the naive way, in which the frozen encoders run in every step and gradients of the frozen "
        "backbone are computed",
        unit="step",
        clock=clock,
        rows=tuple(rows),
        note="Each way adds to the one before; the last leaves out running blocks again. All use the project's own "
        "networks and loop.",
    )


@click.command()
@options(list(SIZES), gpu=True)
@click.option("--bf16/--no-bf16", default=None, help="autocast to 16 bits  [default: at full size]")
@click.option("--batch", type=int, help="clips in memory at once  [default: 2; full size: 16]")
@click.option("--accumulation", type=int, help="batches per optimiser step  [default: 1]")
@click.option("--peak-tflops", type=float, help="of the device in the precision used; known for A100, H100, H200")
def main(
    size: str,
    device: str,
    rounds: int,
    output: Path | None,
    bf16: bool | None,
    batch: int | None,
    accumulation: int | None,
    peak_tflops: float | None,
) -> Report:
    """Seconds of a step in each way, how many times faster than the naive one, and what it would cost."""
    given = {"bf16": bf16, "batch": batch, "accumulation": accumulation}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    setting = replace(DEFAULTS[size], device=device, **changes)
    comparison = compare(setting, rounds, peak_tflops)
    return finish("training", size, device, rounds, asdict(setting), [comparison], output)


if __name__ == "__main__":
    main()
