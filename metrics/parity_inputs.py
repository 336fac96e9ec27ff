"""Inputs of the golden arrays: formulas with a seed, and one real clip decoded as av-benchmark decodes it."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch


def wave(index: int, rate: int, seconds: float) -> np.ndarray:
    """Test sound ``index``: 0 white noise, 1 a decaying chirp from 200 Hz to 4 kHz, 2 clicks every 0.31 s.

    float32 ``(rate * seconds,)``; the noise comes from numpy's default generator with seed ``100 + index``.
    """
    samples = int(rate * seconds)
    time = np.arange(samples) / rate
    generator = np.random.default_rng(100 + index)
    if index == 0:
        sound = 0.3 * generator.standard_normal(samples)
    elif index == 1:
        low, high = 200.0, 4000.0
        phase = 2 * np.pi * (low * time + (high - low) * time * time / (2 * seconds))
        sound = 0.5 * np.sin(phase) * np.exp(-time / seconds)
    else:
        since_click = np.mod(time, 0.31)
        clicks = 0.8 * np.exp(-since_click * 40) * generator.standard_normal(samples) * 0.3
        sound = clicks + 1e-3 * generator.standard_normal(samples)
    return sound.astype(np.float32)


def waves(count: int, rate: int, seconds: float) -> np.ndarray:
    """The first ``count`` test sounds, ``(count, samples)``."""
    return np.stack([wave(index, rate, seconds) for index in range(count)])


def normal(seed: int, *shape: int) -> torch.Tensor:
    """Standard normal numbers, float32, from numpy's default generator."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


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
