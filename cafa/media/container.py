"""Opening media files of unknown origin: every way in which one can be bad has its own reason."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.stream import Disposition

from cafa.common.errors import ClipError
from cafa.media.damage import Damage
from cafa.media.decoding import Decoding, clip_error, presentation_time

#: Containers that are opened. Without a list FFmpeg also follows playlists (HLS, concat), which may
#: name other files and hosts, and takes pictures and subtitles for videos.
CONTAINERS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,wav,flac,mp3,aac,h264,hevc,m4v,mxf,w64,aiff,caf,gif"

#: Top-level boxes of the ISO base media format (mp4, mov) that a whole file may begin or end with.
BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"mfra", b"sidx", b"styp", b"uuid"}

#: Names of the elements that a Matroska or WebM file begins with.
EBML, SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")

#: Above it the size in a RIFF header (AVI) means "not known", as programs write it that cannot go back.
LARGEST_RIFF = 0x7F000000

#: Seconds decoded before the window after a seek: sound codecs need earlier frames to be exact.
PREROLL = 1

#: Hundredths of a second: a shorter delay of a GIF counts as the usual one, as in browsers.
SHORTEST_DELAY, USUAL_DELAY = 2, 10


@dataclass(frozen=True)
class Media:
    """An open file.

    Attributes
    ----------
    path : Path
        Absolute path of the file.
    container : av.container.InputContainer
        Open for reading.
    origin : Fraction
        Presentation time, in seconds, at which the file's earliest stream begins: time 0 of a clip.
    asked : dict of str to int
        Number of the track, from 1, that was asked for, by kind.
    """

    path: Path
    container: Any
    origin: Fraction
    asked: dict[str, int] = field(default_factory=dict)

    def stream(self, kind: str) -> Any:
        """The stream of kind ``"video"`` or ``"audio"`` that was asked for, else the one that players take: the first
        that is flagged as default, else the first; never a cover picture.

        Raises
        ------
        ClipError
            ``no_video`` or ``no_audio``.
        """
        streams = self._streams(kind)
        default = [stream for stream in streams if stream.disposition & Disposition.default]
        chosen = next(iter([*default, *streams]), None)
        if chosen is not None and (number := self.asked.get(kind)) is not None:
            if number > len(streams):
                raise ClipError(f"no_{kind}", f"{kind} track {number} is asked for, the file has {len(streams)}")
            chosen = streams[number - 1]
        if chosen is None or chosen.codec_context is None:
            found = ", ".join("cover" if _is_cover(stream) else stream.type for stream in self.container.streams)
            only = "the only picture is a cover; " if kind == "video" and "cover" in found else ""
            raise ClipError(f"no_{kind}", f"{only}the file holds: {found}")
        return chosen

    def _streams(self, kind: str) -> list[Any]:
        return [stream for stream in getattr(self.container.streams, kind) if not _is_cover(stream)]

    def track(self, kind: str) -> str | None:
        """Which track of a kind was taken, of how many, as ``2 of 3``; None if there is no choice. Covers do not
        count."""
        numbers = [stream.index for stream in self._streams(kind)]
        return f"{numbers.index(self.stream(kind).index) + 1} of {len(numbers)}" if len(numbers) > 1 else None

    def promised_end(self, stream: Any) -> float | None:
        """Seconds from the origin at which the headers say that this stream ends, if they say so.

        Some containers (Matroska, WebM) give one length for the whole file, which promises nothing of any one stream.
        """
        if stream.duration is None:
            return None
        begin = (stream.start_time or 0) * stream.time_base
        return float(begin + stream.duration * stream.time_base - self.origin)

    def frames(self, stream: Any, start: Fraction | int, damage: Damage | None = None) -> Iterator[tuple[Any, int]]:
        """Decode a stream strictly, from before `start` (seconds from the origin) to its end; call it once.

        Parameters
        ----------
        stream : av.stream.Stream
        start : Fraction or int
        damage : Damage, optional
            Files of unknown origin: damaged frames are left out (the frame before them stays on screen, or there is
            silence) and counted here; whoever reads asks :meth:`cafa.media.damage.Damage.check` at the end. None: the
            first damage ends it.

        Yields
        ------
        (frame, time) : (av.frame.Frame, int)
            `time` is the presentation time relative to `start`, in units of the stream's time base;
            the first frames may lie before the window.

        Raises
        ------
        ClipError
            ``corrupt`` or ``unreadable``, when decoding fails.
        """
        _decode_strictly(stream)
        offset, tick = round((self.origin + start) / stream.time_base), round(1 / (100 * stream.time_base))
        still = self.container.format.name == "gif"  # pictures with delays, of which some are not meant as they are
        expected = -offset if still else 0
        decoding = Decoding(self.container, stream, offset, damage)
        seeking = start > PREROLL and not still
        for frame in self._from(decoding, offset) if seeking else self._from_the_begin(decoding):
            time = presentation_time(frame)
            time = expected if time is None or still else time - offset
            if still and frame.duration < SHORTEST_DELAY * tick:
                frame.duration = USUAL_DELAY * tick
            expected = time + (frame.duration or 0)
            if damage is not None and time >= 0:
                damage.decoded += 1
            yield frame, time

    def _from(self, decoding: Decoding, offset: int) -> Iterator[Any]:
        """Frames from before `offset`: after a seek if that leads there, else all of the file's."""
        stream = decoding.stream
        try:
            self.container.seek(offset - round(PREROLL / stream.time_base), stream=stream)
            frames = decoding.frames(after_seek=True)
            first = next(frames, None)
        except (av.error.FFmpegError, ClipError):
            first = None
        time = None if first is None else presentation_time(first)
        if time is not None and time <= offset:
            yield from itertools.chain([first], frames)
            return
        # No index, or a wrong one (MPEG-TS): only a fresh start is sure to begin at the beginning.
        with open_media(self.path) as again:
            again_stream = again.container.streams[stream.index]
            _decode_strictly(again_stream)
            if decoding.damage is not None:
                decoding.damage.reset()
            yield from again._from_the_begin(Decoding(again.container, again_stream, offset, decoding.damage))

    def _from_the_begin(self, decoding: Decoding) -> Iterator[Any]:
        yield from decoding.frames()
        if not decoding.without_key:
            return
        # No frame calls itself a key frame: a format that does not mark them. Whatever decodes is taken.
        with open_media(self.path) as again:
            stream = again.container.streams[decoding.stream.index]
            _decode_strictly(stream)
            if decoding.damage is not None:
                decoding.damage.reset()
            yield from Decoding(again.container, stream, decoding.offset, decoding.damage).frames(marked=False)


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _decode_strictly(stream: Any) -> None:
    stream.codec_context.thread_count = 1
    # Without it the decoder hides damage: garbled frames and lost sound come without an error.
    stream.codec_context.options = {"err_detect": "explode"}


