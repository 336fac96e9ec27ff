"""Looks of the sports: playing badminton, playing tennis, skateboarding, striking bowling."""

import numpy as np

from cafa.world.looks_tools import Layers
from cafa.world.motion import Motion
from cafa.world.paint import Paint
from cafa.world.shapes import Shape, box, convex, disc, line, move, oval, polygon, turn


def _flight(
    motion: Motion, arrive: tuple[float, float], leave: tuple[float, float], fall: float
) -> tuple[np.ndarray, np.ndarray]:
    """Path of something struck at the origin: in along `arrive`, out along `leave`; a feint lets it pass straight on.

    Velocities in local units per second, `fall` in units per second squared; (frames,) x and y.
    """
    t = motion.toward
    missed = motion.feint | (t < 0)
    vx = np.where(missed, arrive[0], leave[0] * (0.75 + 0.25 * motion.level))
    vy = np.where(missed, arrive[1], leave[1] * (0.75 + 0.25 * motion.level))
    return vx * t, vy * t + 0.5 * fall * t**2


def _racket(
    motion: Motion, paint: Paint, rx: float, ry: float, shaft: float, rim: float, swing: float, strings: int
) -> list[Shape]:
    """A racket that swings about its grip and meets the origin with the middle of its strings."""
    pivot = (0.62, ry + shaft + 0.30)
    frame, grip = paint(214, 70, 60), paint(50, 50, 58)
    angle = -(motion.reach - 1.0) * paint.vary(swing)
    tilt = np.arctan2(pivot[0], pivot[1])
    origin_to_pivot = float(np.hypot(*pivot))
    # Upright about the pivot, then leaning so that the strings' centre lies on the origin at contact.
    centre = np.array([pivot[0], pivot[1] - origin_to_pivot])
    hoop = oval(rx, ry, 20) + centre
    lean = angle - tilt
    neck = centre + np.array([[0.0, ry], [0.0, ry + shaft]])
    shapes = []
    white = paint(228, 230, 226)
    for k in range(strings):
        at = (k + 1) / (strings + 1) * 2.0 - 1.0
        half = np.sqrt(1.0 - at * at)
        shapes.append(
            line(
                turn(centre + np.array([[at * rx, -half * ry], [at * rx, half * ry]]), lean, pivot),
                0.02,
                white,
            )
        )
        shapes.append(
            line(
                turn(centre + np.array([[-half * rx, at * ry], [half * rx, at * ry]]), lean, pivot),
                0.02,
                white,
            )
        )
    closed = np.concatenate([hoop, hoop[:1]])
    shapes.append(line(turn(closed, lean, pivot), rim, frame))
    shapes.append(line(turn(neck, lean, pivot), rim, frame))
    shapes.append(line(turn(neck + np.array([0.0, shaft]) * 0.8, lean, pivot), rim * 1.7, grip))
    return shapes


def playing_badminton(motion: Motion, paint: Paint) -> Layers:
    """A slim racket meets a shuttlecock of cork and feathers, which turns round; a net behind."""
    net, tape = paint(58, 66, 62), (244.0, 244.0, 240.0)
    still = [line(np.array([[-1.3, y], [1.3, y]]), 0.02, net) for y in (0.42, 0.54, 0.66)]
    still += [line(np.array([[x, 0.3], [x, 0.78]]), 0.02, net) for x in np.linspace(-1.2, 1.2, 13)]
    still.append(line(np.array([[-1.3, 0.30], [1.3, 0.30]]), 0.07, tape))
    racket = _racket(motion, paint, 0.27, 0.38, 0.42, 0.06, 0.75, 2)
    x, y = _flight(motion, (paint.vary(4.2), paint.vary(1.6, 0.5)), (paint.vary(-4.8), paint.vary(-3.4, 0.4)), 5.0)
    x = x - 0.16
    out = (motion.toward >= 0) & ~motion.feint
    heading = np.where(out, float(np.arctan2(-3.4, -4.8)), float(np.arctan2(1.6, 4.2)))
    feathers = np.array([[0.04, -0.07], [-0.40, -0.26], [-0.46, 0.0], [-0.40, 0.26], [0.04, 0.07]])
    shuttle = [
        polygon(move(turn(feathers, heading, (0.0, 0.0)), x, y), (246.0, 246.0, 242.0)),
        line(
            move(turn(np.array([[0.0, 0.0], [-0.40, 0.0]]), heading, (0.0, 0.0)), x, y),
            0.03,
            paint(160, 164, 168),
        ),
        disc(np.stack([x, y], axis=1), 0.11, paint(196, 64, 52)),
    ]
    return still, racket + shuttle


