"""Seconds of putting a sound under a long 4K video, copied against encoded; and of making sound with 1 thread and all.

A picture that is copied costs reading and writing; `--encode` writes the small normalised picture, which the making of
the sound needs anyway; a part between key frames is encoded in its own size. Each way of writing is timed alone: the
same sound, the same video. Threads are compared with the reduced model of :mod:`benchmarks.generation`. Processor
seconds are printed beside those of the clock, and the load of the machine with them.

Needs the program ffmpeg; some ten minutes, most of them encoding::

    python -m benchmarks.copying --output copying.json
"""

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.generation import LATENTS, How, Loaded, Setting, write_models
from benchmarks.real_files import X264, Source, make
from benchmarks.rounds import processor_seconds
from cafa.common.files import write_json
from cafa.generation.finish import Finish, finish_sound
from cafa.generation.foley import FoleyResult
from cafa.generation.new_video import NewVideo
from cafa.generation.windows import OURS
from cafa.media.codec_levels import level_for_codec
from cafa.media.new_sound import CONTAINERS
from cafa.media.normalise import NormaliseSettings, normalise_clip
from cafa.media.parts import Part

RATE = 44_100


def timed(work: Callable[[], Any]) -> dict[str, float]:
    """Seconds of the clock and of the processor, and the machine's load before."""
    load, clock, processor = os.getloadavg()[0], time.perf_counter(), processor_seconds()
    work()
    return {"seconds": time.perf_counter() - clock, "processor_seconds": processor_seconds() - processor, "load": load}


def ways_of_writing(video: Path, seconds: float, folder: Path) -> dict[str, dict[str, float]]:
    """Times of each way of writing a video with a new sound."""
    picture = folder / "picture.mp4"
    settings = NormaliseSettings(minimum_seconds=0.2, short_side=720)

    def read() -> None:
        normalise_clip(video, start=0, duration=None, settings=settings, video_output=picture, sound_output=None)

    found = {"reading for the model: decoded, made small": timed(read)}
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (2, round(seconds * RATE))).astype(np.float32)
    result = FoleyResult("noise", 0, noise, RATE, picture.read_bytes())
    sound = finish_sound(result, video, Finish())
    found["levels of the sound after its codec"] = timed(
        lambda: level_for_codec(sound.waveform, RATE, CONTAINERS[".mp4"].sound, Finish().lufs, Finish().true_peak)
    )
    ways = {
        "copied": NewVideo(video),
        "--encode: the small picture": NewVideo(video, encode=True),
        "encoded in its own size": NewVideo(video, Part(0.0, seconds, False)),
    }
    for number, (name, way) in enumerate(ways.items()):
        with way as new:
            found[name] = timed(partial(new.write, result, sound, Finish(), folder / str(number)))
    return found


def threads(folder: Path, steps: int) -> dict[str, dict[str, float]]:
    """Times of making a sound of 10 s with one thread and with all."""
    window = OURS.model_copy(update={"latents": LATENTS})
    model = Loaded(folder, write_models(folder, "reduced"), Setting(), How(window))
    found = {}
    for count in (1, os.cpu_count() or 1):
        torch.set_num_threads(count)
        model.generate([0], window, 2)  # warm up
        found[f"{count} threads"] = timed(lambda: model.generate([0], window, steps))
    return found


def show(title: str, found: dict[str, dict[str, float]], unit: str) -> None:
    """Print times, and how many times longer each takes than the one that `unit` names."""
    click.echo(f"{title:<46}{'s':>9}{'CPU s':>9}{'ratio':>9}{'CPU':>9}{'load':>7}")
    for name, times in found.items():
        ratio, processor = (times[kind] / found[unit][kind] for kind in ("seconds", "processor_seconds"))
        spent = f"{times['seconds']:>9.2f}{times['processor_seconds']:>9.2f}"
        click.echo(f"{name:<46}{spent}{ratio:>9.2f}{processor:>9.2f}{times['load']:>7.1f}")


@click.command(context_settings={"show_default": True})
@click.option("--seconds", default=61.0, help="length of the video")
@click.option("--steps", default=20, help="sampling steps of the sound")
@click.option("--output", type=click.Path(path_type=Path), help="json file for the figures")
def main(seconds: float, steps: int, output: Path | None) -> None:
    """Print seconds of each way, and ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = threads(folder / "models", steps)
        show("making 10 s of sound", made, "1 threads")
        video = make(Source("long4k.mp4", "3840x2160", "24", seconds, X264), folder)
        size = video.stat().st_size / 1e6
        written = ways_of_writing(video, seconds, folder)
        show(f"{seconds:g} s of 4K, {size:.0f} MB", written, "copied")
    if output is not None:
        write_json(output, {"seconds": seconds, "megabytes": size, "writing": written, "threads": made})


if __name__ == "__main__":
    main()
