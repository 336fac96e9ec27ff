"""Picture: from any source to constant-rate H.264 that every decoder reads alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import av.error
from av.filter import Graph
from av.video.reformatter import ColorRange
from pydantic import BaseModel, ConfigDict, Field

from cafa.errors import ClipError
from cafa.media import FRAME_RATE
from cafa.media.container import Media

Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]
#: FFmpeg's numbers of the colour matrices that are BT.601 (unspecified counts as such, BT.470 BG is the
#: same): a reader that ignores the tag gives the same colours.
SMPTE170M = 6
BT601 = (2, 5, SMPTE170M)
SMALLEST_SIDE = 16  # one macroblock


class PictureSettings(BaseModel):
    """How pictures are written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    short_side: int = Field(256, ge=32, description="pixels of the shorter side; smaller pictures stay")
    crf: int = Field(18, ge=0, le=51, description="x264 constant rate factor: lower is better")
    preset: Preset = Field("veryfast", description="x264 preset: time against size")
    gop: int = Field(FRAME_RATE, ge=1, description="frames from one key frame to the next, at most")


@dataclass(frozen=True)
class Picture:
    """What was written.

    Attributes
    ----------
    frames : int
        Frames written, the held ones included.
    held : int
        Frames at the end that repeat the last one since the source had none.
    delay : float
        Seconds by which the source's first frame is late; the first frame is shown before it.
    end : float
        Seconds from the window's start to the end of the source's last decoded frame.
    last : float
        Seconds from the window's start to the time stamp of the source's last decoded frame.
    ended : bool
        Whether the stream was read to its end.
    width, height : int
        Pixels, as written.
    source : dict
        Facts of the source: codec, width, height, rotation (degrees, clockwise), frame_rate.
    """

    frames: int
    held: int
    delay: float
    end: float
    last: float
    ended: bool
    width: int
    height: int
    source: dict[str, Any]


def _even(pixels: float) -> int:
    return 2 * max(round(pixels / 2), 1)


def _rotation(frame: Any) -> int:
    """Degrees, clockwise, by which the frame must be turned to stand upright: 0, 90, 180 or 270."""
    return round(-frame.rotation / 90) % 4 * 90


class _Conversion:
    """libavfilter graph: frames of the source in, frames at :data:`FRAME_RATE` and of the final size out."""

    def __init__(self, frame: Any, time_base: Fraction, short_side: int) -> None:
        self.rotation = _rotation(frame)
        width, height = frame.width, frame.height
        if self.rotation in (90, 270):
            width, height = height, width
        scale = min(short_side / min(width, height), 1)
        self.width, self.height = _even(width * scale), _even(height * scale)
        self._time_base = time_base
        self._graph = self._build(frame, (width, height))

    def _build(self, frame: Any, upright: tuple[int, int]) -> Graph:
        graph = Graph()
        graph.threads = 1
        source = (
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
            f":time_base={self._time_base.numerator}/{self._time_base.denominator}"
            f":colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
        )
        # start_time=0: the grid begins at the window's start, where the frame on screen then is shown.
        chain = [graph.add("buffer", source), graph.add("fps", f"fps={FRAME_RATE}:start_time=0")]
        turns = {90: ["transpose=clock"], 180: ["hflip", "vflip"], 270: ["transpose=cclock"]}
        for turn in turns.get(self.rotation, []):
            name, _, argument = turn.partition("=")
            chain.append(graph.add(name, argument or None))
        as_it_is = (
            upright == (self.width, self.height)
            and frame.format.name == "yuv420p"
            and frame.color_range != ColorRange.JPEG
            and frame.colorspace in BT601
        )
        if not as_it_is:
            size = f"{self.width}:{self.height}:flags=bicubic"
            chain.append(graph.add("scale", f"{size}:out_color_matrix=smpte170m:out_range=tv"))
            chain.append(graph.add("format", "yuv420p"))
        chain.append(graph.add("buffersink"))
        graph.link_nodes(*chain).configure()
        return graph

    def push(self, frame: Any | None) -> Iterator[Any]:
        """Put one frame in (None: the end) and take out those that are then certain."""
        self._graph.vpush(frame)
        while True:
            try:
                yield self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


