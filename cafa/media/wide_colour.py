"""Wide and bright colours (BT.2020, P3; PQ, HLG) on a screen of BT.709: a table of colours for FFmpeg's ``lut3d``.

Light of PQ (SMPTE ST 2084) and HLG (Report ITU-R BT.2100, on a screen of 1000 cd/m2) is brought to a screen whose white
has 203 cd/m2, as Report ITU-R BT.2408 puts it, by the curve of Report ITU-R BT.2390: what is dark stays, what is bright
is pressed together, what is beyond 1000 cd/m2 is cut. Colours that BT.709 has not are cut too.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

#: cd/m2 of white, and of the brightest light that is distinguished
WHITE, PEAK = 203.0, 1000.0
#: exponent of a screen of standard range (Recommendation ITU-R BT.1886)
GAMMA = 2.4
#: points of the table along red, green and blue
POINTS = 33
#: flags of FFmpeg's scaler: without them it rounds down on the way from one colour matrix to another
ACCURATE = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
#: chromaticities (x, y) of red, green, blue; white is D65. FFmpeg's number -> (name, chromaticities).
PRIMARIES: dict[int, tuple[str, tuple[tuple[float, float], ...]]] = {
    1: ("BT.709", ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))),
    9: ("BT.2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))),
    12: ("P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))),
}
D65 = (0.3127, 0.3290)
#: FFmpeg's numbers of transfer characteristics
TRANSFERS = {16: "PQ", 18: "HLG"}
#: FFmpeg's numbers of matrices that tell of BT.2020, and of whatever a file does not name
BT2020_MATRICES, UNSPECIFIED = (9, 10), 2


def colour_of(frame: Any) -> tuple[int, str] | None:
    """Primaries (a key of :data:`PRIMARIES`) and transfer (``"PQ"``, ``"HLG"``, ``""``) of a frame that needs a table.

    None for the usual frame, of BT.709 or near it and of standard range.

    Parameters
    ----------
    frame : av.VideoFrame
    """
    primaries, transfer = int(frame.color_primaries), TRANSFERS.get(int(frame.color_trc), "")
    if primaries == UNSPECIFIED and (transfer or int(frame.colorspace) in BT2020_MATRICES):
        primaries = 9
    if primaries not in PRIMARIES:
        primaries = 1
    return (primaries, transfer) if transfer or primaries != 1 else None


def name_of(colour: tuple[int, str]) -> str:
    """As ``BT.2020 PQ``."""
    return " ".join(filter(None, (PRIMARIES[colour[0]][0], colour[1])))


def pq_to_light(code: np.ndarray) -> np.ndarray:
    """cd/m2 of values of PQ (0 to 1)."""
    power = np.asarray(code, np.float64) ** (32 / 2523)
    return 10000 * (np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)) ** (16384 / 2610)


def light_to_pq(light: np.ndarray | float) -> np.ndarray:
    """Values of PQ (0 to 1) of cd/m2."""
    power = (np.asarray(light, np.float64) / 10000) ** (2610 / 16384)
    return ((107 / 128 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg_to_light(code: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """cd/m2, on a screen of 1000, of values of HLG (0 to 1, last axis R'G'B'); `weights` of R, G, B: the luminance."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return PEAK * (scene @ weights)[..., None] ** 0.2 * scene


def pressed(light: np.ndarray) -> np.ndarray:
    """The curve of BT.2390: from light of up to :data:`PEAK` to light of up to :data:`WHITE`, in cd/m2."""
    peak = light_to_pq(PEAK)
    code, most = np.minimum(light_to_pq(light) / peak, 1), light_to_pq(WHITE) / peak
    knee = 1.5 * most - 0.5
    t = np.maximum(code - knee, 0) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return pq_to_light(np.where(code < knee, code, spline) * peak)


def to_xyz(primaries: int) -> np.ndarray:
    """Matrix (3, 3) from linear R, G, B to X, Y, Z; white has Y = 1."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in PRIMARIES[primaries][1]]).T
    white = np.array([D65[0] / D65[1], 1, (1 - D65[0] - D65[1]) / D65[1]])
    return columns * np.linalg.solve(columns, white)


def shown(code: np.ndarray, colour: tuple[int, str]) -> np.ndarray:
    """Colours of BT.709 for those of another kind.

    Parameters
    ----------
    code : numpy.ndarray
        R'G'B', 0 to 1, last axis 3.
    colour : (int, str)
        As from :func:`colour_of`.

    Returns
    -------
    numpy.ndarray
        R'G'B', 0 to 1, for a screen of exponent 2.4.
    """
    primaries, transfer = colour
    if transfer == "PQ":
        light = pressed(pq_to_light(code)) / WHITE
    elif transfer == "HLG":
        light = pressed(hlg_to_light(code, to_xyz(primaries)[1])) / WHITE
    else:
        light = code**GAMMA
    light = light @ np.linalg.solve(to_xyz(1), to_xyz(primaries)).T
    return np.clip(light, 0, 1) ** (1 / GAMMA)


@cache
def _table(colour: tuple[int, str]) -> str:
    steps = np.linspace(0, 1, POINTS)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    colours = shown(np.stack([red, green, blue], axis=-1).reshape(-1, 3), colour)
    return f"LUT_3D_SIZE {POINTS}\n" + "".join(f"{r:.6f} {g:.6f} {b:.6f}\n" for r, g, b in colours.tolist())


@contextmanager
def colour_filters(colour: tuple[int, str] | None) -> Iterator[list[tuple[str, Any]]]:
    """Filters that bring colours of this kind to BT.709, none for None; their graph is made within the context.

    The table goes to FFmpeg through a file (Adobe's format, red fastest), which it reads when the graph is made.
    """
    if colour is None:
        yield []
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.cube"
        path.write_text(_table(colour), encoding="ascii")
        yield [
            ("scale", f"flags={ACCURATE}"),
            ("format", "gbrp16le"),
            ("lut3d", {"file": str(path), "interp": "tetrahedral"}),
            ("setparams", "color_primaries=unknown:color_trc=unknown"),
        ]
