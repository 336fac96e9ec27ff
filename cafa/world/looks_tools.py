"""Looks of the tools and the ice: chopping wood, hammering nails, ice cracking."""

import numpy as np

from cafa.world.motion import Motion
from cafa.world.paint import Paint, particles
from cafa.world.shapes import Shape, box, convex, line, move, oval, polygon, turn

Layers = tuple[list[Shape], list[Shape]]


def chopping_wood(motion: Motion, paint: Paint) -> Layers:
    """An axe swings down on a log that stands on a stump; the halves spring apart."""
    bark, wood, dark = paint(112, 72, 40), paint(214, 170, 112), paint(72, 44, 26)
    stump = [
        convex(box(-0.55, 0.62, 0.55, 1.15), dark),
        convex(move(oval(0.55, 0.13), 0.0, 0.62)[0], paint(168, 124, 80)),
    ]
    gap = 0.10 * motion.decay(0.16)
    lean = 0.9 * motion.decay(0.16)
    half = box(-0.27, -0.02, 0.0, 0.62)
    top = np.array([[-0.27, -0.02], [0.0, -0.02], [0.0, 0.10], [-0.27, 0.10]])
    left_x, right_x = -gap, gap
    mirror = np.array([-1.0, 1.0])
    moving = []
    for sign, x in ((1.0, left_x), (-1.0, right_x)):
        flip = np.ones(2) if sign > 0 else mirror
        turned = turn(half * flip, -sign * lean, (-0.27 * sign, 0.62))
        moving.append(convex(move(turned, x, 0.0), bark))
        moving.append(convex(move(turn(top * flip, -sign * lean, (-0.27 * sign, 0.62)), x, 0.0), wood))
    angle = (1.0 - motion.reach) * paint.vary(1.15)
    pivot = (1.15, 0.10)
    handle = np.array([[1.2, -0.02], [-0.10, -0.06]])
    blade = np.array([[-0.14, -0.22], [0.16, -0.22], [0.20, -0.02], [0.04, 0.14], [-0.10, 0.10]])
    moving.append(line(turn(handle, angle, pivot), 0.09, paint(190, 140, 80)))
    moving.append(convex(turn(blade, angle, pivot), paint(150, 160, 172)))
    moving.append(convex(turn(blade[2:], angle, pivot), paint(226, 232, 238)))
    moving += particles(motion, paint, (0.0, 0.0), -np.pi / 2, wood)
    return stump, moving


def hammering_nails(motion: Motion, paint: Paint) -> Layers:
    """A hammer comes down on a nail, which goes a step deeper into the plank with every blow."""
    plank, edge, steel = paint(206, 164, 104), paint(150, 110, 64), paint(120, 126, 134)
    still = [convex(box(-1.05, 0.42, 1.05, 0.78), plank), convex(box(-1.05, 0.70, 1.05, 0.80), edge)]
    for x in (-0.75, 0.70):
        still.append(convex(move(oval(0.07, 0.03), x, 0.43)[0], steel))
    depth = 0.085 * motion.done
    top = -0.02 + depth
    nail = box(-0.035, 0.0, 0.035, 0.46)
    nail_y = np.minimum(top, 0.40)
    stem = np.repeat(nail[None], len(top), axis=0)
    stem[:, :2, 1] = nail_y[:, None]
    cap = move(box(-0.12, -0.03, 0.12, 0.03), 0.0, nail_y)
    pivot = (-1.25, 0.20)
    angle = -(1.0 - motion.reach) * paint.vary(0.85)
    drop = nail_y + 0.02
    handle = np.array([[-1.25, -0.22], [0.0, -0.22]])
    head = box(-0.15, -0.42, 0.15, -0.04)
    claw = np.array([[-0.13, -0.40], [0.13, -0.40], [0.05, -0.66], [-0.02, -0.64]])
    moving = [
        convex(stem, steel),
        convex(cap, steel),
        line(move(turn(handle, angle, pivot), 0.0, drop), 0.11, paint(196, 60, 48)),
        convex(move(turn(head, angle, pivot), 0.0, drop), paint(84, 90, 100)),
        convex(move(turn(claw, angle, pivot), 0.0, drop), paint(104, 110, 120)),
    ]
    return still, moving + particles(motion, paint, (0.0, 0.05), -np.pi / 2, paint(255, 226, 130), radius=0.03)


def ice_cracking(motion: Motion, paint: Paint) -> Layers:
    """A floating sheet of ice sinks under a load; cracks run on and the two halves part."""
    ice, rim, water = paint(206, 230, 242), paint(150, 192, 216), paint(24, 52, 84)
    still = [convex(np.array([[-1.3, -0.62], [1.3, -0.62], [1.3, 1.3], [-1.3, 1.3]]), water)]
    rng = paint.rng
    steps = 5
    xs = np.linspace(-0.1, 0.1, steps) + rng.uniform(-0.12, 0.12, steps)
    ys = np.linspace(-0.42, 0.72, steps)
    seam = np.stack([xs, ys], axis=1)
    left = np.concatenate([[[-0.80, -0.42]], seam, [[-1.12, 0.72]]])
    right = np.concatenate([[[0.80, -0.42]], seam, [[1.12, 0.72]]])
    sink = 0.20 * np.maximum(motion.reach, -0.3) * (motion.since > 0.0)
    part = 0.022 * motion.done + 0.06 * motion.decay(0.09)
    rock = 0.06 * motion.decay(0.12)
    moving: list[Shape] = []
    for half, sign in ((left, -1.0), (right, 1.0)):
        placed = move(turn(half, -sign * (0.10 * motion.reach + rock), (sign * 1.0, 0.3)), sign * part, sink * 0.4)
        moving.append(polygon(move(placed, 0.0, 0.10), rim))
        moving.append(polygon(placed, ice))
    moving.append(line(move(seam, 0.0, sink * 0.4), 0.035 + part * 0.5, paint(60, 110, 150)))
    dark = paint(70, 116, 152)
    for number in range(4):
        start = seam[1 + number % 3]
        way = -1.0 if number % 2 else 1.0
        branch = start + np.cumsum(
            np.stack([way * rng.uniform(0.12, 0.30, 4), rng.uniform(-0.16, 0.16, 4)], axis=1), axis=0
        )
        points = np.concatenate([start[None], branch])
        moving.append(line(move(points, way * part, sink * 0.4), 0.045, dark, motion.done > number))
    moving += particles(motion, paint, (0.0, 0.1), -np.pi / 2, paint(240, 250, 255), count=4, radius=0.05)
    return still, moving
