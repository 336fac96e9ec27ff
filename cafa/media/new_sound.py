"""A video with a new sound: the picture and every other track are copied packet by packet, nothing is encoded again.

What the container says about the picture stays with it: rotation, aspect ratio, time stamps, colour, HDR metadata;
subtitles, chapters, tags and other sound tracks stay, too. Only the new sound is encoded.
"""

import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import av.error
import numpy as np
from av.stream import Disposition

from cafa.common.errors import ClipError, InputError
from cafa.common.files import atomic_write
from cafa.media.container import Media, open_media
from cafa.media.copied_packets import part_of, shifted_chapters, timed
from cafa.media.encoded_sound import AAC_RATES, OPUS_RATES, EncodedSound, SoundCodec
from cafa.media.mux import checked_waveform
from cafa.media.parts import Part


@dataclass(frozen=True)
class Container:
    """What a container can hold.

    Attributes
    ----------
    name : str
        FFmpeg's name of the muxer.
    pictures, sounds, subtitles : frozenset of str
        Codecs; empty: any.
    sound : SoundCodec
        Of the new sound.
    """

    name: str
    pictures: frozenset[str]
    sounds: frozenset[str]
    subtitles: frozenset[str]
    sound: SoundCodec


_OF_MP4 = (
    frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mjpeg", "prores", "dnxhd"}),
    frozenset({"aac", "ac3", "eac3", "alac", "mp3", "opus", "flac"}),
    frozenset({"mov_text"}),
)
_AAC = SoundCodec("aac", 256_000, AAC_RATES)
_MP4 = Container("mp4", _OF_MP4[0] - {"prores", "dnxhd"}, *_OF_MP4[1:], _AAC)
_MOV = Container("mov", _OF_MP4[0], _OF_MP4[1] | {"pcm_s16le", "pcm_s24le"}, _OF_MP4[2], _AAC)
_ANY: frozenset[str] = frozenset()
#: container by suffix
CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": _MOV,
    # Of AAC in Matroska players also play the delay of the encoder, 23 ms before the picture; that of Opus they skip.
    ".mkv": Container("matroska", _ANY, _ANY, _ANY, SoundCodec("libopus", 256_000, OPUS_RATES)),
    ".webm": Container(
        "webm",
        frozenset({"vp8", "vp9", "av1"}),
        frozenset({"opus", "vorbis"}),
        frozenset({"webvtt"}),
        SoundCodec("libopus", 160_000, OPUS_RATES),
    ),
}
#: codecs whose packets cannot be copied out of these containers as they are (no time stamps, packed frames)
_NOT_COPIED = {"avi": {"mpeg4"}, "gif": {"gif"}, "mpeg": {"mpeg1video"}}


@dataclass(frozen=True)
class CopiedTracks:
    """What became of the tracks of a video that got a new sound.

    Attributes
    ----------
    kept : tuple of str
        Copied, as ``video h264``.
    left_out : tuple of str
        What the new container cannot hold, or was replaced, with the reason.
    """

    kept: tuple[str, ...]
    left_out: tuple[str, ...]


def suffix_for(video: str | Path, video_track: int | None = None, codec: str | None = None) -> str | None:
    """Suffix of a file that can hold the picture of a video as it is; None where it would have to be encoded.

    The video's own container where it can be written, else mp4, else Matroska. With `codec`, that of a picture in that
    codec beside the other tracks of the video.
    """
    video = Path(video)
    with open_media(video, {"video": video_track}) as media:
        found = media.stream("video").codec_context.name
        if codec is None and found in _NOT_COPIED.get(media.container.format.name, ()):
            return None
        formats = media.container.format.name.split(",")
    own = {"mov": ".mov" if video.suffix.lower() == ".mov" else ".mp4", "matroska": ".mkv"}.get(formats[0])
    if own == ".mkv" and video.suffix.lower() == ".webm":
        own = ".webm"
    choices = (suffix for suffix in (own, ".mp4", ".mkv") if suffix)
    return next((suffix for suffix in choices if _holds(CONTAINERS[suffix].pictures, codec or found)), None)


def _holds(codecs: frozenset[str], codec: str) -> bool:
    return not codecs or codec in codecs


def write_with_new_sound(
    video: str | Path,
    waveform: np.ndarray,
    sample_rate: int,
    output: str | Path,
    *,
    track: Literal["replace", "add"] = "replace",
    video_track: int | None = None,
    audio_track: int | None = None,
    part: Part | None = None,
    picture: str | Path | None = None,
) -> CopiedTracks:
    """Write a copy of a video with a new sound; no picture is encoded.

    Parameters
    ----------
    video : path
    waveform : ndarray, float (samples,) or (channels, samples)
        1 or 2 channels, full scale 1; sample 0 belongs to the beginning of the video, which is that of its earliest
        stream. What lies beyond the video's picture is cut.
    sample_rate : int
        Samples per second. Where the sound's encoder does not take it, the sound is resampled to 48 kHz.
    output : path
        Its suffix is one of :data:`CONTAINERS`, and best that of :func:`suffix_for`. Appears complete or not at all.
    track : {"replace", "add"}
        Whether the new sound takes the place of the sound track that players take (others stay), or is a further one.
    video_track, audio_track : int, optional
        Picture to take, and sound to replace, from 1, where there are several.
    part : Part, optional
        Write this part only; sample 0 of the sound then belongs to its beginning.
    picture : path, optional
        File of an encoded picture that takes the place of the video's, as :func:`cafa.media.encoded_part.encode_part`
        writes it: it begins with the part.

    Returns
    -------
    CopiedTracks

    Raises
    ------
    InputError
        If the container cannot hold the picture, or the waveform is not usable.
    ClipError
        If the video cannot be read.
    """
    output, waveform = Path(output), checked_waveform(waveform, output)
    container = CONTAINERS.get(output.suffix.lower())
    if container is None:
        raise InputError(f"a video is written as {', '.join(CONTAINERS)}, got {output.name!r}")
    if part is not None and not part.copied and picture is None:
        raise InputError(f"the picture of {video} from {part.start:g} s on cannot be copied: encode that part first")
    asked = {"video": video_track, "audio": audio_track}
    size = Path(video).stat().st_size if Path(video).is_file() else None
    with ExitStack() as stack:
        media = stack.enter_context(open_media(video, asked))
        temporary = stack.enter_context(atomic_write(output, size))
        shown = media.stream("video")
        encoded = None if picture is None else stack.enter_context(open_media(picture))
        source = _Source(media, shown, encoded, shown if encoded is None else encoded.stream("video"), part)
        codec = _codec(source.picture)
        if not _holds(container.pictures, codec):
            best = suffix_for(video, video_track, codec) or "another video"
            raise InputError(f"{output.suffix} cannot hold {codec}: write {best}")
        others, left_out = _tracks(media, shown, container, track)
        with av.open(str(temporary), "w", format=container.name, options=_muxing(container)) as target:
            played = track == "replace" or not any(stream.type == "audio" for stream in others)
            _write(source, target, container, others, waveform, sample_rate, played=played)
        names = tuple(f"{stream.type} {_codec(stream)}" for stream in (source.picture, *others))
    return CopiedTracks(names, tuple(left_out))


