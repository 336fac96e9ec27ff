"""Packets of a video on their way into another file: with times that begin at 0, of the whole or of a part."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from cafa.media.container import Media
from cafa.media.parts import Part

#: Seconds by which packets of other tracks may lie behind those of the picture in a file.
_BEHIND = 5


def origin_of(media: Media, part: Part | None) -> Fraction:
    """Time in the file, in seconds, that becomes 0."""
    return media.origin + (0 if part is None else Fraction(part.start).limit_denominator(10**6))


def timed(media: Media, streams: list[Any], part: Part | None) -> Iterator[Any]:
    """Packets of streams, with times from the beginning of the part; each has a decoding time.

    Matroska stores presentation times only: the first packets of a picture with reordered frames come without a
    decoding time, which counts back from the first that has one.
    """
    origin = origin_of(media, part)
    untimed: dict[int, list[Any]] = {}
    after: dict[int, int] = {}
    for packet in media.container.demux(*streams):
        if packet.size == 0:  # the flush packet at the end
            continue
        index, shift = packet.stream.index, round(origin / packet.time_base)
        if packet.pts is not None:
            packet.pts -= shift
        if packet.dts is not None:
            packet.dts -= shift
        elif index in after:
            packet.dts = after[index]
        else:
            untimed.setdefault(index, []).append(packet)
            continue
        yield from _counted_back(untimed.pop(index, []), packet.dts)
        after[index] = packet.dts + max(packet.duration or 0, 1)
        yield packet
    for waiting in untimed.values():  # a stream none of whose packets has a decoding time: those of presentation are
        for packet in waiting:
            packet.dts = packet.pts or 0
            yield packet


def _counted_back(packets: list[Any], dts: int) -> list[Any]:
    for packet in reversed(packets):
        dts -= max(packet.duration or 0, 1)
        packet.dts = dts
    return packets


def part_of(packets: Iterator[Any], part: Part | None, picture: Any) -> Iterator[Any]:
    """Those of :func:`timed` packets that belong to a part; all of them where `part` is None.

    Parameters
    ----------
    packets : iterator
    part : Part, optional
    picture : av.stream.Stream, optional
        The copied picture, whose frames are kept whole; None where it is not among the packets.
    """
    if part is None:
        yield from packets
        return
    seconds = Fraction(part.seconds).limit_denominator(10**6)
    for packet in packets:
        begin = (packet.pts if packet.pts is not None else packet.dts) * packet.time_base
        if packet.dts * packet.time_base > seconds + _BEHIND:
            return
        if picture is not None and packet.stream.index == picture.index:
            # Times are rounded to the file's ticks, and a part may begin or end a little beside one.
            near = max(packet.duration or 0, 2) * packet.time_base / 2
            if -near < begin < seconds - near:
                yield packet
        elif packet.stream.type == "subtitle":
            if (cut := _cut_subtitle(packet, begin, seconds)) is not None:
                yield cut
        elif 0 <= begin < seconds:
            yield packet


def _cut_subtitle(packet: Any, begin: Fraction, seconds: Fraction) -> Any:
    """A subtitle as far as it is shown in the part; None where it is not."""
    end = begin + (packet.duration or 0) * packet.time_base
    if begin >= seconds or end <= 0 or (begin < 0 and not packet.duration):
        return None
    first, last = max(begin, Fraction(0)), min(end, seconds)
    packet.pts = packet.dts = round(first / packet.time_base)
    if packet.duration:
        packet.duration = max(round((last - first) / packet.time_base), 1)
    return packet


def shifted_chapters(media: Media, part: Part | None) -> list[dict[str, Any]]:
    """Chapters of a video, as they are in the part."""
    moved = []
    for chapter in media.container.chapters():
        shift = round(origin_of(media, part) / chapter["time_base"])
        start, end = max(chapter["start"] - shift, 0), chapter["end"] - shift
        if part is not None:
            end = min(end, round(Fraction(part.seconds).limit_denominator(10**6) / chapter["time_base"]))
        if end > start:
            moved.append({**chapter, "start": start, "end": end})
    return moved
