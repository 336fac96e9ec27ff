"""Files judged by all judges: decoded once for all, against each judge opening the file for itself.

    OMP_NUM_THREADS=1 python benchmarks/judges.py --clips FOLDER [--seconds 8] [--repeat 3]
    OMP_NUM_THREADS=1 python benchmarks/judges.py --networks --most 2 --repeat 1

Without networks: up to the arrays that they take, which are checked to be the same both ways. With ``--networks`` the
whole stage: decoding, front ends, and the networks at their published sizes (untrained: speed does not depend on
values); of a clip its sound and, by ``--sight``, its picture, which both ways is looked at once for all systems. Files
of a folder (mp4, wav, flac) are taken in turn; the ways take turns too, so that a busy machine slows both. Prints clips
per CPU second and their ratio. Without a folder, files of 8 s (mp4, stereo, 44.1 kHz, 640x360) are made.
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
import torch

from cafa.models.encoders.synchformer_network import SynchformerVisual
from metrics.encoders.clap.encoders import ClapAudioEncoder, ClapNetwork, clap_config
from metrics.encoders.imagebind.encoders import ImageBindAudioEncoder, ImageBindVisionEncoder
from metrics.encoders.imagebind.network import ImageBindAudio, ImageBindVision
from metrics.encoders.panns import Cnn14, PannsEncoder
from metrics.encoders.synchformer.audio_network import SynchformerAudio
from metrics.encoders.synchformer.encoders import SynchformerAudioEncoder, SynchformerJudge, SynchformerVideoEncoder
from metrics.encoders.synchformer.offset_network import SynchformerOffset
from metrics.judges.media import decode_whole_sound, fill_up
from metrics.judges.published import RealJudges
from metrics.judges.published_judge import PublishedJudge
from metrics.judges.published_judges.clap import ClapJudge
from metrics.judges.published_judges.classifier import ClassifierJudge
from metrics.judges.published_judges.imagebind import ImageBindJudge
from metrics.judges.published_judges.synchformer import OffsetJudge

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


def untrained() -> dict[str, PublishedJudge]:
    """Networks of the published sizes; 5 GB."""
    torch.manual_seed(0)
    clap = ClapNetwork(clap_config())
    return {
        "classifier": ClassifierJudge(PannsEncoder(Cnn14(16000).eval(), 16000, "")),
        "clap": ClapJudge(ClapAudioEncoder(clap.eval(), ""), None, "none"),
        "imagebind": ImageBindJudge(
            ImageBindAudioEncoder(ImageBindAudio().eval(), ""),
            ImageBindVisionEncoder(ImageBindVision().eval(), ""),
            "none",
        ),
        "synchformer": OffsetJudge(
            SynchformerAudioEncoder(SynchformerAudio().eval(), ""),
            SynchformerVideoEncoder(SynchformerVisual().eval(), ""),
            SynchformerJudge(SynchformerOffset().eval(), ""),
            "none",
        ),
    }


def whole_stage(paths: list[Path], seconds: float, repeat: int, sight: bool) -> dict[str, float]:
    """CPU seconds per clip by way, networks included."""
    panel = RealJudges(untrained(), seconds)
    every = list(panel.judges)
    none = {"synchformer_video": np.zeros((24, 8, 768), np.float32)}

    def once(path: Path) -> None:
        video = panel.embed_video(panel.decode_video(path)) if sight else none
        panel.embed_audio([panel.prepare_audio(path, every)], [video], every)

    def for_each(path: Path) -> None:
        # The picture of a clip is decoded once for both judges that look at it, as in av-benchmark.
        video = panel.embed_video(panel.decode_video(path)) if sight else none
        for judge in every:
            panel.embed_audio([panel.prepare_audio(path, [judge])], [video], [judge])

    ways: dict[str, Callable[[Path], None]] = {"once": once, "for each judge": for_each}
    spent = dict.fromkeys(ways, 0.0)
    for number in range(repeat + 1):
        for path in paths[: None if number else 1]:
            for name, way in ways.items():
                begun = time.process_time()
                way(path)
                spent[name] += (time.process_time() - begun) * (number > 0)  # the first round warms up
    return {name: total / (repeat * len(paths)) for name, total in spent.items()}


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
    parser.add_argument("--most", type=int, default=10, help="files that are taken at most")
    parser.add_argument("--networks", action="store_true", help="the whole stage, networks included")
    parser.add_argument("--sight", action="store_true", help="with --networks: look at the clips' pictures as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.clips is None:
            paths = [Path(folder) / f"{number}.mp4" for number in range(options.most)]
            for number, path in enumerate(paths):
                make_clip(path, number, options.seconds)
        else:
            files = sorted(p for p in options.clips.iterdir() if p.suffix in (".mp4", ".wav", ".flac"))
            paths = files[: options.most]
        if options.networks:
            cost = whole_stage(paths, options.seconds, options.repeat, options.sight)
        else:
            cost = measure(paths, options.seconds, options.repeat)
    for name, seconds in cost.items():
        print(f"decoded {name:<15} {1 / seconds:10.4f} clips per CPU second ({seconds:.3f} s a clip)")
    print(f"ratio {cost['for each judge'] / cost['once']:.2f}, {len(paths)} clips, {options.repeat} rounds")


if __name__ == "__main__":
    main()
