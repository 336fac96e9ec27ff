"""Putting a sound under a video."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from cafa.media.container import open_media
from cafa.media.encoded_sound import EncodedSound, SoundCodec

#: Refuses rates that AAC does not know.
AAC = SoundCodec("aac", 192_000)


def checked_waveform(waveform: np.ndarray, output_path: str | Path) -> np.ndarray:
    """A waveform as float32 (1 or 2 channels, samples).

    Raises
    ------
    InputError
        If its shape is another, or a value is not finite; `output_path` is for the message.
    """
    waveform = np.atleast_2d(np.asarray(waveform, dtype=np.float32))
    if waveform.ndim != 2 or waveform.shape[0] not in (1, 2) or waveform.shape[1] == 0:
        raise InputError(f"waveform must be (samples,) or (1 or 2 channels, samples), got {waveform.shape}")
    if not np.isfinite(waveform).all():
        raise InputError(f"waveform for {Path(output_path).name} holds values that are not finite")
    return waveform


def put_sound_under_video(
    video_path: str | Path,
    waveform: np.ndarray,
    sample_rate: int,
    output_path: str | Path,
    seconds: float | None = None,
) -> None:
    """Write an mp4 with the pictures of one file and another sound.

    The H.264 packets are copied; the sound is AAC. Every browser plays the result.

    Parameters
    ----------
    video_path : str or Path
        A normalised clip, or any file whose video is H.264.
    waveform : np.ndarray
        Shape (samples,) or (channels, samples), 1 or 2 channels, full scale 1; sample 0 plays with
        the first frame.
    sample_rate : int
        One that AAC knows (8000 to 96000).
    output_path : str or Path
        ``.mp4``; appears whole or not at all.
    seconds : float, optional
        Keep only so much of both. None: all of the video, and of the sound up to its end.

    Raises
    ------
    InputError
        If the waveform's shape is another, a value is not finite, the video is not H.264, or the encoder
        refuses the sample rate.
    ClipError
        If the video can not be read.
    """
    waveform = checked_waveform(waveform, output_path)
    needed = Path(video_path).stat().st_size if Path(video_path).is_file() else None
    with open_media(video_path) as media, atomic_write(output_path, needed) as temporary:
        source = media.stream("video")
        if source.codec_context.name != "h264":
            raise InputError(f"{video_path} is {source.codec_context.name}, not H.264: normalise it first")
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        with av.open(str(temporary), "w", format="mp4", options=options) as output:
            video = output.add_stream_from_template(source)
            end = media.promised_end(source) if seconds is None else seconds
            if end is not None:
                waveform = waveform[:, : round(end * sample_rate)]
            sound = EncodedSound(output, AAC, waveform, sample_rate)
            for packet in _merged(_video(media, source, seconds), sound.whole()):
                packet.stream = sound.stream if packet.stream is sound.stream else video
                output.mux(packet)


def _video(media: Any, stream: Any, seconds: float | None) -> Iterator[Any]:
    shift = round(media.origin / stream.time_base)
    for packet in media.container.demux(stream):
        if packet.dts is None:  # the flush packet at the end
            return
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        if seconds is None or packet.pts * stream.time_base < Fraction(seconds) - Fraction(1, 1000):
            yield packet


def _merged(video: Iterator[Any], sound: Iterator[Any]) -> Iterator[Any]:
    """Packets of both in order of decoding time, as a muxer wants them."""
    waiting = [(iterator, next(iterator, None)) for iterator in (video, sound)]
    while any(packet is not None for _, packet in waiting):
        times = [None if packet is None else packet.dts * packet.time_base for _, packet in waiting]
        turn = min((time, index) for index, time in enumerate(times) if time is not None)[1]
        iterator, packet = waiting[turn]
        yield packet
        waiting[turn] = (iterator, next(iterator, None))
