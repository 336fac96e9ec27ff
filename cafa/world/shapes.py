"""Moving shapes: geometry of all frames at once, and drawing with anti-aliased OpenCV."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

Colour = tuple[float, float, float]

#: Fractional bits of OpenCV's fixed-point coordinates.
SHIFT = 4


@dataclass(frozen=True)
class Shape:
    """One primitive over time, in local coordinates (x right, y down, the frame about [-1, 1]).

    Attributes
    ----------
    kind : {"convex", "polygon", "disc", "line"}
        A convex or general filled polygon, a filled disc, a line of straight pieces.
    points : numpy.ndarray
        (frames, points, 2), or (1, points, 2) for what stands still. A disc has one point.
    colour : tuple of float
        Red, green, blue, 0 to 255.
    size : numpy.ndarray
        (frames,) or (1,): radius of a disc, width of a line; unused otherwise.
    shown : numpy.ndarray or None
        (frames,) bool; None where the shape is always there.
    """

    kind: Literal["convex", "polygon", "disc", "line"]
    points: np.ndarray
    colour: Colour
    size: np.ndarray
    shown: np.ndarray | None = None


def _points(points: np.ndarray | Sequence) -> np.ndarray:
    array = np.asarray(points, dtype=np.float64)
    return array[None] if array.ndim == 2 else array


def polygon(points: np.ndarray | Sequence, colour: Colour, shown: np.ndarray | None = None) -> Shape:
    """Filled polygon of any form; `points` (points, 2) or (frames, points, 2)."""
    return Shape("polygon", _points(points), colour, np.zeros(1), shown)


def convex(points: np.ndarray | Sequence, colour: Colour, shown: np.ndarray | None = None) -> Shape:
    """Filled convex polygon, which draws faster."""
    return Shape("convex", _points(points), colour, np.zeros(1), shown)


def disc(
    centre: np.ndarray | Sequence, radius: np.ndarray | float, colour: Colour, shown: np.ndarray | None = None
) -> Shape:
    """Filled disc; `centre` (2,) or (frames, 2)."""
    points = np.asarray(centre, dtype=np.float64).reshape(-1, 1, 2)
    return Shape("disc", points, colour, np.atleast_1d(np.asarray(radius, dtype=np.float64)), shown)


def line(
    points: np.ndarray | Sequence, width: np.ndarray | float, colour: Colour, shown: np.ndarray | None = None
) -> Shape:
    """Open line of straight pieces."""
    return Shape("line", _points(points), colour, np.atleast_1d(np.asarray(width, dtype=np.float64)), shown)


def oval(rx: np.ndarray | float, ry: np.ndarray | float, corners: int = 18) -> np.ndarray:
    """Corners of an ellipse about the origin: (corners, 2), or (frames, corners, 2) for radii over time."""
    angle = np.linspace(0.0, 2.0 * np.pi, corners, endpoint=False)
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return unit * np.stack(np.broadcast_arrays(np.asarray(rx), np.asarray(ry)), axis=-1)[..., None, :]


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Corners of an upright rectangle, (4, 2)."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64)


def turn(points: np.ndarray | Sequence, angle: np.ndarray | float, about: tuple[float, float]) -> np.ndarray:
    """Rotate by `angle` radians (clockwise as seen); an angle per frame gives points per frame."""
    about_array = np.asarray(about, dtype=np.float64)
    delta = _points(points) - about_array
    cos, sin = (np.reshape(f(np.asarray(angle, dtype=np.float64)), (-1, 1)) for f in (np.cos, np.sin))
    x = delta[..., 0] * cos - delta[..., 1] * sin
    y = delta[..., 0] * sin + delta[..., 1] * cos
    return np.stack([x, y], axis=-1) + about_array


def move(points: np.ndarray | Sequence, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
    """Shift; an amount per frame gives points per frame."""
    shift = np.stack(np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float)), axis=-1)
    return _points(points) + np.reshape(shift, (-1, 1, 2))


class Brush:
    """Shapes of one clip, ready to be drawn frame by frame.

    Parameters
    ----------
    shapes : list of Shape
        Drawn in this order, later over earlier. Colours are taken as they are.
    pixels : numpy.ndarray
        (2, 3) affine map from local coordinates to pixels.
    shift : numpy.ndarray
        (frames, 2) displacement of the camera, pixels, added to every point.
    """

    def __init__(self, shapes: Sequence[Shape], pixels: np.ndarray, shift: np.ndarray) -> None:
        unit = float(np.sqrt(abs(np.linalg.det(pixels[:, :2])))) * (1 << SHIFT)
        frames = len(shift)
        self._plans = []
        for shape in shapes:
            placed = shape.points @ pixels[:, :2].T + pixels[:, 2] + shift[:, None, :]
            fixed = np.round(placed * (1 << SHIFT)).astype(np.int32)
            size = np.broadcast_to(shape.size * unit, (frames,))
            if shape.kind == "line":
                sizes = np.maximum(1, np.round(size / (1 << SHIFT))).astype(int).tolist()
            else:
                sizes = np.maximum(0, np.round(size)).astype(int).tolist()
            shown = [True] * frames if shape.shown is None else shape.shown.tolist()
            self._plans.append((shape.kind, fixed, shape.colour, sizes, shown))

    def draw(self, image: np.ndarray, frame: int) -> None:
        """Draw frame number `frame` onto `image`, (height, width, 3) uint8, in place."""
        for kind, points, colour, sizes, shown in self._plans:
            if not shown[frame]:
                continue
            at = points[frame]
            if kind == "convex":
                cv2.fillConvexPoly(image, at, colour, cv2.LINE_AA, SHIFT)
            elif kind == "polygon":
                cv2.fillPoly(image, [at], colour, cv2.LINE_AA, SHIFT)
            elif kind == "disc":
                centre = (int(at[0, 0]), int(at[0, 1]))
                cv2.circle(image, centre, sizes[frame], colour, -1, cv2.LINE_AA, SHIFT)
            else:
                cv2.polylines(image, [at], False, colour, sizes[frame], cv2.LINE_AA, SHIFT)
