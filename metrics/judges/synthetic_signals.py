"""Signals and pictures that are a function of numbers: the same on every machine."""

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
