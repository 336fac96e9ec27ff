"""Files of unknown origin on their way to the judges: each is opened and decoded once."""

import math
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from cafa.common.errors import ClipError
from cafa.media.container import open_media
from cafa.media.damage import DAMAGED_SHARE
from cafa.media.display import square_size
from cafa.media.frame_graph import Grid, ShownFrames
from cafa.media.sound import ENOUGH, decode_sound, to_float
from cafa.media.wide_colour import colour_filters

#: Seconds by which a picture may end early; its last frame is held. Containers round the ends of their streams.
HELD_SECONDS = Fraction(2, 25)


def decode_whole_sound(path: Path) -> tuple[np.ndarray, int]:
    """All sound of a file.

    Returns
    -------
    numpy.ndarray
        float32, shape (channels, samples), full scale 1, time 0 of the file at sample 0.
    int
        Samples per second.

    Raises
    ------
    ClipError
        As :func:`cafa.media.sound.decode_sound`.
    """
    with open_media(path) as media:
        sound = decode_sound(media, Fraction(0), None)
    return to_float(sound.samples), sound.sample_rate


def fill_up(samples: np.ndarray, rate: int, seconds: float) -> np.ndarray:
    """Append silence where up to 2 % of `seconds` are missing (a codec's last frame).

    Raises
    ------
    ClipError
        ``short`` if more is missing.
    """
    wanted, present = math.ceil(seconds * rate), samples.shape[-1]
    if present < ENOUGH * wanted:
        raise ClipError("short", f"{present / rate:.3f} s of sound, {seconds:g} s are scored")
    return np.pad(samples, [(0, 0)] * (samples.ndim - 1) + [(0, max(wanted - present, 0))])


def sample_frames(
    path: Path, counts: Mapping[Fraction, int], resize: Callable[[np.ndarray], np.ndarray], start: float = 0.0
) -> dict[Fraction, np.ndarray]:
    """Frames of a file at several constant rates, from one decoding.

    Frames are those of FFmpeg's ``fps`` filter, on a grid that begins at `start`, counted from the file's time 0, which
    the sound shares.

    Parameters
    ----------
    path : path
    counts : mapping of Fraction to int
        Frames per second -> number of frames.
    resize : callable
        From a frame, uint8 RGB (height, width, 3), to one that is kept: only kept frames are held in memory.
    start : float
        Seconds.

    Returns
    -------
    dict of Fraction to numpy.ndarray
        rate -> uint8 RGB, shape (count, height, width, 3).

    Raises
    ------
    ClipError
        ``no_video``, ``corrupt`` (more damage than :data:`cafa.media.damage.DAMAGED_SHARE`)...; ``short`` if more than
        0.08 s are missing.
    """
    kept: dict[Fraction, list[np.ndarray]] = {rate: [] for rate in counts}

    def missing() -> list[Fraction]:
        return [rate for rate, count in counts.items() if len(kept[rate]) < count]

    with open_media(path) as media:
        shown = ShownFrames(media, Fraction(start).limit_denominator(10**6))
        for rate, frame in _frames_at(shown, list(counts)):
            if len(kept[rate]) < counts[rate]:
                kept[rate].append(resize(frame))
            if not missing():
                break
        shown.damage.check(DAMAGED_SHARE, "video")
    for rate in missing():
        lacking = counts[rate] - len(kept[rate])
        if not kept[rate] or lacking > HELD_SECONDS * rate:
            raise ClipError("short", f"{len(kept[rate])} frames at {float(rate):g} frames/s, {counts[rate]} are scored")
        kept[rate] += [kept[rate][-1]] * lacking
    return {rate: np.stack(frames) for rate, frames in kept.items()}


def _frames_at(shown: ShownFrames, rates: list[Fraction]) -> Iterator[tuple[Fraction, np.ndarray]]:
    grids: dict[Fraction, Grid] = {}
    for frame in shown:
        grids = grids or {rate: _grid(shown, frame, rate) for rate in rates}
        for rate, grid in grids.items():
            yield from ((rate, picture.to_ndarray()) for picture in grid.push(frame))
    for rate, grid in grids.items():
        yield from ((rate, picture.to_ndarray()) for picture in grid.push(None))


def _grid(shown: ShownFrames, frame: Any, rate: Fraction) -> Grid:
    """What makes frames of the source those that the judges see."""
    size = square_size(frame, shown.aspect)
    shape = [] if size == (frame.width, frame.height) else [("scale", f"{size[0]}:{size[1]}:flags=bicubic")]
    with colour_filters(shown.colour) as wide:
        # Turned last: a picture of RGB can be turned without a loss.
        return Grid(frame, rate, [*shape, *wide, ("format", "rgb24"), *shown.orientation.filters])