@contextmanager
def open_media(path: str | Path, asked: Mapping[str, int | None] | None = None) -> Iterator[Media]:
    """Open a media file for reading.

    Parameters
    ----------
    path : str or Path
        A local file. Only :data:`CONTAINERS` are opened; playlists and pictures are refused.
    asked : mapping of str to int, optional
        Tracks to take instead of those that players take: kind (``video``, ``audio``) -> number, from 1.

    Raises
    ------
    ClipError
        ``missing_file``, ``empty_file``, ``unreadable``, ``truncated``, ``not_media`` or ``corrupt``.
    """
    path = Path(path).resolve()  # an absolute path can not be taken for a protocol ("concat:...")
    if not path.is_file():
        raise ClipError("missing_file", f"no file at {path}")
    if path.stat().st_size == 0:
        raise ClipError("empty_file", f"{path} has zero bytes")
    try:
        boxes = _check_boxes(path)
        _check_segment(path)
        _check_riff(path)
        container = av.open(
            str(path),
            metadata_errors="replace",
            options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"},
        )
    except av.error.FFmpegError as error:
        if not isinstance(error, OSError) and not boxes:
            raise ClipError("not_media", f"{path} is no container that FFmpeg knows: {error}") from error
        if boxes and b"moov" not in boxes:  # one with another name would have opened
            raise ClipError("truncated", f"{path}: the index (moov) is missing") from error
        raise clip_error(error, f"opening {path}") from error
    except OSError as error:
        raise ClipError("unreadable", f"{path}: {error}") from error
    with container:
        if not container.streams:
            raise ClipError("corrupt" if boxes else "not_media", f"{path} has no stream at all")
        numbers = {kind: number for kind, number in (asked or {}).items() if number is not None}
        yield Media(path, container, Fraction(container.start_time or 0, av.time_base), numbers)


def _check_boxes(path: Path) -> list[bytes]:
    """Top-level boxes of an mp4 or mov file, in order; empty for any other file.

    FFmpeg plays what is left of a file that was cut, without a word; the sizes of the boxes tell.
    """
    size = path.stat().st_size
    boxes: list[bytes] = []
    position = 0
    with path.open("rb") as file:
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            length, name = int.from_bytes(header[:4], "big"), header[4:8]
            if name not in BOXES:
                break
            boxes.append(name)
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length == 0:  # up to the end of the file
                position = size
                break
            if position + length > size:
                missing = position + length - size
                raise ClipError(
                    "truncated", f"{path}: box {name.decode()} promises {missing} bytes more than the file has"
                )
            if length < 8:
                break
            position += length
    return boxes


def _check_segment(path: Path) -> None:
    """Refuse a Matroska or WebM file that is shorter than its segment says; live recordings say nothing."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.startswith(EBML):
        return
    place = len(EBML)
    length, place = _ebml_size(head, place)
    place += length or 0
    if head[place : place + 4] != SEGMENT:
        return
    length, place = _ebml_size(head, place + 4)
    missing = 0 if length is None else place + length - path.stat().st_size
    if missing > 0:
        raise ClipError("truncated", f"{path}: its segment promises {missing} bytes more than the file has")


def _check_riff(path: Path) -> None:
    """Refuse an AVI that is shorter than its header says: FFmpeg plays what is left, and derives lengths from that."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"AVI ":
        return
    length = int.from_bytes(head[4:8], "little")
    missing = 8 + length - path.stat().st_size
    if missing > 1 and length < LARGEST_RIFF:  # an odd byte of padding may be counted
        raise ClipError("truncated", f"{path}: its header promises {missing} bytes more than the file has")


def _ebml_size(data: bytes, place: int) -> tuple[int | None, int]:
    """Length of an element's content (None: not known), and where the content begins."""
    if place >= len(data) or not data[place]:
        return None, place
    width = 9 - data[place].bit_length()
    value = int.from_bytes(data[place : place + width], "big") & ((1 << 7 * width) - 1)
    return (None if value == (1 << 7 * width) - 1 else value), place + width
