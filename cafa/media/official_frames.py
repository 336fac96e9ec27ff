"""Frames as the published demo of CAFA takes them from a video.

It runs ``ffmpeg -i VIDEO -r 25 -vf scale=256:256 -pix_fmt rgb24 -f rawvideo -``. As an *output* option, ``-r`` is no
filter: FFmpeg fills slots of a 25th of a second one after the other, with one frame each as long as a frame's end is
within 1.1 slots of its slot's begin. Of 30 frames per second it therefore drops one only when slots are that far
behind: from half a second on they show what was on screen 47 to 73 ms before. Read with PyAV here; equal to the pixel
to the programs of FFmpeg 5.1 and 9.0 on the clips that were compared.
"""

import math
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.filter import Graph
from av.format import Flags

from cafa.common.errors import ClipError
from cafa.media import FRAME_RATE
from cafa.media.container import Media, open_media
from cafa.media.display import orientation
from cafa.media.frame_graph import build

#: Height and width that pictures are squashed to.
SIZE = 256
#: Slots by which a frame may end early or late and still fills one slot.
TOLERANCE = 1.1
#: Places of frames on the grid of slots are rounded to this part of a slot.
STEPS = 1 << 16


class OutputRate:
    """Which frame FFmpeg's programs put into each slot of a constant output rate (``-r`` as an output option).

    Parameters
    ----------
    rate : int
        Slots per second.
    """

    def __init__(self, rate: int = FRAME_RATE) -> None:
        self._rate, self._slot = rate, 0
        self._before = deque([0, 0, 0], maxlen=3)

    def slots(self, time: Fraction, length: Fraction) -> tuple[int, int]:
        """Slots that the next frame decides.

        Parameters
        ----------
        time : Fraction
            Seconds at which the frame is shown.
        length : Fraction
            Seconds for which it is shown.

        Returns
        -------
        (int, int)
            How many slots show the frame before it, and how many then show this one.
        """
        late = _place(time * self._rate) - self._slot
        end = late + float(length * self._rate)
        if late < 0 < end:
            late = 0.0
        count, before = 1, 0
        if end < -TOLERANCE:
            count = 0
        elif end > TOLERANCE:
            count = _whole(end)
            before = min(_whole(late - 0.6), count) if late > TOLERANCE else 0
        self._slot += count
        self._before.append(before)
        return before, count - before

    def rest(self) -> int:
        """Slots at the end of the stream that show the last frame: as many as lately stood before a frame."""
        return sorted(self._before)[1]


def _place(slots: Fraction) -> float:
    """A time in slots as FFmpeg rounds it; what is between two slots is moved away from their middle."""
    place = math.floor(slots * STEPS + Fraction(1, 2)) / STEPS
    return place if place.is_integer() else place + math.copysign(0.5 / STEPS, place)


def _whole(slots: float) -> int:
    """Rounded in single precision, halves to the even number."""
    return round(float(np.float32(slots)))


class _Squash:
    """libavfilter graph: any frame in, upright RGB of :data:`SIZE` squared out; bicubic, as FFmpeg's programs scale."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._graph: Graph | None = None

    def __call__(self, frame: Any) -> np.ndarray:
        turned = orientation(frame)
        key = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range, turned)
        if self._graph is None or key != self._key:  # a stream may change its size, and FFmpeg goes on
            scale = ("scale", f"{SIZE}:{SIZE}:flags=bicubic")
            self._key, self._graph = key, build(frame, [*turned.filters, scale, ("format", "rgb24")])
        self._graph.vpush(frame)
        return self._graph.vpull().to_ndarray()


def read_official_frames(
    path: str | Path, *, frames: int, start: float = 0.0, nominal_lengths: bool = False, track: int | None = None
) -> np.ndarray:
    """First frames of a video as the published demo reads them.

    Other than FFmpeg's programs, it takes a damaged frame for an error and refuses what
    :func:`cafa.media.container.open_media` refuses.

    Parameters
    ----------
    path : str or Path
        Any video, as it was published: a normalised clip has another rate and other pixels already.
    frames : int
        How many to read at most.
    start : float
        Seconds inside the file at which the video begins, as ``ffmpeg -ss`` before ``-i`` makes it: frames that begin
        earlier are left out.
    nominal_lengths : bool
        What FFmpeg up to 6.0 did: take every frame for as long as the stream's frame rate says, and for no longer than
        a slot. It makes a difference of single slots in videos of less than 25 frames per second.

    track : int, optional
        Picture track to take, from 1; by default the one that players take (FFmpeg's programs take the largest).

    Returns
    -------
    np.ndarray
        RGB, uint8, (n, 256, 256, 3), one per 25th of a second; fewer than `frames` if the video ends. Videos that
        last 10 s at 30 frames per second have 252.

    Raises
    ------
    ClipError
        As :func:`cafa.media.container.open_media` and decoding raise; ``short`` if there is no frame at all.
    """
    pictures = np.empty((frames, SIZE, SIZE, 3), np.uint8)
    count, shown, squash = 0, None, _Squash()
    with open_media(path, {"video": track}) as media:
        for frame in _at_output_rate(media, Fraction(start).limit_denominator(10**6), nominal_lengths):
            if count == frames:
                break
            pictures[count] = pictures[count - 1] if frame is shown else squash(frame)
            count, shown = count + 1, frame
    if not count:
        raise ClipError("short", f"{path}: no frame at all from {start:.3f} s on")
    return pictures[:count]


def _begin(media: Media, stream: Any) -> int:
    """Ticks from the file's earliest stream to time 0, which in MPEG-TS, MPEG-PS and Ogg is the begin of the streams
    that are used: of the picture."""
    if not Flags(media.container.format.flags) & Flags.ts_discont or stream.start_time is None:
        return 0
    return max(stream.start_time - round(media.origin / stream.time_base), 0)


def _at_output_rate(media: Media, start: Fraction, nominal_lengths: bool) -> Iterator[Any]:
    """The frame of each slot."""
    stream = media.stream("video")
    shift = _begin(media, stream) if not start else 0
    nominal = 1 / Fraction(stream.guessed_rate) if stream.guessed_rate else Fraction(0)
    rate, last = OutputRate(), None
    for frame, time in media.frames(stream, start):
        time -= shift
        if time < 0:
            continue
        length = (frame.duration or 0) * stream.time_base
        if nominal_lengths:
            length = min(nominal, Fraction(1, FRAME_RATE))
        frame.time_base = stream.time_base
        before, own = rate.slots(time * stream.time_base, length or nominal)
        for _ in range(before):
            yield frame if last is None else last
        for _ in range(own):
            yield frame
        last = frame
    for _ in range(rate.rest()):
        yield last
