"""Packets to frames: what is taken of a stream that begins anywhere, repeats frames, or is damaged here and there."""

import errno
import heapq
from collections.abc import Iterator
from typing import Any

import av.error

from cafa.common.errors import ClipError
from cafa.media.damage import Damage


def presentation_time(frame: Any) -> int | None:
    """When a frame or packet is shown, in units of the stream's time base; if that is not said, when it is decoded."""
    return frame.dts if frame.pts is None else frame.pts


def of_the_system(error: Exception) -> bool:
    """Whether an error is the disk's or the system's; decoders give -1 for damage, which is EPERM's number."""
    return isinstance(error, OSError) and error.errno != errno.EPERM


def clip_error(error: Exception, doing: str) -> ClipError:
    """A media library's error as a reason: ``unreadable`` for the disk's, else ``corrupt``."""
    if isinstance(error, MemoryError):
        raise error
    return ClipError("unreadable" if of_the_system(error) else "corrupt", f"{doing}: {error}")


class Decoding:
    """One reading of a stream.

    Parameters
    ----------
    container : av.container.InputContainer
    stream : av.stream.Stream
        Its decoder is set to find damage.
    offset : int
        Begin of the window, in units of the time base: damage before it does not count.
    damage : Damage, optional
        Where damage is counted. None: the first ends it.

    Attributes
    ----------
    without_key : bool
        Whether the stream ended without a key frame though it did not begin with one.
    """

    def __init__(self, container: Any, stream: Any, offset: int, damage: Damage | None) -> None:
        self.container, self.stream, self.offset, self.damage = container, stream, offset, damage
        self.without_key = False
        self._is_picture = stream.type == "video"  # asked of the stream for every packet, it takes as long as decoding
        self._key: int | None = None  # presentation time of the key frame before which nothing is taken
        self._waiting = self._lost_key = self._builds_on_damage = False
        self._fed: list[int] = []  # presentation times of pictures that have not come out of the decoder yet
        self._damaged_at: int | None = None

    def frames(self, after_seek: bool = False, marked: bool = True) -> Iterator[Any]:
        """Decoded frames, in the order of presentation.

        Parameters
        ----------
        after_seek : bool
            Begin with the next key frame: what comes before it needs frames that are not read.
        marked : bool
            Whether key frames are marked: then a picture begins with one.

        Raises
        ------
        ClipError
            ``corrupt`` or ``unreadable``.
        """
        self._waiting = after_seek
        last: Any = None
        try:
            packets = iter(self.container.demux(self.stream))
            if not after_seek and marked and self.damage is not None and self._is_picture:
                for last in self._first_pictures(packets, self.damage):
                    yield last
            for packet in packets:
                if _repeats(packet):
                    if last is not None and packet.pts is not None and not self.stream.codec_context.has_b_frames:
                        last.pts = packet.pts
                        yield last
                    continue
                if not self._takes(packet):
                    continue
                for last in self._decoded(packet):
                    yield last
        except av.error.FFmpegError as error:
            raise clip_error(error, f"decoding the {self.stream.type} stream") from error

    def _lose(self, what: Any, time: int | None, why: object) -> None:
        """Count a frame or packet as damaged, or raise if damage ends it."""
        if self.damage is None:
            raise ClipError("corrupt", f"decoding the {self.stream.type} stream, {self._at(time)}: {why}")
        self._builds_on_damage = self._is_picture
        self.damage.why = self.damage.why or f"{self._at(time)}: {why}"
        if time is None or time >= self.offset:
            self.damage.lost += 1
            self.damage.lost_ticks += what.duration or 0

    def _at(self, time: int | None) -> str:
        if time is None:
            return "at an unknown time"
        return f"at {float((time - self.offset) * self.stream.time_base):.3f} s"

    def _first_pictures(self, packets: Iterator[Any], damage: Damage) -> list[Any]:
        """The first frames, from the first key frame on; a file that was cut anywhere begins between two of them."""
        times: list[int] = []
        for packet in packets:
            if not times and (packet.is_keyframe or self.stream.codec_context.codec.intra_only):
                return self._decoded(packet)
            time = presentation_time(packet)
            times.append(self.offset if time is None else time)
            try:
                frames = [] if _repeats(packet) else packet.decode()
            except av.error.FFmpegError as error:
                if of_the_system(error):
                    raise
                continue
            keys = [number for number, frame in enumerate(frames) if frame.key_frame]
            if keys:
                begun = presentation_time(frames[keys[0]])
                damage.before_key = sum(self.offset <= time < (begun or 0) for time in times)
                return self._undamaged(frames[keys[0] :])
        self.without_key = True
        return []

    def _takes(self, packet: Any) -> bool:
        """Whether a packet is decoded: not one that needs frames from before the key frame with which reading began."""
        if self._is_picture and packet.is_keyframe:
            self._builds_on_damage = False
        if packet.pts is None or not (self._waiting or self._key is not None):
            return True
        if self._waiting and packet.is_keyframe:
            self._key, self._waiting = packet.pts, False
        if not self._waiting and self._key is not None and packet.pts >= self._key:
            return True
        if self._lost_key:
            self._lose(packet, packet.pts, "its key frame is damaged")
        return False

    def _decoded(self, packet: Any) -> list[Any]:
        picture = self._is_picture and self.damage is not None
        if picture and packet.pts is not None:
            heapq.heappush(self._fed, packet.pts)
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            if self.damage is None or of_the_system(error):
                raise
            self._note(packet, error)
            frames = []
        if picture:
            self._count_missing(frames, ended=packet.dts is None and not packet.size)
        if self._builds_on_damage and self.damage is not None:
            self.damage.after += sum((presentation_time(frame) or 0) >= self.offset for frame in frames)
        return self._undamaged(frames)

    def _note(self, packet: Any, error: av.error.FFmpegError) -> None:
        """What the decoder said of a packet. Pictures are counted when later ones come: some are dropped silently."""
        why = error.strerror or str(error)
        if not self._is_picture or packet.pts is None:
            self._lose(packet, presentation_time(packet), why)
            return
        assert self.damage is not None
        self.damage.why = self.damage.why or f"{self._at(packet.pts)}: {why}"
        self._builds_on_damage = True
        self._damaged_at = max(packet.pts, packet.pts if self._damaged_at is None else self._damaged_at)
        if packet.is_keyframe and not self.stream.codec_context.codec.intra_only:
            self._waiting = self._lost_key = True

    def _count_missing(self, frames: list[Any], ended: bool) -> None:
        """Count pictures that were given to the decoder and passed over, from a damaged one to the next that came."""
        assert self.damage is not None
        times = [time for frame in frames if (time := frame.pts) is not None]
        for time in [*times, *([None] if ended else [])]:
            missing = 0
            while self._fed and (time is None or self._fed[0] <= time):
                fed = heapq.heappop(self._fed)
                missing += fed >= self.offset and fed != time
            if self._damaged_at is not None:
                self.damage.lost += missing
                if time is not None and time > self._damaged_at:
                    self._damaged_at = None

    def _undamaged(self, frames: list[Any]) -> list[Any]:
        """Frames that the decoder does not call damaged; those before the window may be, as long as none shows."""
        if not self._is_picture:
            return frames
        kept = []
        for frame in frames:
            time = presentation_time(frame)
            if frame.is_corrupt and (time is None or time >= self.offset):
                self._lose(frame, time, "the frame is damaged")
            else:
                kept.append(frame)
        return kept


def _repeats(packet: Any) -> bool:
    """Whether a packet says "the same frame again" (Ogg Theora, captures that drop frames): it has no bytes.

    Where frames are reordered it is left out: the frame before it stays until the next in any case. The packet that
    ends the stream has neither bytes nor a time.
    """
    return not packet.size and (packet.pts is not None or packet.dts is not None)
