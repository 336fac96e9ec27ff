"""Files judged by all judges: decoded once for all, against each judge opening the file for itself.

    python -m benchmarks.judges
    python -m benchmarks.judges --clips FOLDER
    python -m benchmarks.judges --size full --most 2 --rounds 1

Reduced: up to the arrays that the networks take, which are checked to be the same both ways. Full: the whole stage,
that is decoding, front ends, and the networks at their published sizes on the CPU (untrained: speed does not depend
on values; 5 GB for each way); of a clip its sound and, by ``--sight``, its picture, which both ways is looked at once
for all systems. Each way has a process of its own. Without a folder of files (mp4, wav, flac), some of 8 s are made
(mp4, stereo, 44.1 kHz, 640x360).
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.report import Comparison, Report, finish, options, row, seconds_of
from benchmarks.rounds import Turn, Way, apart, measure
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
from tests.written_video import write_video_of

Arrays = dict[str, np.ndarray]
#: Files, and seconds of each.
SIZES = {"tiny": (1, 2.0), "reduced": (10, 8.0), "full": (2, 8.0)}
ONCE, FOR_EACH = "decoded once for all", "decoded by each judge"


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
    still = generator.integers(0, 256, (360, 640, 3), dtype=np.uint8)
    pictures = (np.roll(still, 8 * index, axis=1) for index in range(round(25 * seconds)))
    sound = 0.1 * generator.standard_normal((2, round(44100 * seconds)))
    write_video_of(path, pictures, 25, (sound, 44100), {"preset": "ultrafast"})


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


def arrays_in_turns(decode: Callable[..., Arrays], paths: list[Path], seconds: float, turns: Iterator[Turn]) -> None:
    """What the networks take of all files in each turn; its digest is the turn's value."""
    judges = listeners()
    for turn in turns:
        digest = hashlib.sha256()
        for path in paths:
            for name, array in decode(path, judges, seconds).items():
                digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
        turn.value = digest.hexdigest()


def stage_in_turns(apart: bool, paths: list[Path], seconds: float, sight: bool, turns: Iterator[Turn]) -> None:
    """Embeddings of all files in each turn; one file warms up."""
    panel = RealJudges(untrained(), seconds)
    every = list(panel.judges)
    none = {"synchformer_video": np.zeros((24, 8, 768), np.float32)}
    for turn in turns:
        for path in paths[: 1 if turn.warms_up else None]:
            # The picture of a clip is decoded once for both judges that look at it, as in av-benchmark.
            video = panel.embed_video(panel.decode_video(path)) if sight else none
            for judges in [[judge] for judge in every] if apart else [every]:
                panel.embed_audio([panel.prepare_audio(path, judges)], [video], judges)


def files(folder: Path | None, most: int, seconds: float, made: Path) -> list[Path]:
    """Files of a folder, or files that are made."""
    if folder is not None:
        found = sorted(path for path in folder.iterdir() if path.suffix in (".mp4", ".wav", ".flac"))[:most]
        if not found:
            raise click.ClickException("the folder has no mp4, wav or flac")
        return found
    paths = [made / f"{number}.mp4" for number in range(most)]
    for number, path in enumerate(paths):
        apart(partial(make_clip, path, number, seconds))
    return paths


def compare(paths: list[Path], seconds: float, networks: bool, sight: bool, rounds: int) -> Comparison:
    """Both ways, in turns."""
    if networks:
        works = {name: partial(stage_in_turns, name == FOR_EACH, paths, seconds, sight) for name in (FOR_EACH, ONCE)}
    else:
        decoders = {FOR_EACH: decode_for_each, ONCE: decode_once}
        works = {name: partial(arrays_in_turns, decode, paths, seconds) for name, decode in decoders.items()}
    ways = [Way(name, work, len(paths)) for name, work in works.items()]
    taken = measure(ways, rounds)
    if len({turn.value for turns in taken.values() for turn in turns}) > 1:
        raise click.ClickException("the ways do not give the same arrays")
    peer = seconds_of(ways[0], taken[FOR_EACH], "processor")
    goals = {} if networks else {ONCE: "4 times"}
    return Comparison(
        title=f"A file of {seconds:g} s for four judges, "
        + ("networks included" if networks else "up to the networks"),
        compared_with="each judge opens the file for itself, as where every metric is a package of its own",
        unit="file",
        clock="processor",
        rows=tuple(row(way, taken[way.name], peer, "processor", goals.get(way.name, "")) for way in ways),
        note="" if networks else "The arrays are the same both ways, bit for bit.",
    )


@click.command()
@options(list(SIZES), rounds=7)
@click.option("--clips", type=click.Path(path_type=Path, exists=True, file_okay=False), help="files to judge")
@click.option("--seconds", type=float, help="of each file  [default: 8]")
@click.option("--most", type=int, help="files that are taken at most  [default: 10; full size: 2]")
@click.option("--sight", is_flag=True, help="at full size: look at the clips' pictures as well")
def main(
    size: str,
    rounds: int,
    output: Path | None,
    clips: Path | None,
    seconds: float | None,
    most: int | None,
    sight: bool,
) -> Report:
    """CPU seconds of a file both ways, and their ratio."""
    most, seconds = most or SIZES[size][0], seconds or SIZES[size][1]
    with tempfile.TemporaryDirectory() as folder:
        paths = files(clips, most, seconds, Path(folder))
        comparison = compare(paths, seconds, size == "full", sight, rounds)
    settings = {"files": len(paths), "seconds": seconds, "made_here": clips is None, "sight": sight}
    return finish("judges", size, "cpu", rounds, settings, [comparison], output)


if __name__ == "__main__":
    main()