def playing_tennis(motion: Motion, paint: Paint) -> Layers:
    """A stout racket meets a yellow ball above a court with white lines."""
    court, white = paint(56, 120, 74), (240.0, 242.0, 238.0)
    still = [
        convex(np.array([[-1.4, 0.25], [1.4, 0.25], [1.4, 1.4], [-1.4, 1.4]]), court),
        line(np.array([[-1.4, 0.55], [1.4, 0.55]]), 0.06, white),
        line(np.array([[-0.5, 0.55], [-1.1, 1.3]]), 0.06, white),
    ]
    racket = _racket(motion, paint, 0.42, 0.50, 0.16, 0.11, 0.60, 3)
    x, y = _flight(motion, (paint.vary(3.6), paint.vary(-1.5, 0.4)), (paint.vary(-4.4), paint.vary(-1.0, 0.6)), 6.0)
    squash = 0.5 * motion.decay(0.05)
    ball = oval(0.19 * (1.0 - 0.4 * squash), 0.19 * (1.0 + 0.3 * squash), 14)
    x = x - 0.18
    yellow = paint(218, 238, 60)
    curve = np.array([[-0.08, -0.14], [0.02, 0.0], [-0.08, 0.14]])
    moving = [*racket, convex(move(ball, x, y), yellow), line(move(curve, x, y), 0.04, white)]
    return still, moving


def skateboarding(motion: Motion, paint: Paint) -> Layers:
    """A board with a rider's legs hops and lands; the pavement runs past below."""
    stone, mark, deck = paint(140, 140, 146), paint(96, 96, 102), paint(206, 90, 40)
    jeans, shoe, wheel = paint(48, 70, 120), paint(236, 236, 232), paint(240, 214, 90)
    still = [convex(np.array([[-1.4, 0.62], [1.4, 0.62], [1.4, 1.4], [-1.4, 1.4]]), stone)]
    # The board is up during the hop and down again at the event. In a feint the rider only ducks and tips it.
    flight = paint.vary(0.30, 0.1)
    phase = np.clip(1.0 - motion.until / flight, 0.0, 1.0)
    height = paint.vary(0.62) * 4.0 * phase * (1.0 - phase)
    crouch = 0.20 * motion.decay(0.10) + 0.22 * np.clip(motion.reach, -1.0, 1.0) * motion.feint
    nose = -0.55 * np.sin(np.pi * phase) * np.cos(np.pi * phase) - 0.35 * np.clip(motion.reach, 0, 1) * motion.feint
    about = (-0.40, 0.46)

    def up(points: np.ndarray) -> np.ndarray:
        return move(turn(points, nose, about), 0.0, -height)

    pace = paint.vary(1.1, 0.4)
    moving = []
    for k in range(3):
        x = np.mod(k * 0.95 - pace * motion.time, 2.85) - 1.42
        moving.append(line(move(np.array([[0.0, 0.66], [-0.22, 1.2]]), x, 0.0), 0.05, mark))
    hips = 0.45 * height
    for foot, knee in ((-0.42, -0.62), (0.40, 0.56)):
        ankle = up(np.array([[foot, 0.28]]))[:, 0]
        top = np.stack([np.full_like(height, 0.35 * foot), -0.62 + crouch - hips], axis=1)
        middle = 0.5 * (ankle + top) + np.stack(
            [0.5 * (knee - foot) + 0.9 * crouch * np.sign(foot), 0 * height], axis=1
        )
        moving.append(line(np.stack([ankle, middle, top], axis=1), 0.20, jeans))
        moving.append(convex(up(box(foot - 0.16, 0.22, foot + 0.18, 0.36)), shoe))
    torso = np.array([[-0.26, -0.62], [0.26, -0.62], [0.30, -1.3], [-0.30, -1.3]])
    moving.append(convex(move(torso, 0.0, crouch - hips), paint(176, 60, 96)))
    board = np.array([[-0.92, 0.26], [-0.70, 0.36], [0.70, 0.36], [0.92, 0.26], [0.72, 0.45], [-0.72, 0.45]])
    moving.append(polygon(up(board), deck))
    for axle in (-0.50, 0.50):
        moving.append(disc(up(np.array([[axle, 0.53]]))[:, 0], 0.10, wheel))
    dust = paint(206, 204, 198)
    spread = np.minimum(motion.since, 1.0)
    for sign in (-1.0, 1.0):
        centre = np.stack([sign * (0.62 + 1.6 * spread), np.full_like(spread, 0.58)], axis=1)
        moving.append(disc(centre, 0.10 * motion.decay(0.2), dust, motion.after(0.16) & (motion.effect > 0.4)))
    return still, moving


