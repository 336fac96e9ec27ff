"""What 16 bits cost a training in loss: float32, bf16, sums between blocks in float32, float8 in the frozen half.

A backbone of 8 blocks of width 128 is trained on artificial latents (each a linear map of its video features and a
random walk that its caption chooses, with noise), then adapters on it, all from the same seed: batches, times and noise
of a step are the same in all of them. One more float32 training has other draws: what differs less is no difference.

Run on a CPU, about ten minutes::

    python -m benchmarks.precision
"""

import tempfile
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

from cafa.diffusion.guidance import adapted_velocity
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.float8 import hold_in_float8
from cafa.models.precision import hold_linear_layers
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioSettings
from cafa.training.loop import train
from cafa.training.loop_settings import LoopSettings
from cafa.training.objective import DiffusionSettings, velocity_loss

CLIPS, HELD_OUT, CAPTIONS, WORDS, SECONDS = 256, 64, 8, 6, 3.0
SIZE = StableAudioSettings(
    latent_channels=8, latents=48, blocks=8, heads=2, head_dim=64, key_value_heads=1, text_dim=32, time_dim=64
)
VIDEO = AdapterSettings(feature_dim=16, hint_dim=64, dropout=0.0)


@dataclass(frozen=True)
class Way:
    """One training: autocast to 16 bits, float32 between blocks, float8 in the frozen blocks, seed of the draws."""

    bf16: bool = False
    wide: bool = False
    float8: bool = False
    seed: int = 1


@dataclass(frozen=True)
class Clips:
    """Artificial clips, the last `HELD_OUT` of which are not trained on."""

    latents: Tensor
    text: Tensor
    video: Tensor

    @classmethod
    def made(cls) -> "Clips":
        """The clips of a fixed seed."""
        draw = torch.Generator().manual_seed(0)
        captions = torch.arange(CLIPS) % CAPTIONS
        video = torch.randn(CLIPS, SIZE.latents, VIDEO.feature_dim, generator=draw)
        maps = torch.randn(CAPTIONS, VIDEO.feature_dim, SIZE.latent_channels, generator=draw) / 4
        walks = torch.randn(CAPTIONS, SIZE.latents, SIZE.latent_channels, generator=draw).cumsum(1)
        walks = (walks - walks.mean(1, keepdim=True)) / walks.std(1, keepdim=True)
        noise = torch.randn(CLIPS, SIZE.latents, SIZE.latent_channels, generator=draw)
        latents = (video @ maps[captions]) * 0.6 + walks[captions] * 0.6 + noise * 0.5
        text = torch.randn(CAPTIONS, WORDS, SIZE.text_dim, generator=draw)[captions]
        return cls(latents.transpose(1, 2).contiguous(), text, video)

    def some(self, which: Tensor | slice) -> dict[str, Tensor]:
        """A batch."""
        return {"latents": self.latents[which], "text": self.text[which], "video": self.video[which]}


def of_captions(backbone: StableAudioBackbone, text: Tensor) -> Any:
    """Conditioning of a batch, in float32."""
    with torch.autocast("cpu", enabled=False):
        return backbone.of_captions(text, torch.full((len(text),), SECONDS))


def loss_of(backbone: StableAudioBackbone) -> Any:
    """The loss of an adapter on a backbone; of the backbone itself where that is what is trained."""

    def loss(model: Any, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        told = of_captions(backbone, batch["text"])
        velocity = (
            (lambda z, t: backbone(z, t, told))
            if model is backbone
            else (lambda z, t: adapted_velocity(backbone, model, z, t, told, batch["video"]))
        )
        return {"loss": velocity_loss(velocity, batch["latents"], DiffusionSettings(), generator)}

    return loss


def fit(model: nn.Module, backbone: StableAudioBackbone, clips: Clips, loop: LoopSettings, seed: int) -> np.ndarray:
    """Train a model in place; the loss of every step."""
    known = CLIPS - HELD_OUT

    def batch(index: int, generator: torch.Generator) -> dict[str, Tensor]:
        return clips.some(torch.randperm(known, generator=generator)[: loop.batch_size])

    with tempfile.TemporaryDirectory() as folder:
        done = train(model, batch, loss_of(backbone), loop, seed=seed, resume_dir=folder, key={}, label="train")
    model.load_state_dict(done.weights, strict=False)
    return done.losses["loss"].to_numpy()


@torch.no_grad()
def held_out(model: nn.Module, backbone: StableAudioBackbone, clips: Clips, loop: LoopSettings) -> float:
    """Loss on clips that were not trained on, over 16 draws of times and noise that are the same for all."""
    loss, generator = loss_of(backbone), torch.Generator().manual_seed(1)
    with loop.autocast(torch.device("cpu")):
        batch = clips.some(slice(CLIPS - HELD_OUT, CLIPS))
        return float(np.mean([float(loss(model, batch, generator)["loss"]) for _ in range(16)]))


@click.command(context_settings={"show_default": True})
@click.option("--steps", default=300, help="steps of each training")
@click.option("--batch", default=8, help="clips of a batch")
@click.option("--threads", default=1, help="threads of torch")
def main(steps: int, batch: int, threads: int) -> None:
    """Print the losses of an adapter in each precision, and how far they are from float32's."""
    torch.set_num_threads(threads)
    clips, common = Clips.made(), {"batch_size": batch, "save_every_seconds": 1e9, "ema_decay": 0.99}
    torch.manual_seed(0)
    backbone = StableAudioBackbone(SIZE)
    fit(backbone, backbone, clips, LoopSettings(steps=steps, learning_rate=5e-4, warmup_steps=20, **common), 0)
    backbone.requires_grad_(False).eval()
    weights = {name: value.clone() for name, value in backbone.state_dict().items()}
    ways = {
        "float32": Way(),
        "bf16": Way(bf16=True),
        "bf16, residual: float32": Way(bf16=True, wide=True),
        "bf16, frozen_float8": Way(bf16=True, float8=True),
        "float32, other draws": Way(seed=2),
    }
    losses: dict[str, np.ndarray] = {}
    click.echo(f"{'training':<26}{'last quarter':>14}{'held out':>10}{'from float32, per step':>24}")
    for name, way in ways.items():
        frozen = StableAudioBackbone(SIZE).requires_grad_(False).eval()
        frozen.load_state_dict(weights)
        if way.bf16:
            hold_linear_layers(frozen.transformer_blocks(), torch.bfloat16)
        torch.manual_seed(0)
        adapter = frozen.new_adapter(VIDEO)
        adapter.copy_backbone(backbone)
        if way.float8:
            hold_in_float8(frozen.transformer_blocks())
        adapter.float32_residual = frozen.float32_residual = way.wide
        loop = LoopSettings(steps=steps, learning_rate=5e-4, warmup_steps=20, bf16=way.bf16, **common)
        losses[name] = fit(adapter, frozen, clips, loop, way.seed)
        apart = np.abs(losses[name] - losses["float32"]).mean()
        last, unseen = losses[name][-steps // 4 :].mean(), held_out(adapter.eval(), frozen, clips, loop)
        click.echo(f"{name:<26}{last:>14.5f}{unseen:>10.5f}{apart:>24.5f}")


if __name__ == "__main__":
    main()