class _Writer:
    """H.264 in mp4: constant rate, closed groups, no reordering (so no edit list), index in front."""

    def __init__(self, path: Path, width: int, height: int, settings: PictureSettings) -> None:
        self._container = av.open(
            str(path),
            "w",
            format="mp4",
            options={"movflags": "+faststart", "fflags": "+bitexact"},
        )
        options = {"preset": settings.preset, "crf": str(settings.crf), "flags": "+cgop+bitexact", "bf": "0"}
        self._stream = self._container.add_stream("libx264", rate=FRAME_RATE, options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        context = self._stream.codec_context
        context.thread_count = 1  # more threads: other bytes
        context.gop_size = settings.gop
        context.colorspace, context.color_range = SMPTE170M, ColorRange.MPEG
        self._time_base = Fraction(1, FRAME_RATE)
        self.frames = 0

    def write(self, frame: Any) -> None:
        frame.pts, frame.time_base = self.frames, self._time_base
        frame.pict_type = 0  # the source's key frames are not ours
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        if self.frames:
            self._container.mux(self._stream.encode(None))
        self._container.close()


class _Source:
    """Frames of a window as they will be written, and what was seen on the way."""

    def __init__(self, media: Media, start: Fraction, short_side: int) -> None:
        self._media, self._start, self._short_side = media, start, short_side
        self._stream = media.stream("video")
        self.facts: dict[str, Any] = {}
        self.first = self.last = self.end = 0.0
        self.ended = False

    def frames(self) -> Iterator[Any]:
        """Converted frames, one per 25th of a second."""
        conversion = None
        time_base, tick = self._stream.time_base, float(self._stream.time_base)
        for frame, time in self._media.frames(self._stream, self._start):
            if conversion is None:
                self._describe(frame)
                conversion = _Conversion(frame, time_base, self._short_side)
                self.first = time * tick
            self.last = time * tick
            self.end = (time + (frame.duration or 0)) * tick
            if frame.is_corrupt and self.last >= 0:
                raise ClipError("corrupt", f"the frame at {self.last:.3f} s is damaged")
            frame.pts, frame.time_base = time, time_base
            yield from conversion.push(frame)
        self.ended = True
        if conversion is not None and self.end > 0:
            yield from conversion.push(None)

    def _describe(self, frame: Any) -> None:
        if min(frame.width, frame.height) < SMALLEST_SIDE:
            raise ClipError("no_video", f"the picture is {frame.width}x{frame.height} pixels")
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.facts = {
            "codec": self._stream.codec_context.name,
            "width": frame.width,
            "height": frame.height,
            "rotation": _rotation(frame),
            "frame_rate": str(rate) if rate else None,
        }


def write_picture(
    media: Media, output: Path, *, start: Fraction, frames: int | None, hold: int, settings: PictureSettings
) -> Picture:
    """Write the picture of a window: for every 25th of a second the frame that FFmpeg's `fps` filter gives.

    Parameters
    ----------
    media : Media
        An open file.
    output : Path
        Written directly: the caller makes it appear whole.
    start : Fraction
        Seconds from the file's earliest stream to the window.
    frames : int, optional
        Frames to write at most. None: to the end of the stream.
    hold : int
        How often the last frame may be repeated to reach `frames`.
    settings : PictureSettings
        Size and encoder.

    Raises
    ------
    ClipError
        ``no_video``, ``corrupt``, ``unreadable``, or ``short`` if the window holds no frame.
    """
    source = _Source(media, start, settings.short_side)
    writer: _Writer | None = None
    held = 0
    try:
        for frame in source.frames():
            writer = writer or _Writer(output, frame.width, frame.height, settings)
            writer.write(frame)
            if writer.frames == frames:
                break
        if writer is None:
            raise ClipError("short", f"no frame at all from {float(start):.3f} s on")
        while held < hold and writer.frames < (frames or 0):
            writer.write(frame)
            held += 1
    finally:
        if writer is not None:
            writer.close()
    return Picture(
        frames=writer.frames,
        held=held,
        delay=max(source.first, 0.0),
        end=source.end,
        last=source.last,
        ended=source.ended,
        width=frame.width,
        height=frame.height,
        source=source.facts,
    )
