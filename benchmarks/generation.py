"""Time per clip of generation: ours against the published code's way of working, as ratios within one round.

The published way: every clip by itself; the models loaded again for each; 1024 latents, all decoded, of which 10 s
are kept, by diffusers' decoder; the null text's cross-attention computed. Ours, switched on one after the other
(:func:`ways`): models loaded once; that cross-attention skipped; no more decoded than is kept; the project's own
decoder; clips in batches; and a window of 216 latents, which needs an adapter that was trained at that length (no
published one was). What the adapter makes of the video before its blocks is made once a run in all of them, also where
the published code makes it in every step. Each way has a process of its own; a turn is all clips.

At full size model FLOP utilisation is printed too. It counts what the mathematics of a clip needs (denoiser and
adapter in both halves without the null text's cross-attention, the decoder of what is kept, the text encoder),
whatever a way computes beyond that.

On a CPU, reduced size, some three minutes::

    python -m benchmarks.generation

On a GPU at full size with random weights, 16 clips of 50 steps, 16 bits (not run here)::

    python -m benchmarks.generation --size full --device cuda
"""

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from diffusers import AutoencoderOobleck
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from benchmarks.report import Comparison, Report, clock_of, finish, options, row, seconds_of
from benchmarks.rounds import Turn, Way, apart, measure
from benchmarks.training import peak_of
from cafa.common.files import write_json
from cafa.generation.windows import OURS, generate_windows
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.interface import WindowSetting
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.backbone import StableAudioOpen
from cafa.models.stable_audio.checkpoint_names import PublishedWeights
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioSettings
from cafa.models.stable_audio.diffusers_layout import SIZES as KEYS
from cafa.models.stable_audio.diffusers_layout import WEIGHTS as DIFFUSERS_WEIGHTS
from cafa.models.stable_audio.published_adapter import load_published_adapter
from cafa.models.stable_audio.published_files import write_published

SECONDS = 10.0
LATENTS, FEATURES = 1024, 216
SIZES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "tiny": (
        {"blocks": 1, "heads": 1, "key_value_heads": 1, "text_dim": 64},
        {"encoder_hidden_size": 2, "decoder_channels": 1},
        {"d_model": 64, "d_ff": 64, "num_layers": 1, "num_heads": 1},
    ),
    "reduced": (
        {"blocks": 3, "heads": 4, "key_value_heads": 4, "text_dim": 256},
        {"encoder_hidden_size": 4, "decoder_channels": 4},
        {"d_model": 256, "d_ff": 512, "num_layers": 2, "num_heads": 4},
    ),
    "full": ({}, {}, {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12}),
}


@dataclass(frozen=True)
class Setting:
    """What all ways share."""

    size: str = "reduced"
    device: str = "cpu"
    half: bool = False
    steps: int = 4
    clips: int = 2
    batch: int = 2


DEFAULTS = {
    "tiny": Setting("tiny", steps=2, clips=1, batch=1),
    "reduced": Setting(),
    "full": Setting("full", half=True, steps=50, clips=16, batch=16),
}


@dataclass(frozen=True)
class How:
    """How clips are made, and what the project aims at for it."""

    window: WindowSetting
    reloaded: bool = False
    diffusers_decoder: bool = False
    batch: int = 1
    goal: str = ""


def ways(setting: Setting) -> dict[str, How]:
    """Each adds one thing to the one before; the first is the published way."""
    window = StableAudioOpen.published_window
    assert window is not None
    published = How(window, reloaded=True, diffusers_decoder=True)
    kept = replace(published, reloaded=False)
    skipped = replace(kept, window=OURS.model_copy(update={"latents": LATENTS, "peak": "window"}))
    cut = replace(skipped, window=OURS.model_copy(update={"latents": LATENTS}))
    own = replace(cut, diffusers_decoder=False)
    batched = replace(own, batch=setting.batch)
    short = replace(batched, window=OURS.model_copy(update={"latents": FEATURES}), goal="10 times")
    return {
        f"published: models loaded per clip, {LATENTS} latents": published,
        "models loaded once": kept,
        "+ null cross-attention skipped": skipped,
        "+ no more decoded than is kept": cut,
        "+ the decoder's activations in one tensor": own,
        f"+ batches of {setting.batch}": batched,
        f"+ {FEATURES} latents (adapter trained so)": short,
    }


def write_part(folder: Path, config: dict[str, Any], network: torch.nn.Module) -> None:
    """A part of a model in diffusers' layout."""
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config)
    save_file(network.state_dict(), folder / DIFFUSERS_WEIGHTS)


def write_models(folder: Path, size: str) -> StableAudioSettings:
    """Write a backbone with its encoders, and an adapter, with random weights."""
    denoiser, autoencoder, text = SIZES[size]
    settings = StableAudioSettings(**denoiser)
    torch.manual_seed(0)
    backbone = StableAudioBackbone(settings)
    adapter = Adapter(settings, AdapterSettings())
    adapter.copy_backbone(backbone)
    write_published(folder / "adapter.safetensors", PublishedWeights(adapter=adapter.state_dict()))
    del adapter
    write_part(folder / "transformer", {KEYS[key]: getattr(settings, key) for key in KEYS}, backbone.dit)
    timing = {"min_value": 0.0, "max_value": settings.maximum_seconds}
    write_part(folder / "projection_model", timing, backbone.projection)
    vae: Any = AutoencoderOobleck(**autoencoder)  # diffusers types half of what its models can do
    vae.save_pretrained(folder / "vae")
    T5EncoderModel(T5Config(vocab_size=32128, d_kv=64, **text)).save_pretrained(folder / "text_encoder")
    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581a", -1.0)]
    T5Tokenizer(vocab=words, extra_ids=0).save_pretrained(folder / "tokenizer")
    (folder / "model_index.json").write_text("{}")
    return settings


