"""Picture: from any source to constant-rate H.264 that every decoder reads alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
from av.video.reformatter import ColorRange
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import ClipError
from cafa.media import FRAME_RATE
from cafa.media.container import Media
from cafa.media.damage import DAMAGED_SHARE, Damage
from cafa.media.display import BT709, ratio
from cafa.media.frame_graph import Filter, Grid, ShownFrames
from cafa.media.wide_colour import ACCURATE, colour_filters, name_of

Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]
#: FFmpeg's numbers of the colour matrices that are BT.601 (unspecified counts as such, BT.470 BG is the
#: same): a reader that ignores the tag gives the same colours.
SMPTE170M = 6
BT601 = (2, 5, SMPTE170M)
#: FFmpeg's exact way from BT.709 to BT.601: one matrix of Y'CbCr, from 10 bits to 8. Its scaler goes by way of R'G'B'
#: of 8 bits: it takes longer, rounds twice and cuts colours that only the next reader should cut.
TO_BT601 = (
    "ispace=bt709:iprimaries=bt709:itrc=bt709:irange=tv:"
    "space=smpte170m:primaries=bt709:trc=bt709:range=tv:fast=1:format=yuv420p"
)
SMALLEST_SIDE = 16  # one macroblock


class PictureSettings(BaseModel):
    """How pictures are written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    short_side: int = Field(256, ge=32, description="pixels of the shorter side; smaller pictures stay")
    crf: int = Field(18, ge=0, le=51, description="x264 constant rate factor: lower is better")
    preset: Preset = Field("superfast", description="x264 preset: time against size")
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
    damage : Damage
        What was lost on the way.
    source : dict
        Facts of the source: codec, width, height, rotation (degrees, clockwise), frame_rate; and only where it is so:
        mirrored (left and right were exchanged before the turn), pixel_aspect (width over height of a pixel),
        interlaced_frames (deinterlaced ones), colour (what was taken for granted, or converted).
    """

    frames: int
    held: int
    delay: float
    end: float
    last: float
    ended: bool
    width: int
    height: int
    damage: Damage
    source: dict[str, Any]


def _even(pixels: float) -> int:
    return 2 * max(round(pixels / 2), 1)


def _size(shown: ShownFrames, frame: Any, short_side: int) -> tuple[int, int]:
    """Width and height as written: upright, of square pixels, even, never larger than the source."""
    width, height = shown.square_size(frame)
    scale = min(short_side / min(width, height), 1)
    return _even(width * scale), _even(height * scale)


def _grid(shown: ShownFrames, frame: Any, size: tuple[int, int]) -> Grid:
    """What makes frames of the source those of the written clip."""
    turned: list[Filter] = [*shown.orientation.filters]
    out = "out_color_matrix=smpte170m:out_range=tv"
    resized = f"{size[0]}:{size[1]}:flags={ACCURATE if shown.assumed else 'bicubic'}"
    as_it_is = (
        shown.orientation.sides(frame.width, frame.height) == size
        and frame.format.name == "yuv420p"
        and frame.color_range != ColorRange.JPEG
        and frame.colorspace in BT601
    )
    with colour_filters(shown.colour) as wide:
        if wide:
            filters = [("scale", resized), *wide, ("scale", f"flags={ACCURATE}:{out}"), ("format", "yuv420p")]
        elif as_it_is:
            filters = []
        elif frame.colorspace == BT709 and not frame.format.is_rgb:
            filters = [("scale", f"{resized}:out_range=tv"), ("format", "yuv420p10le"), ("colorspace", TO_BT601)]
        else:
            filters = [("scale", f"{resized}:{out}"), ("format", "yuv420p")]
        return Grid(frame, Fraction(FRAME_RATE), [*turned, *filters])


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
        options["coder"] = "cavlc"  # a tenth larger than with CABAC, but read in two thirds of the time, and often
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
    """Frames of a window as they will be written, and what was found on the way."""

    def __init__(self, media: Media, start: Fraction, short_side: int) -> None:
        self.shown = ShownFrames(media, start)
        self._short_side = short_side
        self._facts: dict[str, Any] = {}

    def reaches(self, frames: int, missing: int) -> bool:
        """Whether the last frame is at most `missing` frames early for a picture of so many."""
        wanted, early = frames / FRAME_RATE, missing / FRAME_RATE
        return self.shown.last >= wanted - early or self.shown.end >= wanted - early / 2

    def frames(self) -> Iterator[Any]:
        """Converted frames, one per 25th of a second."""
        grid = None
        for frame in self.shown:
            if grid is None:
                self._describe(frame)
                size = _size(self.shown, frame, self._short_side)
                grid = _grid(self.shown, frame, size)
            yield from grid.push(frame)
        if grid is not None and self.shown.end > 0:
            yield from grid.push(None)

    @property
    def last(self) -> float:
        """Seconds from the window's start to the time of the last decoded frame."""
        return self.shown.last

    @property
    def end(self) -> float:
        """Seconds from the window's start to the end of that frame."""
        return self.shown.end

    def _describe(self, frame: Any) -> None:
        stream, shown = self.shown.stream, self.shown
        if min(frame.width, frame.height, *shown.square_size(frame)) < SMALLEST_SIDE:
            shape = "" if shown.aspect == 1 else f" of the shape {ratio(shown.aspect)}"
            raise ClipError("no_video", f"the picture is {frame.width}x{frame.height} pixels{shape}")
        rate = stream.average_rate or stream.guessed_rate
        self._facts = {
            "codec": stream.codec_context.name,
            "width": frame.width,
            "height": frame.height,
            "rotation": shown.orientation.rotation,
            "frame_rate": str(rate) if rate else None,
        }

    def _colour(self) -> str:
        if self.shown.colour is not None:
            return name_of(self.shown.colour)
        return "BT.709, assumed" if self.shown.assumed else ""

    @property
    def facts(self) -> dict[str, Any]:
        """Facts of the source; what is rare only where it was found."""
        rare = {
            "mirrored": self.shown.orientation.mirrored,
            "pixel_aspect": "" if self.shown.aspect == 1 else ratio(self.shown.aspect),
            "interlaced_frames": self.shown.interlaced,
            "colour": self._colour(),
        }
        return self._facts | {name: value for name, value in rare.items() if value}


def write_picture(
    media: Media,
    output: Path,
    *,
    start: Fraction,
    frames: int | None,
    hold: int,
    settings: PictureSettings,
    damaged_share: float = DAMAGED_SHARE,
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
        Frames by which the stream's last frame may be early: it is then repeated to reach `frames`. A stream that ends
        before that is written as it is, without a repeated frame.
    settings : PictureSettings
        Size and encoder.
    damaged_share : float
        Share of the frames that may be lost to damage.

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
        source.shown.damage.check(damaged_share, "video")
        if writer is None:
            raise ClipError("short", f"no frame at all from {float(start):.3f} s on")
        if frames is not None and source.reaches(frames, hold):
            while held < hold and writer.frames < frames:
                writer.write(frame)
                held += 1
    finally:
        if writer is not None:
            writer.close()
    return Picture(
        frames=writer.frames,
        held=held,
        delay=max(source.shown.first, 0.0),
        end=source.end,
        last=source.last,
        ended=source.shown.ended,
        width=frame.width,
        height=frame.height,
        damage=source.shown.damage,
        source=source.facts,
    )
