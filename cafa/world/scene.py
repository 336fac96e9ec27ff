"""A clip before it is drawn (:class:`Scene`), and its frames."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from cafa.world.backdrop import PAD, Grain, background, camera, distractors, half_pixel_views, light
from cafa.world.categories import check_category
from cafa.world.difficulty import Difficulty
from cafa.world.events import draw_timeline
from cafa.world.looks import look_of
from cafa.world.motion import Motion, motion_of
from cafa.world.paint import Paint
from cafa.world.shapes import Brush, Shape

#: Frames per second.
RATE = 25
#: Frames per clip.
FRAMES = 80
#: Seconds per clip.
SECONDS = FRAMES / RATE
#: Width and height of a frame, pixels.
SIZE = 128


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that is random about a clip's picture. Made by :func:`draw_scene`.

    Attributes
    ----------
    category : str
        One of :data:`cafa.world.categories.CATEGORIES`.
    event_times, event_levels : numpy.ndarray
        (events,) float64: seconds, and loudness relative to a full event.
    feint_times, feint_reach : numpy.ndarray
        (feints,) float64: seconds, and how far on the way to contact (1) each gets.
    approach, recoil, windup : float
        Of the stroke, see :func:`cafa.world.motion.stroke`.
    effect : float
        Strength of what is seen after contact.
    scale, tilt, mirrored : float, float, bool
        Size, rotation in radians, and whether left and right are exchanged.
    offset : tuple of float
        Displacement of the actor, half frame widths.
    contrast, brightness : float
        Of the whole picture.
    texture, grain : float
        Standard deviations of the background's texture and the sensor noise, grey values.
    seed : int
        Of the parts that are many numbers: colours, background, camera, light, distractors, noise.
    difficulty : Difficulty
        Ranges for those parts.
    """

    category: str
    event_times: np.ndarray
    event_levels: np.ndarray
    feint_times: np.ndarray
    feint_reach: np.ndarray
    approach: float
    recoil: float
    windup: float
    effect: float
    scale: float
    tilt: float
    mirrored: bool
    offset: tuple[float, float]
    contrast: float
    brightness: float
    texture: float
    grain: float
    seed: int
    difficulty: Difficulty = field(default_factory=Difficulty)


def draw_scene(category: str, rng: np.random.Generator, difficulty: Difficulty | None = None) -> Scene:
    """Draw a scene.

    Parameters
    ----------
    category : str
        One of :data:`cafa.world.categories.CATEGORIES`.
    rng : numpy.random.Generator
        Source of every draw.
    difficulty : Difficulty, optional
        Ranges of the draws; the defaults where absent.

    Returns
    -------
    Scene
        The same for the same category, generator state and difficulty.
    """
    check_category(category)
    d = difficulty or Difficulty()
    events, feints = draw_timeline(rng, SECONDS, d.feints_max)
    return Scene(
        category=category,
        event_times=events,
        event_levels=rng.uniform(*d.level, len(events)),
        feint_times=feints,
        feint_reach=rng.uniform(*d.feint_reach, len(feints)),
        approach=float(rng.uniform(0.22, 0.36)),
        recoil=float(rng.uniform(0.18, 0.34)),
        windup=float(rng.uniform(0.1, 0.45)),
        effect=float(rng.uniform(*d.effect)),
        scale=float(rng.uniform(*d.scale)),
        tilt=float(np.deg2rad(rng.uniform(-d.tilt, d.tilt))),
        mirrored=bool(rng.random() < 0.5),
        offset=(float(rng.uniform(-d.offset, d.offset)), float(rng.uniform(-d.offset, d.offset))),
        contrast=float(rng.uniform(*d.contrast)),
        brightness=float(rng.uniform(-d.brightness, d.brightness)),
        texture=float(rng.uniform(*d.texture)),
        grain=float(rng.uniform(*d.grain)),
        seed=int(rng.integers(2**63)),
        difficulty=d,
    )


def motion_of_scene(scene: Scene) -> Motion:
    """Curves of the scene's actor over the frames."""
    return motion_of(
        np.arange(FRAMES) / RATE,
        scene.event_times,
        scene.event_levels,
        scene.feint_times,
        scene.feint_reach,
        scene.approach,
        scene.recoil,
        scene.windup,
        scene.effect,
    )


def _pixels(scale: float, tilt: float, mirrored: bool, offset: tuple[float, float]) -> np.ndarray:
    half = SIZE / 2
    cos, sin = np.cos(tilt) * scale * half, np.sin(tilt) * scale * half
    side = -1.0 if mirrored else 1.0
    return np.array(
        [[cos * side, -sin, half * (1.0 + offset[0])], [sin * side, cos, half * (1.0 + offset[1])]], dtype=np.float64
    )


def _tone(shapes: list[Shape], scene: Scene) -> list[Shape]:
    def apply(value: float) -> float:
        return float(np.clip((value - 128.0) * scene.contrast + 128.0 + scene.brightness, 0.0, 255.0))

    def toned(shape: Shape) -> Shape:
        red, green, blue = shape.colour
        return replace(shape, colour=(apply(red), apply(green), apply(blue)))

    return [toned(shape) for shape in shapes]


def render_frames(scene: Scene) -> np.ndarray:
    """Draw every frame of a scene.

    Parameters
    ----------
    scene : Scene
        What to draw.

    Returns
    -------
    numpy.ndarray
        (80, 128, 128, 3) uint8 RGB, 25 frames per second.
    """
    around, actor, camera_rng, light_rng, extra, noise = np.random.default_rng(scene.seed).spawn(6)
    still, moving = look_of(scene.category)(motion_of_scene(scene), Paint(actor, scene.difficulty.hue))
    shift = camera(FRAMES, SECONDS, scene.difficulty, camera_rng)
    brightness = light(FRAMES, SECONDS, scene.difficulty, light_rng).tolist()
    behind = distractors(FRAMES, SECONDS, scene.difficulty, extra)
    grain = Grain(SIZE, scene.grain, FRAMES, noise)

    place = _pixels(scene.scale, scene.tilt, scene.mirrored, scene.offset)
    frame_place = _pixels(1.0, 0.0, False, (0.0, 0.0))
    canvas = cv2.convertScaleAbs(
        background(SIZE, scene.texture, around),
        alpha=scene.contrast,
        beta=128.0 * (1.0 - scene.contrast) + scene.brightness,
    )
    Brush(_tone(still, scene), place + np.array([[0.0, 0.0, PAD], [0.0, 0.0, PAD]]), np.zeros((1, 2))).draw(canvas, 0)
    views = half_pixel_views(canvas)
    back_brush = Brush(_tone(behind, scene), frame_place, shift)
    brush = Brush(_tone(moving, scene), place, shift)

    frames = np.empty((FRAMES, SIZE, SIZE, 3), np.uint8)
    halves = np.floor(2.0 * shift[:, ::-1]).astype(int).tolist()
    for number in range(FRAMES):
        (half_y, half_x), image = halves[number], frames[number]
        top, left = PAD - half_y // 2, PAD - half_x // 2
        image[...] = views[half_y % 2][half_x % 2][top : top + SIZE, left : left + SIZE]
        back_brush.draw(image, number)
        brush.draw(image, number)
        if brightness[number] != 0:
            change = cv2.add if brightness[number] > 0 else cv2.subtract
            by = (float(abs(brightness[number])),) * 3 + (0.0,)
            change(image, by, dst=image)  # type: ignore[call-overload]  # a colour is an operand too
        grain.add(image, number)
    return frames
