"""Small files of picture and sound, for tests and benchmarks."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

LAYOUTS = {1: "mono", 2: "stereo"}


def write_video_of(
    path: Path,
    pictures: Iterable[np.ndarray],
    rate: int,
    sound: tuple[np.ndarray, int] | None,
    options: Mapping[str, str],
    bit_rate: int | None = None,
) -> Path:
    """Write pictures as H.264 in 4:2:0, and below them sound as AAC.

    Parameters
    ----------
    path : Path
    pictures : iterable of ndarray, uint8 (height, width, 3)
    rate : int
        Pictures per second.
    sound : (ndarray, int), optional
        Float (channels, samples), full scale 1, and samples per second; None: no track.
    options : mapping of str to str
        Of libx264.
    bit_rate : int, optional
        Of the picture, per second; None: the encoder's own quality.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=dict(options))
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        stream.pix_fmt = "yuv420p"
        layout = LAYOUTS[len(sound[0])] if sound else ""
        track = container.add_stream("aac", rate=sound[1], layout=layout) if sound else None
        for index, picture in enumerate(pictures):
            if index == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound and track is not None:
            heard = av.AudioFrame.from_ndarray(sound[0].astype(np.float32), format="fltp", layout=layout)
            heard.sample_rate, heard.pts, heard.time_base = sound[1], 0, Fraction(1, sound[1])
            container.mux(track.encode(heard))
            container.mux(track.encode(None))
    return path
