"""Real files, made here: every frame's brightness tells which one it is."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

TICKS = 12800  # time base of the picture: 1 / TICKS s

MakeClip = Callable[..., Path]


def grey_of(index: int) -> int:
    """Luma of source frame `index`: neighbours differ by 3 and repeat after 67 frames."""
    return 24 + 3 * (index % 67)


def tone(seconds: float, sample_rate: int, channels: int = 1) -> np.ndarray:
    """A quiet tone, shape (channels, samples); each channel has its own pitch."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return np.stack([0.2 * np.sin(2 * np.pi * 220 * (channel + 1) * time) for channel in range(channels)])


def _grey_frame(grey: int, size: tuple[int, int], time: Fraction, mark: bool) -> av.VideoFrame:
    height, width = size
    frame = av.VideoFrame(width, height, "yuv420p")
    for index, (plane, value) in enumerate(zip(frame.planes, (grey, 128, 128), strict=True)):
        data = np.full((plane.height, plane.line_size), value, np.uint8)
        if mark and index == 0:
            data[: plane.height // 4, : plane.width // 4] = 235  # bright top left corner: which way is up
        plane.update(data.tobytes())
    frame.pts, frame.time_base = round(time * TICKS), Fraction(1, TICKS)
    return frame


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """Function that writes a media file and returns its path."""

    def make(
        name: str = "clip.mp4",
        *,
        times: Sequence[Fraction] | None = None,
        greys: Sequence[int] | None = None,
        sound: np.ndarray | None = None,
        sample_rate: int = 16000,
        sound_start: float = 0.0,
        size: tuple[int, int] = (64, 96),
        rotation: int = 0,
        mark: bool = False,
        video: bool = True,
        sound_codec: str = "aac",
        video_codec: str = "libx264",
        faststart: bool = False,
        **options: str,
    ) -> Path:
        path = tmp_path / name
        muxing = {"movflags": "+faststart"} if faststart else {}
        with av.open(str(path), "w", options=muxing) as container:
            packets = []
            if video:
                stream = container.add_stream(video_codec, rate=25, options={"crf": "10", **options})
                stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
                stream.codec_context.time_base = Fraction(1, TICKS if video_codec == "libx264" else 25)
                stream.codec_context.thread_count = 1
                if rotation:
                    stream.set_display_rotation(rotation)
            if sound is not None:
                audio = container.add_stream(sound_codec, rate=sample_rate)
                audio.codec_context.layout = "mono" if len(sound) == 1 else "stereo"
                audio.codec_context.time_base = Fraction(1, sample_rate)
            if video:
                times = [Fraction(index, 25) for index in range(50)] if times is None else times
                greys = [grey_of(index) for index in range(len(times))] if greys is None else greys
                for time, grey in zip(times, greys, strict=True):
                    packets += stream.encode(_grey_frame(grey, size, time, mark))
                packets += stream.encode(None)
            if sound is not None:
                kind = audio.codec_context.format.name
                data = sound.astype(np.float32)
                if kind.startswith("s16"):
                    data = np.round(data * 32767).astype(np.int16)
                for begin in range(0, data.shape[1], 1024):
                    piece = np.ascontiguousarray(data[:, begin : begin + 1024])
                    if not kind.endswith("p"):
                        piece = np.ascontiguousarray(piece.T.reshape(1, -1))
                    frame = av.AudioFrame.from_ndarray(piece, format=kind, layout=audio.codec_context.layout.name)
                    frame.sample_rate = sample_rate
                    frame.pts, frame.time_base = begin + round(sound_start * sample_rate), Fraction(1, sample_rate)
                    packets += audio.encode(frame)
                packets += audio.encode(None)
            for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
                container.mux(packet)
        return path

    return make
