"""What is around the actor: background, camera, light, distractors, sensor noise."""

from collections.abc import Sequence

import cv2
import numpy as np

from cafa.world.difficulty import Difficulty
from cafa.world.shapes import Colour, Shape, convex, disc, move, oval, turn

#: Free border of the background for the camera's movements, pixels.
PAD = 12


def background(size: int, texture: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a gradient between two colours, with soft texture and a few pieces of furniture.

    Parameters
    ----------
    size : int
        Frame width and height, pixels.
    texture : float
        Standard deviation of the texture, grey values.
    rng : numpy.random.Generator
        Source of every draw.

    Returns
    -------
    numpy.ndarray
        (size + 2 PAD, size + 2 PAD, 3) uint8.
    """
    side = size + 2 * PAD
    first, second = rng.uniform(40.0, 220.0, (2, 3))
    second = 0.5 * first + 0.5 * second
    angle = rng.uniform(0.0, 2.0 * np.pi)
    # Made small and enlarged: the gradient and the texture have no detail that this would lose.
    cells = 40
    axis = np.linspace(-0.7, 0.7, cells)
    ramp = 0.5 + 0.5 * (axis[None] * np.cos(angle) + axis[:, None] * np.sin(angle))
    small = ramp[..., None] * first + (1.0 - ramp[..., None]) * second
    coarse = cv2.resize(rng.standard_normal((10, 10)), (cells, cells), interpolation=cv2.INTER_LINEAR)
    small += 0.7 * texture * (coarse + rng.standard_normal((cells, cells)))[..., None]
    small = np.clip(small, 0.0, 255.0).astype(np.uint8)
    canvas = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    for _ in range(int(rng.integers(0, 4))):
        colour = tuple(np.clip(first + rng.uniform(-45, 45, 3), 0, 255).tolist())
        centre, (rx, ry) = rng.uniform(0, side, 2), rng.uniform(0.06, 0.28, 2) * side
        corners = oval(rx, ry, int(rng.choice([4, 6, 16]))) + centre
        cv2.fillConvexPoly(canvas, np.round(corners * 16).astype(np.int32), colour, cv2.LINE_AA, 4)
    return canvas


def camera(frames: int, seconds: float, difficulty: Difficulty, rng: np.random.Generator) -> np.ndarray:
    """Path of the camera: slow drift and a few knocks.

    Returns
    -------
    numpy.ndarray
        (frames, 2) float64 pixels, multiples of one half, at most ``PAD - 1`` either way.
    """
    time = np.linspace(0.0, seconds, frames, endpoint=False)
    strength = rng.uniform(*difficulty.shake)
    phase, pace = rng.uniform(0, 2 * np.pi, (4, 2)), rng.uniform(0.3, 3.0, (4, 2))
    path = strength * np.sin(2 * np.pi * pace[None] * time[:, None, None] + phase[None]).sum(axis=1) / np.sqrt(2.0)
    for _ in range(int(rng.integers(0, difficulty.bumps_max + 1))):
        since = time - rng.uniform(0.0, seconds)
        push = np.where(since >= 0, np.exp(-np.maximum(since, 0) / 0.07) * np.cos(28.0 * since), 0.0)
        way = rng.uniform(0, 2 * np.pi)
        path += rng.uniform(*difficulty.bump) * push[:, None] * np.array([np.cos(way), np.sin(way)])
    return np.clip(np.round(2.0 * path) / 2.0, 1 - PAD, PAD - 1)


def light(frames: int, seconds: float, difficulty: Difficulty, rng: np.random.Generator) -> np.ndarray:
    """Change of light over the clip, (frames,) int64 grey values."""
    time = np.linspace(0.0, seconds, frames, endpoint=False)
    pace, phase = rng.uniform(0.2, 4.0, 3), rng.uniform(0, 2 * np.pi, 3)
    level = rng.uniform(*difficulty.flicker) * np.sin(2 * np.pi * pace * time[:, None] + phase).sum(axis=1)
    for _ in range(int(rng.integers(0, difficulty.shadows_max + 1))):
        start = rng.uniform(0.0, seconds)
        depth = rng.uniform(*difficulty.shadow) * rng.choice([-1.0, 1.0])
        level += depth * ((time >= start) & (time < start + rng.uniform(0.1, 0.8)))
    return np.round(level).astype(np.int64)


def distractors(frames: int, seconds: float, difficulty: Difficulty, rng: np.random.Generator) -> list[Shape]:
    """Objects that move silently, stop and turn at times of their own, in frame coordinates."""
    time = np.linspace(0.0, seconds, frames, endpoint=False)
    shapes: list[Shape] = []
    if difficulty.distractors_max == 0:
        return shapes
    for _ in range(int(rng.integers(1, difficulty.distractors_max + 1))):
        radius = rng.uniform(*difficulty.distractor_size)
        colour: Colour = tuple(rng.uniform(20, 240, 3).tolist())
        # Constant velocity between turns; some stretches are pauses, some turns are about-faces.
        turns = np.sort(rng.uniform(0.0, seconds, int(rng.integers(2, 6))))
        stretch = np.searchsorted(turns, time)
        way = rng.uniform(0, 2 * np.pi, len(turns) + 1)
        speed = rng.uniform(*difficulty.distractor_speed, len(turns) + 1) * (rng.random(len(turns) + 1) > 0.25)
        velocity = (np.stack([np.cos(way), np.sin(way)], axis=1) * speed[:, None])[stretch]
        path = rng.uniform(-0.9, 0.9, 2) + np.cumsum(velocity, axis=0) * (seconds / frames)
        path = 1.1 - np.abs((path + 1.1) % 4.4 - 2.2)
        if rng.random() < 0.4:
            shapes.append(disc(path, radius, colour))
        else:
            body = oval(radius, radius * rng.uniform(0.4, 1.0), int(rng.integers(3, 7)))
            spin = rng.uniform(-4.0, 4.0) * time
            shapes.append(convex(move(turn(body, spin, (0.0, 0.0)), path[:, 0], path[:, 1]), colour))
    return shapes


class Grain:
    """Sensor noise: random windows of one tile, added and subtracted as bytes.

    Parameters
    ----------
    size : int
        Frame width and height, pixels.
    deviation : float
        Standard deviation, grey values.
    frames : int
        How many frames.
    rng : numpy.random.Generator
        Source of every draw.
    """

    def __init__(self, size: int, deviation: float, frames: int, rng: np.random.Generator) -> None:
        margin = 32
        tile = rng.standard_normal((size + margin, size + margin), dtype=np.float32) * np.float32(deviation)
        # Channels share most of it: the other two are the tile mixed with itself moved.
        noise = cv2.merge([tile, *(0.8 * tile + 0.6 * np.roll(tile, by, axis=0) for by in (17, 29))])
        self._size = size
        # Conversion to bytes saturates: what is below zero goes to the other one.
        self._plus, self._minus = (
            cv2.add(part, 0.0, dtype=cv2.CV_8U)  # type: ignore[call-overload]  # a number is an operand too
            for part in (noise, -noise)
        )
        self._corner = rng.integers(0, margin, (frames, 2)).tolist()

    def add(self, image: np.ndarray, frame: int) -> None:
        """Add the noise of frame number `frame` to `image`, (size, size, 3) uint8, in place."""
        y, x = self._corner[frame]
        window = np.s_[y : y + self._size, x : x + self._size]
        cv2.add(image, self._plus[window], dst=image)
        cv2.subtract(image, self._minus[window], dst=image)


def half_pixel_views(canvas: np.ndarray) -> Sequence[Sequence[np.ndarray]]:
    """`canvas` moved by zero and half a pixel along y and x: ``views[2 * frac_y][2 * frac_x]``."""
    right = np.concatenate([canvas[:, 1:], canvas[:, -1:]], axis=1)
    below, both = (np.concatenate([image[1:], image[-1:]], axis=0) for image in (canvas, right))
    across = cv2.addWeighted(canvas, 0.5, right, 0.5, 0.0)
    down = cv2.addWeighted(canvas, 0.5, below, 0.5, 0.0)
    return (canvas, across), (down, cv2.addWeighted(across, 0.5, cv2.addWeighted(below, 0.5, both, 0.5, 0.0), 0.5, 0.0))
