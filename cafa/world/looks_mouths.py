"""Looks of the voices: dog barking, lions roaring, people sneezing."""

import numpy as np

from cafa.world.looks_tools import Layers
from cafa.world.motion import Motion
from cafa.world.paint import Paint, particles
from cafa.world.shapes import convex, disc, line, move, oval, polygon, turn


def dog_barking(motion: Motion, paint: Paint) -> Layers:
    """A dog's head in profile thrusts forward; its jaw drops for the bark."""
    fur, shade, nose = paint(166, 112, 62), paint(112, 72, 40), paint(28, 24, 26)
    still = [convex(np.array([[-1.1, 1.3], [-0.95, 0.15], [-0.30, -0.10], [0.05, 0.55], [0.0, 1.3]]), fur)]
    collar = line(np.array([[-0.86, 0.32], [-0.02, 0.62]]), 0.12, paint(196, 44, 48))
    still.append(collar)
    x = 0.16 * motion.reach
    y = -0.10 * motion.reach
    mouth = motion.hold(0.19)
    lift = -0.22 * mouth - 0.10 * motion.reach
    hinge = (-0.10, 0.14)

    def head(points: np.ndarray) -> np.ndarray:
        return move(turn(points, lift, hinge), x, y)

    skull = move(oval(0.44, 0.40), -0.30, -0.18)[0]
    muzzle = np.array([[-0.18, -0.34], [0.22, -0.22], [0.78, -0.14], [0.84, 0.02], [0.74, 0.12], [-0.10, 0.16]])
    jaw = np.array([[-0.16, 0.08], [0.62, 0.10], [0.60, 0.22], [0.10, 0.32], [-0.20, 0.30]])
    throat = np.array([[-0.12, 0.06], [0.58, 0.08], [0.30, 0.20]])
    ear = np.array([[-0.62, -0.48], [-0.36, -0.54], [-0.40, -0.02], [-0.58, 0.16], [-0.76, -0.08]])
    drop = 0.62 * mouth - 0.02
    moving = [
        convex(move(turn(jaw, lift + drop, hinge), x, y), shade),
        convex(move(turn(throat, lift + 0.55 * drop, hinge), x, y), paint(206, 84, 92), mouth > 0.1),
        convex(head(skull), fur),
        convex(head(muzzle), fur),
        convex(head(move(oval(0.10, 0.08, 10), 0.78, -0.10)[0]), nose),
        disc(head(np.array([[-0.10, -0.26]]))[:, 0], 0.06, nose),
        convex(move(turn(ear, lift - 0.3 * motion.reach, (-0.46, -0.48)), x, y), shade),
    ]
    return still, moving


def lions_roaring(motion: Motion, paint: Paint) -> Layers:
    """A lion's face from the front: the head rises, the mouth opens wide and stays open for the roar."""
    mane, tan, dark = paint(150, 82, 30), paint(226, 176, 96), paint(48, 22, 20)
    mouth = motion.hold(0.42, attack=0.09)
    y = -0.12 * motion.reach
    spread = 1.0 + 0.08 * mouth + 0.03 * motion.decay(0.3) * np.sin(75.0 * motion.time)
    corners = 22
    ring = np.where(np.arange(corners) % 2 == 0, 1.0, 0.80)
    spikes = oval(0.92, 0.95, corners) * ring[:, None]
    face_y = y + 0.02
    jaw = 0.34 * mouth
    face = oval(np.full_like(jaw, 0.55), 0.60 + 0.45 * jaw)
    still = [convex(np.array([[-0.75, 1.3], [-0.55, 0.5], [0.55, 0.5], [0.75, 1.3]]), mane)]
    moving = [polygon(move(spikes * spread[:, None, None], 0.0, y), mane)]
    for sign in (-1.0, 1.0):
        moving.append(disc(np.stack([np.full_like(y, sign * 0.50), y - 0.56], axis=1), 0.16, paint(196, 140, 70)))
    moving.append(convex(move(face, 0.0, face_y + 0.45 * jaw), tan))
    for sign in (-1.0, 1.0):
        squint = 0.075 - 0.03 * mouth
        moving.append(disc(np.stack([np.full_like(y, sign * 0.25), face_y - 0.20], axis=1), squint, dark))
    nose = np.array([[-0.15, 0.02], [0.15, 0.02], [0.0, 0.16]])
    moving.append(convex(move(oval(0.30, 0.17), 0.0, face_y + 0.20), paint(244, 222, 180)))
    moving.append(convex(move(nose, 0.0, face_y), dark))
    cavity = oval(0.10 + 0.16 * mouth, 0.02 + jaw)
    moving.append(convex(move(cavity, 0.0, face_y + 0.28 + jaw), dark))
    moving.append(convex(move(oval(0.12 * mouth, 0.5 * jaw, 10), 0.0, face_y + 0.30 + 1.4 * jaw), paint(204, 70, 76)))
    for sign in (-1.0, 1.0):
        fang = np.array([[-0.05, 0.0], [0.05, 0.0], [0.0, 0.15]])
        moving.append(convex(move(fang, sign * 0.11, face_y + 0.33), (250.0, 248.0, 236.0), mouth > 0.3))
    return still, moving


def people_sneezing(motion: Motion, paint: Paint) -> Layers:
    """A head in profile with a big nose tips back, then jerks down and sprays."""
    skin, hair, shirt = paint(232, 184, 150), paint(66, 44, 32), paint(60, 110, 150)
    still = [convex(np.array([[-0.95, 1.3], [-0.75, 0.80], [-0.10, 0.68], [0.20, 0.95], [0.25, 1.3]]), shirt)]
    nod = 0.50 * motion.reach
    about = (-0.36, 0.62)
    face = np.array(
        [
            [-0.60, 0.70],
            [-0.66, 0.10],
            [-0.58, -0.40],
            [-0.20, -0.62],
            [0.14, -0.50],
            [0.20, -0.20],
            [0.46, 0.06],
            [0.44, 0.16],
            [0.22, 0.18],
            [0.24, 0.46],
            [0.06, 0.58],
            [-0.08, 0.80],
        ]
    )
    cap = np.array(
        [[-0.76, 0.18], [-0.78, -0.30], [-0.50, -0.72], [-0.05, -0.78], [0.20, -0.52], [-0.30, -0.34], [-0.44, 0.10]]
    )
    mouth = 0.03 + 0.10 * motion.hold(0.22)
    pink = paint(216, 110, 100)
    lips = oval(np.full_like(mouth, 0.09), mouth, 10)
    open_eye = motion.reach < 0.35
    eye = np.array([[0.02, -0.20], [0.16, -0.20]])
    moving = [
        polygon(turn(face, nod, about), skin),
        polygon(turn(cap, nod, about), hair),
        convex(turn(move(oval(0.09, 0.07, 10), 0.40, 0.10)[0], nod, about), pink),
        convex(turn(move(lips, 0.20, 0.34), nod, about), paint(120, 40, 44)),
        disc(turn(np.array([[0.08, -0.20]]), nod, about)[:, 0], 0.06, hair, open_eye),
        line(turn(eye, nod, about), 0.05, hair, ~open_eye),
        convex(turn(move(oval(0.08, 0.13, 10), -0.36, 0.02)[0], nod, about), pink),
    ]
    spray = paint(206, 232, 250)
    moving += particles(motion, paint, (0.62, 0.50), 0.35, spray, 5, 0.05, speed=3.0, gravity=3.0, life=0.24)
    return still, moving