def striking_bowling(motion: Motion, paint: Paint) -> Layers:
    """A heavy ball rolls along the lane into white pins, which fly and are set up again; in a feint it misses."""
    lane, board, ball_colour = paint(214, 172, 112), paint(180, 136, 80), paint(36, 40, 110)
    pin_white, stripe = (244.0, 240.0, 232.0), paint(210, 40, 48)
    still = [convex(np.array([[-1.4, 0.42], [1.4, 0.42], [1.4, 1.05], [-1.4, 1.05]]), lane)]
    still += [line(np.array([[-1.4, y], [1.4, y]]), 0.025, board) for y in (0.60, 0.80)]
    still.append(convex(box(-1.4, 1.05, 1.4, 1.4), paint(60, 52, 50)))
    knocked = motion.decay(0.22)
    pin = np.array(
        [
            [-0.07, -0.58],
            [0.07, -0.58],
            [0.09, -0.44],
            [0.05, -0.30],
            [0.15, -0.02],
            [0.11, 0.18],
            [-0.11, 0.18],
            [-0.15, -0.02],
            [-0.05, -0.30],
            [-0.09, -0.44],
        ]
    )
    band = np.array([[-0.07, -0.36], [0.07, -0.36], [0.07, -0.28], [-0.07, -0.28]])
    moving: list[Shape] = []
    for place, kick in ((0.78, 0.25), (0.52, 0.45), (0.26, 0.62)):
        angle = knocked * paint.vary(2.2, 0.3)
        dx, dy = knocked * kick * 0.6, -knocked * paint.vary(0.55, 0.3)
        for part, colour in ((pin, pin_white), (band, stripe)):
            moving.append(polygon(move(turn(part, angle, (0.0, 0.0)), place + dx, 0.50 + dy), colour))
    pace = paint.vary(3.6)
    t = motion.toward
    hit = ~motion.feint
    # After a hit the ball slows among the pins and leaves downwards; after a feint it goes on along the gutter.
    x = np.where(t < 0, pace * t, np.where(hit, 1.1 * t, pace * t)) - 0.06
    y = 0.42 + np.where(hit, np.where(t < 0, 0.0, 9.0 * t**2), 0.46)
    turning = 5.0 * x
    radius = 0.27
    moving.append(disc(np.stack([x, y], axis=1), radius, ball_colour))
    for k in range(2):
        hole = np.stack([x + 0.13 * np.cos(turning + 0.7 * k), y + 0.13 * np.sin(turning + 0.7 * k)], axis=1)
        moving.append(disc(hole, 0.045, paint(200, 206, 230)))
    return still, moving
