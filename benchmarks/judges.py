"""Sound on its way to four judges: decoded once for all, against each judge opening the file for itself.

    OMP_NUM_THREADS=1 python benchmarks/judges.py --clips FOLDER [--seconds 8] [--repeat 3]

Both ways end with the same arrays, ready for the networks, which is checked. Files of a folder (mp4, wav, flac) are
taken in turn; the ways take turns too, so that a busy machine slows both. Prints clips per CPU second and their ratio.
Without a folder, ten files of 8 s (mp4, stereo, 44.1 kHz, 640x360) are made. What networks cost is the same either way
and is left out: with it the ratio of the whole stage is nearer to 1 (``--network-seconds`` adds what one clip costs).
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from metrics.encoders.clap import ClapAudioEncoder
from metrics.encoders.imagebind import ImageBindAudioEncoder
from metrics.encoders.panns import PannsEncoder
from metrics.encoders.synchformer import SynchformerAudioEncoder
from metrics.evaluation_media import decode_whole_sound, fill_up

Arrays = dict[str, np.ndarray]


def listeners() -> dict[str, Any]:
    """The judges' rules for sound; they need no network."""
    nothing: Any = None
    return {
        "classifier": PannsEncoder(nothing, 16000, ""),
        "clap": ClapAudioEncoder(nothing, ""),
        "imagebind": ImageBindAudioEncoder(nothing, ""),
        "synchformer": SynchformerAudioEncoder(nothing, ""),
    }


def decode_once(path: Path, judges: dict[str, Any], seconds: float) -> Arrays:
    samples, rate = decode_whole_sound(path)
    samples = fill_up(samples, rate, seconds)
    return {name: judge.prepare(samples, rate, seconds) for name, judge in judges.items()}


def decode_for_each(path: Path, judges: dict[str, Any], seconds: float) -> Arrays:
    found = {}
    for name, judge in judges.items():
        samples, rate = decode_whole_sound(path)
        found[name] = judge.prepare(fill_up(samples, rate, seconds), rate, seconds)
    return found


def make_clip(path: Path, number: int, seconds: float) -> None:
    generator = np.random.default_rng(number)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        picture.width, picture.height, picture.pix_fmt = 640, 360, "yuv420p"
        track = container.add_stream("aac", rate=44100, layout="stereo")
        still = generator.integers(0, 256, (360, 640, 3), dtype=np.uint8)
        for index in range(round(25 * seconds)):
            frame = av.VideoFrame.from_ndarray(np.roll(still, 8 * index, axis=1))
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        sound = 0.1 * generator.standard_normal((2, round(44100 * seconds)))
        frame = av.AudioFrame.from_ndarray(sound.astype(np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
        container.mux(track.encode(frame))
        container.mux(track.encode(None))


def measure(paths: list[Path], seconds: float, repeat: int) -> dict[str, float]:
    """CPU seconds per clip by way."""
    judges = listeners()
    ways: dict[str, Callable[..., Arrays]] = {"once": decode_once, "for each judge": decode_for_each}
    spent = dict.fromkeys(ways, 0.0)
    for number in range(repeat + 1):
        for path in paths:
            results = []
            for name, way in ways.items():
                begun = time.process_time()
                results.append(way(path, judges, seconds))
                spent[name] += (time.process_time() - begun) * (number > 0)  # the first round warms up
            assert all(np.array_equal(results[0][name], results[1][name]) for name in judges)
    return {name: total / (repeat * len(paths)) for name, total in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--network-seconds", type=float, default=0.0, help="CPU seconds of all networks for a clip")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.clips is None:
            paths = [Path(folder) / f"{number}.mp4" for number in range(10)]
            for number, path in enumerate(paths):
                make_clip(path, number, options.seconds)
        else:
            paths = sorted(p for p in options.clips.iterdir() if p.suffix in (".mp4", ".wav", ".flac"))
        cost = measure(paths, options.seconds, options.repeat)
    cost = {name: seconds + options.network_seconds for name, seconds in cost.items()}
    for name, seconds in cost.items():
        print(f"decoded {name:<15} {1 / seconds:8.2f} clips per CPU second")
    print(f"ratio {cost['for each judge'] / cost['once']:.2f}, {len(paths)} clips, {options.repeat} rounds")


if __name__ == "__main__":
    main()
