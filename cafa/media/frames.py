"""Reading the frames of normalised clips."""

import importlib.util
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from cafa.common.errors import ClipError
from cafa.media import FRAME_RATE, frame_count
from cafa.media.container import open_media

#: Frames that decord hands over at once: each handing over takes as long as decoding half a small frame.
FRAMES_AT_ONCE = 16


def read_frames(
    path: str | Path,
    *,
    seconds: float,
    size: tuple[int, int] | None = None,
    every: int = 1,
    decoder: str | None = None,
) -> np.ndarray:
    """Read the first frames of a clip that :func:`cafa.media.normalise.normalise_clip` wrote.

    Never use it on another file: frame k is taken for the one at k / 25 s, which holds only there.

    Parameters
    ----------
    path : str or Path
        A normalised mp4.
    seconds : float
        How much to read.
    size : (int, int), optional
        Height and width; area-resized (squashed, not cropped). None: as stored.
    every : int
        Keep frames 0, `every`, 2 * `every`...; the others are decoded, since later ones need them, and dropped.
    decoder : {"decord", "pyav"}, optional
        By default decord where its wheel is installed, else PyAV; both give equal frames.

    Returns
    -------
    np.ndarray
        RGB, uint8, shape (n, height, width, 3), ``n = ceil(frame_count(seconds) / every)``.

    Raises
    ------
    ClipError
        ``missing_file``, ``corrupt``...; ``short`` if the file has fewer frames.
    """
    return read_frame_sets(path, seconds=seconds, sets=[(size, every)], decoder=decoder)[0]


def read_frame_sets(
    path: str | Path,
    *,
    seconds: float,
    sets: Sequence[tuple[tuple[int, int] | None, int]],
    decoder: str | None = None,
) -> list[np.ndarray]:
    """Read the first frames of a clip several times over, decoding them once.

    Parameters
    ----------
    path, seconds, decoder
        See :func:`read_frames`.
    sets : sequence of (size, every)
        What is wanted of the frames, each as in :func:`read_frames`.

    Returns
    -------
    list of np.ndarray
        One for each of `sets`, of the very values that :func:`read_frames` gives for it.

    Raises
    ------
    ClipError
        As :func:`read_frames`.
    """
    path = Path(path)
    decoder = decoder or ("decord" if importlib.util.find_spec("decord") else "pyav")
    wanted = frame_count(seconds)
    found: list[np.ndarray | None] = [None] * len(sets)
    count = 0
    for picture in {"decord": _decord, "pyav": _pyav}[decoder](path, wanted):
        for number, (size, every) in enumerate(sets):
            if count % every == 0:
                found[number] = _put(found[number], picture, size, count // every, -(-wanted // every))
        count += 1
    frames = [array for array in found if array is not None]
    if len(frames) < len(sets) or count < wanted:
        raise ClipError("short", f"{path}: {count} frames, {wanted} wanted ({seconds} s at {FRAME_RATE}/s)")
    return frames


def _put(
    frames: np.ndarray | None, picture: np.ndarray, size: tuple[int, int] | None, place: int, count: int
) -> np.ndarray:
    """Put a picture, resized, among `count` frames; they are made when the first one comes."""
    height, width = picture.shape[:2] if size is None else size
    if frames is None:
        frames = np.empty((count, height, width, 3), np.uint8)
    if picture.shape[:2] == (height, width):
        frames[place] = picture
    else:
        cv2.resize(picture, (width, height), frames[place], interpolation=cv2.INTER_AREA)
    return frames


def _pyav(path: Path, wanted: int) -> Iterator[np.ndarray]:
    """The first `wanted` frames, or as many as there are."""
    with open_media(path) as media:
        for frame, _ in itertools.islice(media.frames(media.stream("video"), start=0), wanted):
            yield frame.to_ndarray(format="rgb24")


def _decord(path: Path, wanted: int) -> Iterator[np.ndarray]:
    """As :func:`_pyav`, and no frame behind them is decoded: damage there is none of theirs."""
    import decord

    if not path.is_file():
        raise ClipError("missing_file", f"no file at {path}")
    narrow = False
    try:
        reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
        picture = reader.next().asnumpy()
        narrow = picture.shape[2] != 3  # below 65 pixels in width decord mixes padding into the picture
        if wanted and not narrow:
            yield picture
            end = min(wanted, len(reader))
            for first in range(1, end, FRAMES_AT_ONCE):
                yield from reader.get_batch(range(first, min(first + FRAMES_AT_ONCE, end))).asnumpy()
    except (decord.DECORDError, RuntimeError) as error:
        raise ClipError("corrupt", f"{path}: decord: {error}") from error
    if narrow:
        yield from _pyav(path, wanted)
