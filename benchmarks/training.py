"""Time, memory and cost of a training step of the adapter: ours against the naive way, as ratios within one run.

The naive way: the frozen encoders (autoencoder, T5, Synchformer) run in every step, and gradients of the frozen
backbone's weights are computed and thrown away. Ours, switched on one after the other: encoders' outputs are read
from a cache; only what the adapter needs has a gradient; the frozen blocks are kept in 16 bits; blocks are run again
in the backward pass to save memory (the one that costs time); and a window of 216 latents instead of 1024, which
needs an adapter trained so. Every way is trained by the loop that trains adapters, optimiser and moving average
included; weights and batches are random, from a fixed seed. On a CPU the processor's time is counted, so that other
programs do not disturb the ratios; on a GPU the clock's.

Model FLOP utilisation counts what the mathematics of a step needs (both forward passes, the adapter's gradients, and
what carries them through the backbone), whatever a way computes beyond that. GPU hours are those of 81,000 steps at
batch 16, the paper's (48 on an A100 of 40 GB).

Run on a CPU, reduced size, about three minutes::

    python -m benchmarks.training

On a GPU at full size (not run: no GPU at hand)::

    python -m benchmarks.training --size full --device cuda --batch 16 --accumulation 1 --bf16
    python -m benchmarks.training --size full --device cuda --batch 4 --accumulation 4 --bf16    # 40 GB
"""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import T5Config, T5EncoderModel

from cafa.common.files import write_json
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

