"""All eight display matrices: turns, and pictures of front cameras that are mirrored too."""

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cafa.media.display import orientation
from cafa.media.frames import read_frames
from cafa.media.normalise import NormaliseSettings, normalise_clip
from metrics.judges.media import sample_frames
from tests.cafa.media.conftest import MakeClip

HEIGHT, WIDTH = 64, 96
#: a, b, c, d, x, y of x' = a x + c y, y' = b x + d y; then (mirrored, degrees clockwise)
MATRICES = {
    "none": ((1, 0, 0, 1, 0, 0), (False, 0)),
    "turn90": ((0, 1, -1, 0, HEIGHT, 0), (False, 90)),
    "turn180": ((-1, 0, 0, -1, WIDTH, HEIGHT), (False, 180)),
    "turn270": ((0, -1, 1, 0, 0, WIDTH), (False, 270)),
    "mirror": ((-1, 0, 0, 1, WIDTH, 0), (True, 0)),
    "flip": ((1, 0, 0, -1, 0, HEIGHT), (True, 180)),
    "transpose": ((0, 1, 1, 0, 0, 0), (True, 270)),
    "antitranspose": ((0, -1, -1, 0, HEIGHT, WIDTH), (True, 90)),
}


def fixed(value: float, bits: int = 16) -> bytes:
    return round(value * (1 << bits)).to_bytes(4, "big", signed=True)


@pytest.fixture
def turned(make_clip: MakeClip, request: pytest.FixtureRequest) -> Path:
    """A clip whose top left corner is bright, with the display matrix of that name."""
    path = make_clip(mark=True, size=(HEIGHT, WIDTH))
    data = bytearray(path.read_bytes())
    a, b, c, d, x, y = MATRICES[request.param][0]
    at = data.index(b"tkhd") + 44
    rows = ((a, b, 0), (c, d, 0), (x, y, 1))
    data[at : at + 36] = b"".join(
        fixed(value, 30 if place == 2 else 16) for row in rows for place, value in enumerate(row)
    )
    path.write_bytes(data)
    return path


def both(path: Path) -> dict[str, np.ndarray]:
    """The first frame as encoders get it from an ingest, and as the judges get it."""
    out = path.with_name("out.mp4")
    facts = normalise_clip(
        path, start=0, duration=1.0, settings=NormaliseSettings(crf=1), video_output=out, sound_output=None
    )
    judges = sample_frames(path, {Fraction(25): 1}, lambda frame: frame)[Fraction(25)][0]
    return {"facts": facts, "ingest": read_frames(out, seconds=0.04, decoder="pyav")[0], "judges": judges}


def expected(name: str) -> np.ndarray:
    """Where the matrix puts the stored pixels, one by one."""
    a, b, c, d, x, y = MATRICES[name][0]
    stored = np.full((HEIGHT, WIDTH), grey(24))
    stored[: HEIGHT // 4, : WIDTH // 4] = grey(235)
    shown = np.zeros((WIDTH, HEIGHT) if b else (HEIGHT, WIDTH))
    for row in range(HEIGHT):
        for column in range(WIDTH):
            right, down = column + 0.5, row + 0.5
            shown[int(b * right + d * down + y), int(a * right + c * down + x)] = stored[row, column]
    return shown


def grey(luma: float) -> float:
    return (luma - 16) * 255 / 219


@pytest.mark.parametrize(("turned", "name"), [(name, name) for name in MATRICES], indirect=["turned"])
def test_every_pixel_is_where_the_matrix_puts_it(turned: Path, name: str) -> None:
    seen = both(turned)
    for reader in ("ingest", "judges"):
        assert seen[reader].shape[:2] == expected(name).shape, reader
        assert np.abs(seen[reader].mean(axis=2) - expected(name)).mean() < 3, reader
    mirrored, degrees = MATRICES[name][1]
    stored = expected("none")
    assert np.array_equal(np.rot90(stored[:, ::-1] if mirrored else stored, -degrees // 90), expected(name))
    assert seen["facts"]["source_rotation"] == degrees
    assert seen["facts"].get("source_mirrored", False) == mirrored
    assert mirrored or "source_mirrored" not in seen["facts"]


@pytest.mark.parametrize("turned", MATRICES, indirect=True)
def test_as_ffmpeg_shows_them(turned: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg here to compare with")
    command = ["ffmpeg", "-v", "error", "-i", turned, "-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    seen = both(turned)
    shown = np.frombuffer(raw, np.uint8).reshape(seen["judges"].shape).astype(float)
    assert np.array_equal(seen["judges"], shown)
    assert np.abs(seen["ingest"] - shown).mean() < 3


class Tilted:
    """A frame whose matrix turns by any angle."""

    def __init__(self, degrees: float) -> None:
        from av.sidedata.sidedata import Type

        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        rows = [cosine, sine, 0, -sine, cosine, 0, 0, 0, 1 << 14]
        data = np.array([value * 65536 for value in rows], np.int32)
        self.side_data = [type("Data", (), {"type": Type.DISPLAYMATRIX, "__bytes__": lambda _: data.tobytes()})()]


@pytest.mark.parametrize(("degrees", "nearest"), [(1, 0), (44, 0), (46, 90), (170, 180), (-80, 270)])
def test_other_angles_are_taken_as_the_nearest(degrees: float, nearest: int) -> None:
    found = orientation(Tilted(degrees))
    assert (found.mirrored, found.rotation) == (False, nearest)
