"""A part of a video's picture, encoded again: for cuts between key frames, and pictures that no container here holds.

Size, frame times, rotation, aspect ratio and colour stay those of the source; only the bytes are others.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from cafa.media.container import Media, open_media
from cafa.media.damage import DAMAGED_SHARE, Damage

#: x264's quality: 16 is hard to tell from the source.
CRF = "16"


def encode_part(
    video: str | Path,
    output: str | Path,
    *,
    start: float = 0.0,
    end: float | None = None,
    video_track: int | None = None,
) -> float:
    """Encode a part of a picture as H.264 (.mp4).

    Parameters
    ----------
    video : path
    output : path
        Appears complete or not at all. It holds the picture alone, from time 0.
    start, end : float
        Seconds from the beginning of the video, which is that of its earliest stream; `end` None: to the end.
    video_track : int, optional
        Picture to take, from 1, where there are several.

    Returns
    -------
    float
        Seconds that were written.

    Raises
    ------
    InputError
        If the part is empty, or begins after the picture ends.
    ClipError
        If the video cannot be read, or is damaged by more than a little.
    """
    if start < 0 or (end is not None and end <= start):
        raise InputError(f"a part begins at 0 or later and ends after it begins, got {start:g} to {end:g} s")
    begin = Fraction(start).limit_denominator(10**6)
    seconds = None if end is None else Fraction(end).limit_denominator(10**6) - begin
    with open_media(video, {"video": video_track}) as media, atomic_write(output) as temporary:
        source = media.stream("video")
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        with av.open(str(temporary), "w", format="mp4", options=options) as target:
            encoder, last = None, Fraction(0)
            for frame, time in _shown(media, source, begin, seconds):
                if encoder is None:
                    encoder = _encoder(target, source, frame)
                last = (time + (frame.duration or 0)) * source.time_base
                target.mux(encoder.encode(_prepared(frame, encoder, time)))
            if encoder is None:
                raise InputError(f"{video} has no picture after {start:g} s")
            target.mux(encoder.encode(None))
    return float(last if seconds is None else min(last, seconds))


def _shown(media: Media, source: Any, start: Fraction, seconds: Fraction | None) -> Iterator[tuple[Any, int]]:
    """Frames of the part with times from its beginning; the one on the screen when it begins comes at 0."""
    damage, before = Damage(), None
    for frame, time in media.frames(source, start, damage):
        if seconds is not None and time * source.time_base >= seconds:
            break
        if time <= 0:
            before = frame
            continue
        if before is not None:
            yield before, 0
            before = None
        yield frame, time
    if before is not None and _reaches(before, media, source, start):
        yield before, 0
    damage.check(DAMAGED_SHARE, "video")


def _reaches(frame: Any, media: Media, source: Any, start: Fraction) -> bool:
    """Whether a frame is still on the screen when the part begins."""
    end = media.promised_end(source)
    return frame.pts is not None and (end is None or end > start)


def _encoder(target: Any, source: Any, frame: Any) -> Any:
    formats = {fmt.name for fmt in av.Codec("libx264", "w").video_formats or ()}
    stream = target.add_stream("libx264", rate=source.average_rate or 25, options={"crf": CRF, "preset": "medium"})
    stream.width, stream.height = frame.width - frame.width % 2, frame.height - frame.height % 2
    stream.pix_fmt = frame.format.name if frame.format.name in formats else "yuv420p"
    context = stream.codec_context
    context.time_base = source.time_base
    if source.sample_aspect_ratio:
        context.sample_aspect_ratio = source.sample_aspect_ratio
    for name in ("color_range", "color_primaries", "color_trc", "colorspace"):
        setattr(context, name, getattr(source.codec_context, name))
    if frame.rotation:
        stream.set_display_rotation(frame.rotation)
    return stream


def _prepared(frame: Any, encoder: Any, time: int) -> Any:
    if frame.format.name != encoder.pix_fmt or (frame.width, frame.height) != (encoder.width, encoder.height):
        frame = frame.reformat(width=encoder.width, height=encoder.height, format=encoder.pix_fmt)
    frame.pts, frame.time_base = time, encoder.codec_context.time_base
    frame.pict_type = 0
    return frame


def parse_time(text: str) -> float:
    """Seconds of ``90``, ``1:30``, ``1:30.5`` or ``0:01:30``.

    Raises
    ------
    InputError
        If it is no such time.
    """
    parts = text.strip().split(":")
    try:
        values = [float(part) for part in parts]
    except ValueError as error:
        raise InputError(f"a time is seconds, m:s or h:m:s, got {text!r}") from error
    small = all(0 <= value < 60 for value in values[1:]) and all(value == int(value) for value in values[:-1])
    if len(parts) > 3 or values[0] < 0 or not small or not all(value < float("inf") for value in values):
        raise InputError(f"a time is seconds, m:s or h:m:s, got {text!r}")
    return sum(value * 60**power for power, value in enumerate(reversed(values)))