SECONDS, WORDS, LATENTS, SHORT = 10.0, 128, 1024, 216
PAPER_STEPS, PAPER_BATCH = 81_000, 16
#: Dense 16-bit TFLOP/s by part of the device's name.
PEAKS = {"A100": 312.0, "H100": 989.0, "H200": 989.0}
SIZES: dict[str, dict[str, Any]] = {
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
class Way:
    """How a step is computed."""

    encoders: bool = False
    frozen_gradients: bool = False
    half_frozen: bool = False
    recompute: bool = False
    latents: int = LATENTS


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

    def run(self, items: int, device: str) -> None:
        """Encode sound of 47.55 s, captions and frames of so many clips; what they give is thrown away."""
        words = torch.zeros(items, WORDS, dtype=torch.long, device=device)
        with torch.no_grad():
            self.text(words, attention_mask=torch.ones_like(words))
        for _ in range(items):  # one at a time, as they come from a reader
            self.audio.encode(torch.zeros(1, 2, LATENTS * self.audio.samples_per_latent))
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

    def loss(self, model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
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


def measure(
    way: Way, size: str, device: str, batch: int, accumulation: int, steps: int, bf16: bool
) -> tuple[float, float | None]:
    """Least seconds of a step after the first (of the processor on a CPU), and peak memory in GB of a GPU."""
    cuda = device.startswith("cuda")
    clock = time.perf_counter if cuda else time.process_time
    models = Models(size, device)
    encoders = Encoders(size, device, bf16) if way.encoders else None
    if way.frozen_gradients:
        models.frozen.denoiser.requires_grad_(True)
    if way.half_frozen and bf16:
        hold_linear_layers(models.frozen.denoiser.transformer_blocks(), torch.bfloat16)
    models.adapter.gradient_checkpointing = models.frozen.denoiser.gradient_checkpointing = way.recompute
    given, marks = models.batch(batch, way.latents, device), []

    def make_batch(index: int, generator: torch.Generator) -> dict[str, Tensor]:
        if index % accumulation == 0:
            if cuda:
                torch.cuda.synchronize()
            marks.append(clock())
        if encoders is not None:
            encoders.run(batch, device)
        return given

    if cuda:
        torch.cuda.reset_peak_memory_stats()
    loop = LoopSettings(
        steps=steps + 2,
        batch_size=batch,
        accumulation=accumulation,
        learning_rate=5e-5,
        ema_decay=0.9999,
        bf16=bf16,
        save_every_seconds=1e9,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(models.adapter, make_batch, models.loss, loop, seed=0, resume_dir=folder, key="", label="benchmark")
    memory = torch.cuda.max_memory_allocated() / 1e9 if cuda else None
    # The first step allocates; the last has no successor that marks its end.
    return float(np.diff(marks)[1:].min()), memory


def ways(bf16: bool) -> dict[str, Way]:
    """Each adds one thing to the one before."""
    naive = Way(encoders=True, frozen_gradients=True)
    cached = replace(naive, encoders=False)
    frozen = replace(cached, frozen_gradients=False)
    half = replace(frozen, half_frozen=True)
    found = {"naive": naive, "+ cached features": cached, "+ no gradients of the frozen weights": frozen}
    if bf16:
        found["+ frozen blocks kept in 16 bits"] = half
    found["+ blocks run again (memory)"] = replace(half, recompute=True)
    found[f"without that, {SHORT} latents"] = replace(half, latents=SHORT)
    return found


def peak_of(device: str) -> float | None:
    """Dense 16-bit TFLOP/s of a known GPU."""
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else ""
    return next((peak for part, peak in PEAKS.items() if part in name), None)


@click.command(context_settings={"show_default": True})
@click.option("--size", type=click.Choice(list(SIZES)), default="reduced", help="reduced, or Stable Audio Open's")
@click.option("--device", default="cpu", help="torch device")
@click.option("--threads", default=1, help="threads of torch: waiting ones count as processor time")
@click.option("--bf16", is_flag=True, help="autocast to 16 bits")
@click.option("--batch", default=2, help="clips in memory at once")
@click.option("--accumulation", default=1, help="batches per optimiser step")
@click.option("--steps", default=3, help="timed steps of each way, of which the fastest counts")
@click.option("--peak-tflops", type=float, help="of the device in the precision used; known for A100, H100, H200")
@click.option("--output", type=click.Path(path_type=Path), help="json file for the figures")
def main(
    size: str,
    device: str,
    threads: int,
    bf16: bool,
    batch: int,
    accumulation: int,
    steps: int,
    peak_tflops: float | None,
    output: Path | None,
) -> None:
    """Print seconds per step of each way, how many times faster it is than the naive one, and what it would cost."""
    torch.set_num_threads(threads)
    peak, together = peak_tflops or peak_of(device), batch * accumulation
    rows: dict[str, dict[str, float | None]] = {}
    needed = {latents: step_flops(size, batch, latents) * accumulation for latents in (LATENTS, SHORT)}
    click.echo(f"{'way':<40}{'s/step':>9}{'times faster':>14}{'peak GB':>9}{'MFU':>7}{'h for 81k x 16':>16}")
    for name, way in ways(bf16).items():
        seconds, memory = measure(way, size, device, batch, accumulation, steps, bf16)
        flops = needed[way.latents]
        used = flops / seconds / (peak * 1e12) if peak else None
        hours = seconds / together * PAPER_BATCH * PAPER_STEPS / 3600
        rows[name] = {
            "seconds_per_step": seconds,
            "peak_gb": memory,
            "step_tflop": flops / 1e12,
            "utilisation": used,
            "hours": hours,
        }
        faster = (rows["naive"]["seconds_per_step"] or 0) / seconds
        shown = [f"{memory:.1f}" if memory else "-", f"{used:.0%}" if used else "-"]
        click.echo(f"{name:<40}{seconds:>9.3f}{faster:>14.2f}{shown[0]:>9}{shown[1]:>7}{hours:>16.1f}")
        if device.startswith("cuda"):
            torch.cuda.empty_cache()
    if output is not None:
        about = {"size": size, "device": device, "bf16": bf16, "batch": batch, "accumulation": accumulation}
        write_json(output, {"settings": about, "threads": torch.get_num_threads(), "ways": rows})


if __name__ == "__main__":
    main()
