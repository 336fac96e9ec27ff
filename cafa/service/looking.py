"""What an upload is, found without decoding it."""

from pathlib import Path

import av.error

from cafa.common.errors import ClipError
from cafa.media.container import Media, open_media
from cafa.service.errors import NotAVideoError, TooLargeError, TooLongError
from cafa.service.limits import Limits

#: seconds that a video may exceed the limit by: containers round; most frames per second
SLACK, FASTEST = 0.5, 240
#: what a person is told of a file that cannot be used, by the reason of :class:`cafa.common.errors.ClipError`
PLAIN = {
    "not_media": "this is not a video file",
    "no_video": "this file has no picture",
    "empty_file": "this file is empty",
    "truncated": "this file is not complete: it was cut off",
    "corrupt": "this file is damaged",
    "short": "this video is too short",
}


def look_at(path: Path, limits: Limits) -> tuple[float, int, int]:
    """Length of a file's picture in seconds, its width and height, without decoding it.

    The packets count, not what the header promises: a header can lie.

    Raises
    ------
    RefusedError
        If it is no video, or one beyond the limits.
    """
    try:
        with open_media(path) as media:
            stream = media.stream("video")
            width, height = stream.codec_context.width, stream.codec_context.height
            if not 0 < width * height <= limits.largest_pixels:
                raise TooLargeError(f"the picture has {width} x {height} pixels, which are too many")
            return _seconds(media, limits), width, height
    except ClipError as error:
        raise NotAVideoError(plain_fault(error)) from error
    except av.error.FFmpegError as error:
        raise NotAVideoError(PLAIN["corrupt"]) from error


def _seconds(media: Media, limits: Limits) -> float:
    stream, end = media.stream("video"), 0.0
    for number, packet in enumerate(media.container.demux(stream)):
        if packet.size and packet.pts is not None:
            end = max(end, float((packet.pts + (packet.duration or 0)) * stream.time_base - media.origin))
        if end > limits.longest_video + SLACK or number > FASTEST * (limits.longest_video + 1):
            raise TooLongError(f"the video is longer than {limits.longest_video:g} s, which is the limit")
    return end


def plain_fault(error: ClipError) -> str:
    """What is wrong with a video, as a sentence without the places of files."""
    return PLAIN.get(error.reason, "this file cannot be read as a video")
