"""Synthetic inputs, reproducible from a seed (numpy PCG64, float32)."""

import numpy as np


def wave(i, sr, sec):
    n = int(sr * sec)
    t = np.arange(n) / sr
    g = np.random.default_rng(100 + i)
    if i == 0:  # white noise
        x = 0.3 * g.standard_normal(n)
    elif i == 1:  # chirp 200 -> 4000 Hz, decaying
        f0, f1 = 200.0, 4000.0
        x = 0.5 * np.sin(2 * np.pi * (f0 * t + (f1 - f0) * t * t / (2 * sec))) * np.exp(-t / sec)
    else:  # click train every 0.31 s with decaying noise + a noise floor
        ph = np.mod(t, 0.31)
        x = 0.8 * np.exp(-ph * 40) * g.standard_normal(n) * 0.3 + 1e-3 * g.standard_normal(n)
    return x.astype(np.float32)


def normal(seed, shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