class Loaded:
    """Models from disk, and the two ways of using them."""

    def __init__(self, folder: Path, settings: StableAudioSettings, setting: Setting, how: How) -> None:
        device = setting.device
        self.backbone, self.half = StableAudioOpen.load(folder, device=device), setting.half
        if how.diffusers_decoder:  # of the same weights
            theirs = AutoencoderOobleck.from_pretrained(folder / "vae").decoder
            self.backbone.audio.autoencoder.decoder = theirs.to(device).eval().requires_grad_(False)
        self.adapter = load_published_adapter(folder / "adapter.safetensors", settings)[0].to(device)

    def generate(self, clips: list[int], setting: WindowSetting, steps: int) -> None:
        """Sound for clips; the numbers are seeds."""
        text = self.backbone.encode_text([f"sound {number}" for number in clips])
        features = torch.randn(len(clips), FEATURES, 768, generator=torch.Generator().manual_seed(0))
        generate_windows(
            self.backbone,
            text,
            SECONDS,
            clips,
            adapter=self.adapter,
            features=features,
            setting=setting,
            defaults=replace(self.backbone.defaults, steps=steps),
            half=self.half,
        )

    def flops(self, latents: int, steps: int) -> int:
        """FLOPs that a clip needs, a multiplication with its addition counted as two."""
        with FlopCounterMode(display=False) as counter:
            self.generate([0], OURS.model_copy(update={"latents": latents}), steps)
        return counter.get_total_flops()


def generate_in_turns(
    how: How, setting: Setting, folder: Path, settings: StableAudioSettings, turns: Iterator[Turn]
) -> None:
    """Make all clips in each turn; the first one, which warms up, is of two steps and at most one batch."""

    def load() -> Loaded:
        return Loaded(folder, settings, setting, how)

    models = None if how.reloaded else load()
    for turn in turns:
        clips = list(range(how.batch if turn.warms_up else setting.clips))
        for first in range(0, len(clips), how.batch):
            together = clips[first : first + how.batch]
            (models or load()).generate(together, how.window, 2 if turn.warms_up else setting.steps)


def count_flops(setting: Setting, folder: Path, settings: StableAudioSettings, turns: Iterator[Turn]) -> None:
    """FLOPs of a clip by number of latents, counted in a process of its own."""
    models = Loaded(folder, settings, setting, How(OURS))
    for turn in turns:
        turn.value = {latents: models.flops(latents, setting.steps) for latents in (LATENTS, FEATURES)}


def compare(setting: Setting, rounds: int, peak: float | None) -> Comparison:
    """All ways, in turns."""
    hows, clock = ways(setting), clock_of(setting.device)
    needed: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        settings = apart(partial(write_models, folder, setting.size))
        measured = [
            Way(name, partial(generate_in_turns, how, setting, folder, settings), setting.clips)
            for name, how in hows.items()
        ]
        taken = measure(measured, rounds, setting.device)
        if setting.size == "full":
            counting = Way("flops", partial(count_flops, setting, folder, settings))
            needed = measure([counting], 1, setting.device)["flops"][0].value
    peer = seconds_of(measured[0], taken[measured[0].name], clock)
    peak = peak or peak_of(setting.device)
    rows = []
    for way in measured:
        made = row(way, taken[way.name], peer, clock, hows[way.name].goal)
        figures = {"clips per hour": 3600 / made.median_seconds}
        if flops := needed.get(hows[way.name].window.latents or LATENTS):
            figures["TFLOP per clip"] = flops / 1e12
            if peak:
                figures["model FLOP utilisation, %"] = 100 * flops / made.median_seconds / (peak * 1e12)
        rows.append(made.model_copy(update={"figures": figures}))
    return Comparison(
        title="Making the sound of a clip of 10 s",
        compared_with="the published code's way, in which models are loaded for each clip and all latents decoded",
        unit="clip",
        clock=clock,
        rows=tuple(rows),
        note="Each way adds to the one before. All use the project's own networks, the first four with the decoder of"
        " diffusers, with the same number of steps.",
    )


@click.command()
@options(list(SIZES), gpu=True)
@click.option("--half/--no-half", default=None, help="denoiser in 16 bits  [default: at full size]")
@click.option("--steps", type=int, help="sampling steps per clip  [default: 4; full size: 50]")
@click.option("--clips", type=int, help="clips in a turn  [default: 2; full size: 16]")
@click.option("--batch", type=int, help="clips per batch in our way  [default: 2; full size: 16]")
@click.option("--peak-tflops", type=float, help="of the device in the precision used; known for A100, H100, H200")
def main(
    size: str,
    device: str,
    rounds: int,
    output: Path | None,
    half: bool | None,
    steps: int | None,
    clips: int | None,
    batch: int | None,
    peak_tflops: float | None,
) -> Report:
    """Seconds per clip of each way, and how many times faster it is than the published one."""
    given = {"half": half, "steps": steps, "clips": clips, "batch": batch}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    setting = replace(DEFAULTS[size], device=device, **changes)
    return finish("generation", size, device, rounds, asdict(setting), [compare(setting, rounds, peak_tflops)], output)


if __name__ == "__main__":
    main()
