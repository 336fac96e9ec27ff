"""Which part of a video is meant, and whether its picture can be copied.

A copied picture can begin at a key frame only. Its end lies where no frame that is left out comes, in the order of
decoding, before one that is kept: a few frames after the end that was asked for, where the codec reorders frames.
"""

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from cafa.common.errors import InputError
from cafa.media.container import open_media

#: Seconds by which a copied picture may end after the end that was asked for; one that would end later is encoded.
LATEST_END = Fraction(1, 2)


@dataclass(frozen=True)
class Part:
    """A part of a video.

    Attributes
    ----------
    start, end : float
        Seconds from the beginning of the video, which is that of its earliest stream.
    copied : bool
        Whether the picture's packets can be copied.
    note : str
        What is other than was asked for, for a person; empty if nothing.
    """

    start: float
    end: float
    copied: bool
    note: str = ""

    @property
    def seconds(self) -> float:
        """Length."""
        return self.end - self.start


@dataclass(frozen=True)
class _Picture:
    """Packets of a picture in the order of decoding: when they are shown, when that ends, and which are key frames."""

    shown: list[Fraction]
    ends: list[Fraction]
    keys: list[bool]


def find_part(
    video: str | Path,
    start: float = 0.0,
    end: float | None = None,
    *,
    video_track: int | None = None,
    encode: bool = False,
) -> Part | None:
    """The part of a video that is meant; None for the whole.

    Parameters
    ----------
    video : path
    start, end : float
        Seconds; `end` None, or one after the video's: to the end.
    video_track : int, optional
        Picture to take, from 1, where there are several.
    encode : bool
        The picture will be encoded, so that it can begin and end anywhere.

    Raises
    ------
    InputError
        If the part is empty, or begins after the picture ends.
    ClipError
        If the video cannot be read.
    """
    if start < 0 or (end is not None and end <= start):
        raise InputError(f"a part begins at 0 or later and ends after it begins, got {start:g} to {end} s")
    if start == 0 and end is None:
        return None
    picture = _read(video, video_track)
    last = max(picture.ends)
    begin = Fraction(start).limit_denominator(10**6)
    finish = last if end is None else min(Fraction(end).limit_denominator(10**6), last)
    if begin >= last:
        raise InputError(f"{video} has no picture after {start:g} s: it ends at {float(last):.3f} s")
    if encode:
        return Part(float(begin), float(finish), False)
    frame = (last - min(picture.shown)) / len(picture.shown)
    key = _key_at(picture, begin, frame / 2)
    if key is None:
        return Part(float(begin), float(finish), False, _why_encoded(picture, begin))
    clean = _clean_end(picture, key, finish, frame / 2)
    if clean - finish > LATEST_END:
        note = f"the picture is encoded again: frames of up to {float(clean):.3f} s come before {float(finish):.3f} s"
        return Part(float(begin), float(finish), False, note)
    note = ""
    if clean - finish > frame / 2:
        note = (
            f"the part ends at {float(clean):.3f} s instead of {float(finish):.3f} s: the last frames build on later "
            "ones (--encode cuts where you say, and encodes the picture again)"
        )
    return Part(float(0 if start == 0 else picture.shown[key]), float(clean), True, note)


def _read(video: str | Path, track: int | None) -> _Picture:
    shown, ends, keys = [], [], []
    with open_media(video, {"video": track}) as media:
        stream = media.stream("video")
        usual = 1 / Fraction(stream.average_rate or 25)
        for packet in media.container.demux(stream):
            if packet.size == 0:  # the flush packet at the end
                continue
            time = packet.pts if packet.pts is not None else packet.dts
            if time is None:
                continue
            shown.append(time * packet.time_base - media.origin)
            ends.append(shown[-1] + (packet.duration * packet.time_base if packet.duration else usual))
            keys.append(bool(packet.is_keyframe))
    if not shown:
        raise InputError(f"{video} has a picture without frames")
    return _Picture(shown, ends, keys)


def _key_at(picture: _Picture, start: Fraction, near: Fraction) -> int | None:
    """Place of the key frame where the part begins: the first packet for a part that begins with the picture."""
    if start <= picture.shown[0] and picture.keys[0]:
        return 0
    places = [place for place, key in enumerate(picture.keys) if key and abs(picture.shown[place] - start) <= near]
    return min(places, key=lambda place: abs(picture.shown[place] - start)) if places else None


def _clean_end(picture: _Picture, key: int, end: Fraction, near: Fraction) -> Fraction:
    """First end of a frame from `end` on, or half a frame before it, with all that decoding needs before it."""
    while True:
        kept = [place for place in range(key, len(picture.shown)) if picture.shown[place] < end - near]
        reached = max(picture.ends[place] for place in range(key, max(kept, default=key) + 1))
        if reached <= end + near:
            return reached
        end = reached


def _why_encoded(picture: _Picture, start: Fraction) -> str:
    keys = sorted(time for time, key in zip(picture.shown, picture.keys, strict=True) if key)
    place = bisect_right(keys, start)
    near = [f"{float(keys[k]):.3f}" for k in (place - 1, place) if 0 <= k < len(keys)]
    there = f": from {' or '.join(near)} s it would be copied" if near else ""
    return f"the picture is encoded again, since no key frame is at {float(start):.3f} s{there}"
