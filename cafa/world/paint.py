"""Pieces that several looks share: jittered colours and particles."""

from dataclasses import dataclass

import numpy as np

from cafa.world.motion import Motion
from cafa.world.shapes import Colour, Shape, disc


@dataclass(frozen=True)
class Paint:
    """Colours of one clip and its source of small variations.

    Attributes
    ----------
    rng : numpy.random.Generator
        Source of every draw that a look makes.
    hue : float
        Largest deviation of a channel from the nominal colour, grey values.
    """

    rng: np.random.Generator
    hue: float

    def __call__(self, red: float, green: float, blue: float) -> Colour:
        """Nominal colour with this clip's jitter: a shift common to the channels and one for each."""
        shift = self.rng.uniform(-self.hue, self.hue) * 0.6
        each = self.rng.uniform(-self.hue, self.hue, 3) * 0.6
        r, g, b = np.clip(np.array([red, green, blue]) + shift + each, 0.0, 255.0).tolist()
        return r, g, b

    def vary(self, value: float, by: float = 0.15) -> float:
        """`value` times a factor uniform in ``1 - by`` to ``1 + by``."""
        return float(value * self.rng.uniform(1.0 - by, 1.0 + by))


def particles(
    motion: Motion,
    paint: Paint,
    origin: tuple[float, float],
    direction: float,
    colour: Colour,
    count: int = 3,
    radius: float = 0.045,
    speed: float = 2.2,
    gravity: float = 7.0,
    life: float = 0.22,
) -> list[Shape]:
    """Splinters, crumbs or spray: discs that leave `origin` at every event.

    Parameters
    ----------
    motion, paint : Motion, Paint
        Of the clip.
    origin : tuple of float
        Where they start, local coordinates.
    direction : float
        Mean direction, radians clockwise from the right.
    colour : tuple of float
        Their colour.
    count : int
        How many.
    radius, speed, gravity, life : float
        Size (local units), local units per second, per second squared, and seconds to be seen.
    """
    shapes = []
    shown = motion.after(life) & (motion.effect * motion.level > 0.12)
    age = np.where(shown, motion.since, 0.0)
    strength = 0.5 + 0.5 * motion.effect * motion.level
    for _ in range(count):
        angle = direction + paint.rng.uniform(-0.6, 0.6)
        pace = paint.vary(speed, 0.35) * strength
        x = origin[0] + np.cos(angle) * pace * age
        y = origin[1] + np.sin(angle) * pace * age + 0.5 * gravity * age**2
        size = radius * strength * (1.0 - 0.6 * age / life)
        shapes.append(disc(np.stack([x, y], axis=1), size, colour, shown))
    return shapes
