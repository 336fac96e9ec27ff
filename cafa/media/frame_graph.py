"""From a film's stored frames to those that a player shows, on a constant grid of time: one place for every reader."""

from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av.error
from av.filter import Graph

from cafa.media.container import Media
from cafa.media.damage import Damage
from cafa.media.display import Orientation, name_matrix, orientation, pixel_aspect, square_size
from cafa.media.wide_colour import colour_of

#: A filter of FFmpeg and its arguments.
Filter = tuple[str, str | dict[str, str] | None]


class ShownFrames:
    """Frames of the picture that players take: deinterlaced, their colour matrix named, times from `start` on.

    Parameters
    ----------
    media : Media
        An open file.
    start : Fraction
        Seconds from the file's earliest stream to time 0.

    Attributes
    ----------
    orientation, aspect, assumed, colour
        Of the first frame: how to bring it upright, the shape of its pixels, whether its colour matrix was assumed, and
        what :func:`cafa.media.wide_colour.colour_of` says.
    first, last, end : float
        Seconds: times of the first and of the last decoded frame, and when the latter ends.
    ended : bool
        Whether the stream was read to its end.
    damage : Damage
        Frames that could not be decoded and are left out; whoever reads asks it to `check` at the end.
    """

    def __init__(self, media: Media, start: Fraction) -> None:
        self._media, self._start = media, start
        self.stream = media.stream("video")
        self.orientation, self.aspect = Orientation(), pixel_aspect(self.stream)
        self.assumed = False
        self.colour: tuple[int, str] | None = None
        self.first = self.last = self.end = 0.0
        self.ended, self.damage = False, Damage()
        self._deinterlacer = _Deinterlacer()

    @property
    def interlaced(self) -> int:
        """Frames that were deinterlaced."""
        return self._deinterlacer.frames

    def square_size(self, frame: Any) -> tuple[int, int]:
        """Width and height of the upright picture with square pixels."""
        return self.orientation.sides(*square_size(frame, self.aspect))

    def __iter__(self) -> Iterator[Any]:
        """Frames in the order of their times; iterate once.

        Raises
        ------
        ClipError
            ``corrupt`` or ``unreadable``.
        """
        time_base, tick = self.stream.time_base, float(self.stream.time_base)
        begun = False
        for frame, time in self._media.frames(self.stream, self._start, self.damage):
            self.last = time * tick
            self.end = (time + (frame.duration or 0)) * tick
            assumed = name_matrix(frame)
            if not begun:
                begun = True
                self.first, self.assumed = self.last, assumed
                self.orientation, self.colour = orientation(frame), colour_of(frame)
            frame.pts, frame.time_base = time, time_base
            yield from self._deinterlacer.push(frame)
        self.ended = True
        yield from self._deinterlacer.push(None)


class _Deinterlacer:
    """One frame for each: those flagged as interlaced lose their combing, all others pass as they are."""

    def __init__(self) -> None:
        self._graph: Graph | None = None  # made for the first flagged frame: most films have none
        self._times: deque[tuple[int, int, Fraction] | None] = deque()
        self._before: Any | None = None
        self.frames = 0

    def push(self, frame: Any | None) -> Iterator[Any]:
        """Put one frame in (None: the end) and take out those that are then certain."""
        flagged = frame is not None and frame.interlaced_frame
        self.frames += flagged
        if self._graph is None:
            if not flagged:
                self._before = frame
                if frame is not None:
                    yield frame
                return
            self._graph = build(frame, [("bwdif", "mode=send_frame:parity=auto:deint=interlaced")])
            if self._before is not None:  # motion is detected from the frames before and after
                self._graph.vpush(self._before)
                self._times.append(None)
        if frame is not None:
            self._times.append((frame.pts, frame.duration, frame.time_base))
        for shown in _through(self._graph, frame):
            # The filter counts in half ticks; the time line stays the file's own.
            times = self._times.popleft()
            if times is not None:
                shown.pts, shown.duration, shown.time_base = times
                yield shown


class Grid:
    """Frames at a constant rate: for each point of time the frame that FFmpeg's ``fps`` filter shows.

    Parameters
    ----------
    frame : av.VideoFrame
        The first one, of :class:`ShownFrames`.
    rate : Fraction
        Frames per second.
    filters : sequence of (str, str, dict or None)
        What is then done to each frame: filters of FFmpeg with their arguments, by name where they need no quotes.
    """

    def __init__(self, frame: Any, rate: Fraction, filters: Sequence[Filter]) -> None:
        # start_time=0: the grid begins at the window's start, where the frame on screen then is shown.
        self._graph = build(frame, [("fps", f"fps={rate.numerator}/{rate.denominator}:start_time=0"), *filters])

    def push(self, frame: Any | None) -> Iterator[Any]:
        """Put one frame in (None: the end) and take out those that are then certain."""
        return _through(self._graph, frame)


def build(frame: Any, filters: Sequence[Filter]) -> Graph:
    """A chain of filters for frames like this one, in one thread.

    Parameters
    ----------
    frame : av.VideoFrame
        With its time base.
    filters : sequence of (str, str, dict or None)
    """
    graph = Graph()
    graph.threads = 1
    source = (
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
        f":time_base={frame.time_base.numerator}/{frame.time_base.denominator}"
        f":colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
    )
    chain = [graph.add("buffer", source), *(_added(graph, *named) for named in filters)]
    graph.link_nodes(*chain, graph.add("buffersink")).configure()
    return graph


def _added(graph: Graph, name: str, arguments: str | dict[str, str] | None) -> Any:
    return graph.add(name, **arguments) if isinstance(arguments, dict) else graph.add(name, arguments)


def _through(graph: Graph, frame: Any | None) -> Iterator[Any]:
    graph.vpush(frame)
    while True:
        try:
            yield graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
