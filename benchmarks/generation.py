"""Time per clip of generation: ours against the published code's way of working, as ratios within one run.

The published way: every clip by itself; the models loaded again for each; 1024 latents, all decoded, of which 10 s are
kept; the null text's cross-attention computed. Ours, switched on one after the other: models loaded once; that
cross-attention skipped; no more decoded than is kept; clips in batches; and a window of 216 latents, which needs an
adapter that was trained at that length (no published one was). On a CPU the processor's time is counted, so that other
programs do not disturb the ratios; on a GPU the clock's.

Model FLOP utilisation counts what the mathematics of a clip needs (denoiser and adapter in both halves without the null
text's cross-attention, the decoder of what is kept, the text encoder), whatever a way computes beyond that.

Run on a CPU, reduced size, about three minutes::

    python -m benchmarks.generation

On a GPU at full size with random weights (not run: no GPU at hand)::

    python -m benchmarks.generation --size full --device cuda --steps 50 --clips 16 --batch 16 --half
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch
from diffusers import AutoencoderOobleck
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

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
PUBLISHED = StableAudioOpen.published_window
assert PUBLISHED is not None
LATENTS, FEATURES = 1024, 216
SIZES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "reduced": (
        {"blocks": 3, "heads": 4, "key_value_heads": 4, "text_dim": 256},
        {"encoder_hidden_size": 4, "decoder_channels": 4},
        {"d_model": 256, "d_ff": 512, "num_layers": 2, "num_heads": 4},
    ),
    "full": ({}, {}, {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12}),
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
    AutoencoderOobleck(**autoencoder).save_pretrained(folder / "vae")
    T5EncoderModel(T5Config(vocab_size=32128, d_kv=64, **text)).save_pretrained(folder / "text_encoder")
    words = Tokenizer(WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>").save_pretrained(
        folder / "tokenizer"
    )
    (folder / "model_index.json").write_text("{}")
    return settings


class Loaded:
    """Models from disk, and the two ways of using them."""

    def __init__(self, folder: Path, settings: StableAudioSettings, device: str, half: bool) -> None:
        self.backbone, self.half = StableAudioOpen.load(folder, device=device), half
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


def timed(work: Callable[[], None], device: str, repeats: int) -> tuple[float, float | None]:
    """Least seconds of several runs (of the processor on a CPU), and peak memory in GB where the device counts it."""
    cuda = device.startswith("cuda")
    clock = time.perf_counter if cuda else time.process_time
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    least = float("inf")
    for _ in range(repeats):
        start = clock()
        work()
        if cuda:
            torch.cuda.synchronize()
        least = min(least, clock() - start)
    return least, torch.cuda.max_memory_allocated() / 1e9 if cuda else None


@click.command(context_settings={"show_default": True})
@click.option("--size", type=click.Choice(list(SIZES)), default="reduced", help="reduced, or Stable Audio Open's")
@click.option("--device", default="cpu", help="torch device")
@click.option("--threads", default=1, help="threads of torch: waiting ones count as processor time")
@click.option("--half", is_flag=True, help="denoiser in 16 bits")
@click.option("--steps", default=4, help="sampling steps per clip")
@click.option("--clips", default=2, help="clips per way")
@click.option("--batch", default=2, help="clips per batch in our way")
@click.option("--repeats", default=2, help="runs of each way, of which the fastest counts")
@click.option("--peak-tflops", type=float, help="of the device in the precision used; known for A100, H100, H200")
@click.option("--output", type=click.Path(path_type=Path), help="json file for the figures")
def main(
    size: str,
    device: str,
    threads: int,
    half: bool,
    steps: int,
    clips: int,
    batch: int,
    repeats: int,
    peak_tflops: float | None,
    output: Path | None,
) -> None:
    """Print seconds per clip of each way, and how many times faster it is than the published one."""
    torch.set_num_threads(threads)
    numbers = list(range(clips))
    whole, ours, short = (
        OURS.model_copy(update=changes)
        for changes in ({"latents": LATENTS, "peak": "window"}, {"latents": LATENTS}, {"latents": FEATURES})
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = write_models(folder, size)

        def reloading() -> None:
            for number in numbers:
                Loaded(folder, settings, device, half).generate([number], PUBLISHED, steps)

        kept = Loaded(folder, settings, device, half)
        kept.generate([0], PUBLISHED, 2)  # warm up
        needed = {latents: kept.flops(latents, steps) for latents in (LATENTS, FEATURES)}

        def with_models_kept(setting: WindowSetting, together: int) -> Callable[[], None]:
            def work() -> None:
                for first in range(0, clips, together):
                    kept.generate(numbers[first : first + together], setting, steps)

            return work

        ways: dict[str, tuple[Callable[[], None], int]] = {
            "published: models loaded per clip, 1024 latents": (reloading, LATENTS),
            "models loaded once": (with_models_kept(PUBLISHED, 1), LATENTS),
            "+ null cross-attention skipped": (with_models_kept(whole, 1), LATENTS),
            "+ no more decoded than is kept": (with_models_kept(ours, 1), LATENTS),
            f"+ batches of {batch}": (with_models_kept(ours, batch), LATENTS),
            "+ 216 latents (adapter trained so)": (with_models_kept(short, batch), FEATURES),
        }
        peak, figures, slowest = peak_tflops or peak_of(device), {}, 0.0
        click.echo(f"{'way':<50}{'s per clip':>11}{'clips per hour':>16}{'times faster':>14}{'peak GB':>9}{'MFU':>7}")
        for way, (work, latents) in ways.items():
            seconds, memory = timed(work, device, repeats)
            slowest = slowest or seconds
            used = needed[latents] * clips / seconds / (peak * 1e12) if peak else None
            figures[way] = {
                "seconds_per_clip": seconds / clips,
                "clips_per_hour": 3600 * clips / seconds,
                "peak_gb": memory,
                "times_faster": slowest / seconds,
                "clip_tflop": needed[latents] / 1e12,
                "utilisation": used,
            }
            shown = [f"{memory:.1f}" if memory else "-", f"{used:.0%}" if used else "-"]
            click.echo(
                f"{way:<50}{seconds / clips:>11.2f}{3600 * clips / seconds:>16.0f}{slowest / seconds:>14.2f}"
                f"{shown[0]:>9}{shown[1]:>7}"
            )
    if output is not None:
        about = {"size": size, "device": device, "half": half, "steps": steps, "clips": clips, "batch": batch}
        write_json(output, {"settings": about, "threads": torch.get_num_threads(), "ways": figures})


if __name__ == "__main__":
    main()