@dataclass(frozen=True)
class _Source:
    """Where packets come from: a video, the picture in it that is meant, and the encoded picture in its place."""

    media: Media
    shown: Any
    encoded: Media | None
    picture: Any
    part: Part | None

    def packets(self, others: list[Any]) -> Iterator[Any]:
        """Packets of the picture and other streams of the video, in order of decoding."""
        if self.encoded is None:
            yield from part_of(timed(self.media, [self.shown, *others], self.part), self.part, self.shown)
            return
        picture = timed(self.encoded, [self.picture], None)
        if others:
            rest = part_of(timed(self.media, others, self.part), self.part, None)
            yield from heapq.merge(picture, rest, key=lambda packet: packet.dts * packet.time_base)
        else:
            yield from picture


def _muxing(container: Container) -> dict[str, str]:
    faststart = {"movflags": "+faststart"} if container.name in ("mp4", "mov") else {}
    return {"fflags": "+bitexact", **faststart}


def _codec(stream: Any) -> str:
    return "unknown" if stream.codec_context is None else stream.codec_context.name


def _tracks(media: Media, picture: Any, container: Container, track: str) -> tuple[list[Any], list[str]]:
    """Streams beside the picture that are copied, and the others with the reason why they are not."""
    try:
        replaced = media.stream("audio").index if track == "replace" else None
    except ClipError:
        if media.asked.get("audio") is not None:
            raise
        replaced = None
    kept: list[Any] = []
    left_out = []
    codecs = {"audio": container.sounds, "subtitle": container.subtitles, "video": container.pictures}
    for stream in media.container.streams:
        name = f"{stream.type} {_codec(stream)}"
        if stream.index == picture.index:
            continue
        if stream.index == replaced:
            left_out.append(f"{name}: replaced by the new sound")
        elif stream.codec_context is None or stream.type not in codecs:
            left_out.append(f"{name}: not copied (time codes and chapters are written anew)")
        elif stream.disposition & Disposition.attached_pic or not _holds(codecs[stream.type], _codec(stream)):
            left_out.append(f"{name}: {container.name} files written here cannot hold it")
        else:
            kept.append(stream)
    return kept, left_out


def _write(
    source: _Source,
    target: Any,
    container: Container,
    others: list[Any],
    waveform: np.ndarray,
    sample_rate: int,
    *,
    played: bool,
) -> None:
    """Write all tracks; the new sound is the one that players take, second in order, if it is `played`."""
    picture, media = source.picture, source.media
    shown = _copy_of(target, picture)
    if container.name in ("mp4", "mov") and _codec(picture) == "hevc":
        # The muxer's own choice is hev1, which Apple's players do not play; hev1 stays where the video has it, since
        # only there the picture's parameters may change on the way.
        shown.codec_context.codec_tag = "hev1" if picture.codec_context.codec_tag == "hev1" else "hvc1"
    sound = EncodedSound(target, container.sound, waveform, sample_rate) if played else None
    copies = {}
    for stream in others:
        copies[stream.index] = copy = _copy_of(target, stream)
        if played and stream.type == "audio":
            copy.disposition = Disposition(stream.disposition & ~Disposition.default)
    if sound is None:
        sound = EncodedSound(target, container.sound, waveform, sample_rate)
    else:
        sound.stream.disposition = Disposition.default
    target.metadata.update(media.container.metadata)
    if chapters := shifted_chapters(media, source.part):
        target.set_chapters(chapters)
    end = Fraction(0)
    for packet in source.packets(others):
        is_picture = packet.stream is picture or packet.stream == picture
        if is_picture and packet.pts is not None:
            end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
        for new in sound.until(packet.dts * packet.time_base):
            target.mux(new)
        packet.stream = shown if is_picture else copies[packet.stream.index]
        target.mux(packet)
    for new in sound.until(end, last=True):
        target.mux(new)


def _copy_of(target: Any, stream: Any) -> Any:
    try:
        copy = target.add_stream_from_template(stream, opaque=True)
    except (av.error.FFmpegError, ValueError) as error:
        raise InputError(f"the {stream.type} track {_codec(stream)} cannot be copied: {error}") from error
    copy.metadata.update(stream.metadata)
    copy.disposition = stream.disposition
    copy.time_base = stream.time_base
    return copy
