"""Looks of the eaters: people eating apple, people eating crisps."""

import numpy as np

from cafa.world.looks_tools import Layers
from cafa.world.motion import Motion
from cafa.world.paint import Paint, particles
from cafa.world.shapes import convex, disc, line, move, oval, polygon, turn


def people_eating_apple(motion: Motion, paint: Paint) -> Layers:
    """A hand brings an apple to a face in profile; every bite leaves a notch."""
    skin, hair, flesh = paint(226, 178, 142), paint(58, 40, 30), paint(250, 240, 206)
    face = np.array(
        [
            [-1.10, -0.75],
            [-0.45, -0.72],
            [-0.28, -0.40],
            [-0.26, -0.18],
            [-0.08, 0.04],
            [-0.24, 0.10],
            [-0.22, 0.22],
            [-0.42, 0.30],
            [-0.24, 0.40],
            [-0.28, 0.62],
            [-0.60, 0.80],
            [-0.62, 1.3],
            [-1.2, 1.3],
        ]
    )
    hair_shape = np.array([[-1.3, 0.2], [-1.3, -1.1], [-0.6, -1.0], [-0.36, -0.66], [-0.75, -0.55], [-0.85, 0.1]])
    still = [
        polygon(face, skin),
        polygon(hair_shape, hair),
        disc((-0.46, -0.26), 0.07, hair),
    ]
    x = 0.86 - 0.66 * motion.reach
    y = 0.46 - 0.18 * motion.reach
    chew = 0.05 * motion.decay(0.3) * np.sin(40.0 * motion.since)
    jaw = np.array([[-0.44, 0.30], [-0.22, 0.40], [-0.28, 0.62], [-0.60, 0.78], [-0.80, 0.40]])
    red, stalk = paint(204, 34, 40), paint(84, 58, 34)
    apple = np.array(
        [
            [0.0, -0.28],
            [0.16, -0.36],
            [0.34, -0.26],
            [0.40, 0.0],
            [0.30, 0.28],
            [0.10, 0.40],
            [0.0, 0.36],
            [-0.10, 0.40],
            [-0.30, 0.28],
            [-0.40, 0.0],
            [-0.34, -0.26],
            [-0.16, -0.36],
        ]
    )
    moving = [
        convex(move(jaw, 0.0, chew), skin),
        convex(move(oval(0.20, 0.30), x + 0.34, y + 0.16), paint(216, 166, 130)),
        polygon(move(apple, x, y), red),
        line(move(np.array([[0.0, -0.28], [0.06, -0.50]]), x, y), 0.06, stalk),
        convex(move(turn(oval(0.14, 0.06, 10), -0.5, (0.0, 0.0))[0], x + 0.20, y - 0.44), paint(86, 150, 60)),
    ]
    for number, (dx, dy) in enumerate(((-0.36, -0.02), (-0.26, -0.24), (-0.26, 0.22), (-0.14, 0.0))):
        notch = np.stack([x + dx, y + dy], axis=1)
        moving.append(disc(notch, 0.15, flesh, motion.done > number))
    fingers = [convex(move(oval(0.20, 0.065, 10), x + 0.24, y + dy), skin) for dy in (0.02, 0.16, 0.30)]
    return still, [*moving, *fingers, *particles(motion, paint, (-0.2, 0.35), 0.6, flesh, 3, 0.05, 1.6)]


def people_eating_crisps(motion: Motion, paint: Paint) -> Layers:
    """A crisp travels from a bag to an open mouth seen from the front, and is gone with a crunch."""
    skin, hair, foil = paint(236, 190, 154), paint(120, 74, 36), paint(44, 90, 190)
    gold, dark = paint(246, 204, 84), paint(96, 30, 34)
    teeth = [(-0.10 + 0.18 * k, 0.36 if k % 2 else 0.24) for k in range(6)]
    bag = np.array([*teeth, (0.84, 1.3), (-0.14, 1.3)]) + np.array([0.12, 0.0])
    still = [
        convex(move(oval(0.62, 0.72), -0.30, -0.36)[0], hair),
        convex(move(oval(0.52, 0.62), -0.30, -0.24)[0], skin),
        disc((-0.50, -0.38), 0.07, hair),
        disc((-0.10, -0.38), 0.07, hair),
        convex(move(oval(0.06, 0.09, 10), -0.30, -0.18)[0], paint(210, 150, 116)),
    ]
    # The mouth opens as the crisp comes and shuts at the crunch.
    gape = np.clip(motion.reach * 1.2, 0.0, 1.0) * (motion.toward < 0) + motion.decay(0.35) * 0.5 * (
        1.0 + np.sin(34.0 * motion.since)
    ) * (motion.toward >= 0)
    lips = oval(0.16 + 0.05 * gape, 0.03 + 0.11 * gape, 12)
    way = np.clip(motion.reach, -0.3, 1.0)
    x = 0.50 - 0.76 * way
    y = 0.42 - 0.38 * way - 0.30 * np.sin(np.pi * np.clip(way, 0.0, 1.0))
    eaten = (motion.since < 0.20) & ~motion.feint
    crisp = turn(oval(0.27, 0.17, 12), 0.5 * np.sin(3.0 * way), (0.0, 0.0))
    ridge = np.array([[-0.14, 0.02], [0.0, -0.05], [0.14, 0.02]])
    moving = [
        convex(move(lips, -0.30, 0.08), dark),
        convex(move(crisp, x, y), gold, ~eaten),
        line(move(ridge, x, y), 0.05, paint(206, 150, 50), ~eaten),
        polygon(bag, foil),
        convex(move(oval(0.24, 0.20), 0.47, 0.82)[0], paint(236, 220, 60)),
        convex(move(oval(0.14, 0.10, 10), 0.47, 0.82)[0], gold),
    ]
    return still, moving + particles(motion, paint, (-0.30, 0.14), np.pi / 2, gold, count=4, radius=0.05, speed=1.4)
