"""Media: decode by presentation time, normalise, read frames and sound, write files."""

import math

#: Frames per second of every normalised clip.
FRAME_RATE = 25


def frame_count(seconds: float) -> int:
    """Frames of a normalised clip of `seconds`: the nearest whole number, halves upwards."""
    return math.floor(seconds * FRAME_RATE + 0.5 + 1e-6)
