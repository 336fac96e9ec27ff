"""Inputs of the golden arrays: formulas with a seed, and one real clip decoded as av-benchmark decodes it."""

from fractions import Fraction
from pathlib import Path

import numpy as np


def decoded_frames(path: Path, rate: Fraction, count: int) -> np.ndarray:
    """The first ``count`` frames at a constant ``rate`` as FFmpeg's ``fps`` filter gives them, uint8 RGB."""
    import av

    from cafa.media.container import open_media

    frames: list[np.ndarray] = []
    with open_media(path) as media:
        stream = media.stream("video")
        graph = av.filter.Graph()
        chain = [
            graph.add_buffer(template=stream),
            graph.add("fps", f"fps={rate.numerator}/{rate.denominator}"),
            graph.add("format", "rgb24"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*chain).configure()
        for frame in (*media.container.decode(stream), None):
            graph.vpush(frame)
            while len(frames) < count:
                try:
                    frames.append(graph.vpull().to_ndarray())
                except (av.error.BlockingIOError, av.error.EOFError):
                    break
    return np.stack(frames)


def decoded_sound(path: Path) -> tuple[np.ndarray, int]:
    """All sound of a file as a 16-bit WAV would hold it, float32 ``(channels, samples)``, and its rate."""
    from cafa.media.container import open_media
    from cafa.media.sound import decode_sound, to_float

    with open_media(path) as media:
        sound = decode_sound(media, Fraction(0), None)
    levels = np.clip(np.rint(to_float(sound.samples) * 2.0**15), -(2**15), 2**15 - 1)
    return (levels / 2.0**15).astype(np.float32), sound.sample_rate
