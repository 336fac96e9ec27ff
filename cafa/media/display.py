"""How a player shows a stored picture: which way up, how wide a pixel is, which colours its numbers mean."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Colorspace

from cafa.common.errors import ClipError
from cafa.media.wide_colour import UNSPECIFIED, colour_of

#: A pixel that is less than this away from square counts as square: programs that round sizes write such shapes, and
#: every shape in use that is meant differs by 6 % or more.
NEARLY_SQUARE = Fraction(1, 50)
#: Pixels from which a picture without tags counts as HD, so as BT.709: of its longer side, or beyond of its shorter.
HD_LONG, SD_SHORT = 1280, 576
#: FFmpeg's numbers of these matrices; that of BT.2020 is the one of its primaries too
BT709, BT2020 = int(Colorspace.ITU709), int(Colorspace.BT2020)
#: numbers of the matrices that FFmpeg converts, and of the one that follows from the primaries (ITU-T H.273)
MATRICES, OF_THE_PRIMARIES = (0, 1, 4, 5, 6, 7, 9, 10), 12


@dataclass(frozen=True)
class Orientation:
    """What brings a stored picture upright.

    Attributes
    ----------
    transposed : bool
        Rows become columns, about the diagonal from the top left; before the others.
    left_right, top_bottom : bool
        Sides that are then exchanged.
    """

    transposed: bool = False
    left_right: bool = False
    top_bottom: bool = False

    @property
    def mirrored(self) -> bool:
        """Whether no turn alone does it."""
        return (self.transposed + self.left_right + self.top_bottom) % 2 == 1

    @property
    def rotation(self) -> int:
        """Degrees, clockwise; of the mirrored picture (left and right exchanged) where it is `mirrored`."""
        if not self.transposed:
            return 180 * self.top_bottom
        return 90 if self.left_right else 270

    @property
    def filters(self) -> list[tuple[str, str | None]]:
        """Filters of FFmpeg, with their arguments."""
        steps = [
            (self.transposed, "transpose", "cclock_flip"),
            (self.left_right, "hflip", None),
            (self.top_bottom, "vflip", None),
        ]
        return [(name, argument) for wanted, name, argument in steps if wanted]

    def sides(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the upright picture; and back, from the upright to the stored one."""
        return (height, width) if self.transposed else (width, height)


def orientation(frame: Any) -> Orientation:
    """Read a frame's display matrix; all eight turns and mirrorings, any other angle as the nearest of them.

    Parameters
    ----------
    frame : av.VideoFrame
    """
    found = [bytes(data) for data in frame.side_data if data.type == Type.DISPLAYMATRIX]
    if not found:
        return Orientation()
    # Rows (a b u) (c d v) (x y w): x' = a x + c y, y' = b x + d y.
    a, b, _, c, d = (int(value) for value in np.frombuffer(found[0], np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def pixel_aspect(stream: Any) -> Fraction:
    """Width of a stored pixel over its height, as the container says, else the codec; 1 where neither does.

    Parameters
    ----------
    stream : av.video.stream.VideoStream
    """
    aspect = Fraction(stream.sample_aspect_ratio or 0)
    return aspect if aspect > 0 and abs(aspect - 1) > NEARLY_SQUARE else Fraction(1)


def ratio(aspect: Fraction) -> str:
    """As ``64:45``."""
    return f"{aspect.numerator}:{aspect.denominator}"


def square_size(frame: Any, aspect: Fraction) -> tuple[int, int]:
    """Width and height, whole pixels, of a frame whose pixels are made square: its height stays."""
    return max(round(frame.width * aspect), 1), frame.height


def name_matrix(frame: Any) -> bool:
    """Name the colour matrix of a frame without one: of HD BT.709, as players take it; of BT.2020's colours its own.

    Smaller pictures stay as they are: FFmpeg takes them for BT.601, as players do.

    Parameters
    ----------
    frame : av.VideoFrame
        Its ``colorspace`` is set.

    Returns
    -------
    bool
        Whether BT.709 was assumed.

    Raises
    ------
    ClipError
        ``corrupt``, if it names one that FFmpeg does not convert.
    """
    sides = sorted((frame.width, frame.height))
    if frame.format.is_rgb or frame.format.has_palette:
        return False
    colour = colour_of(frame)
    if int(frame.colorspace) == OF_THE_PRIMARIES:
        frame.colorspace = BT2020 if colour is not None and colour[0] == BT2020 else BT709
    if int(frame.colorspace) not in (*MATRICES, UNSPECIFIED):
        raise ClipError(
            "corrupt",
            f"FFmpeg does not convert the colour matrix that the picture names (number {int(frame.colorspace)} of ITU-T"
            f" H.273; {', '.join(map(str, MATRICES))} it does): make another file of it first",
        )
    if int(frame.colorspace) != UNSPECIFIED:
        return False
    if colour is not None and colour[0] == BT2020:
        frame.colorspace = BT2020
        return False
    assumed = sides[1] >= HD_LONG or sides[0] > SD_SHORT
    if assumed:
        frame.colorspace = BT709
    return assumed
