"""HDR and wide colours: light as the standards define it, on a screen of BT.709."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cafa.media.frames import read_frames
from cafa.media.normalise import NormaliseSettings, normalise_clip
from cafa.media.wide_colour import (
    colour_filters,
    hlg_to_light,
    light_to_pq,
    pq_to_light,
    pressed,
    shown,
    to_xyz,
)
from metrics.judges.media import sample_frames
from tests.cafa.media.test_colours import middles, rgb_of

#: FFmpeg's numbers
BT709, BT2020, P3, PQ, HLG, UNKNOWN = 1, 9, 12, 16, 18, 2
GREYS = np.array([[code, 128, 128] for code in (30, 64, 100, 126, 150, 180)])
COLOURS = np.array([[90, 128, 128], [100, 110, 160], [110, 100, 120], [80, 160, 120], [120, 130, 140], [70, 120, 125]])


def film(path: Path, codes: np.ndarray, *, primaries: int, transfer: int, matrix: int, size: tuple[int, int]) -> Path:
    """Bars of 10 bits; `codes` (Y', Cb, Cr) are of 8 bits."""
    height, width = size
    bars = np.repeat(4 * codes, width // len(codes), axis=0).astype(np.uint16)
    bars = np.concatenate([bars, np.repeat(bars[-1:], width - len(bars), axis=0)])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p10le"
        tags = {"color_primaries": primaries, "color_trc": transfer, "colorspace": matrix}
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for _ in range(15):
            frame = av.VideoFrame(width, height, "yuv444p10le")
            for plane, values in zip(frame.planes, bars.T, strict=True):
                rows = np.zeros((height, plane.line_size // 2), np.uint16)
                rows[:, :width] = values
                plane.update(rows.tobytes())
            for name, value in tags.items():
                setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
        assert (int(first.color_primaries), int(first.color_trc), int(first.colorspace)) == tuple(tags.values())
    return path


def seen(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    out = path.with_name("out.mp4")
    settings = NormaliseSettings(crf=1)
    facts = normalise_clip(path, start=0, duration=None, settings=settings, video_output=out, sound_output=None)
    pictures = {
        "ingest": read_frames(out, seconds=0.04, decoder="pyav")[0],
        "judges": sample_frames(path, {Fraction(25): 10}, lambda frame: frame)[Fraction(25)][0],
    }
    return facts, {reader: middles(picture) for reader, picture in pictures.items()}


KINDS = {
    "BT.2020 PQ": (BT2020, PQ, 9, (180, 320)),
    "BT.2020 HLG": (BT2020, HLG, 9, (720, 1280)),
    "BT.2020": (BT2020, 14, 9, (180, 320)),
    "P3 PQ": (P3, PQ, 9, (180, 320)),
    "P3": (P3, 1, 1, (180, 320)),
    "BT.2020 PQ without other tags": (UNKNOWN, PQ, UNKNOWN, (720, 1280)),
    "BT.2020 by its matrix": (UNKNOWN, UNKNOWN, 9, (180, 320)),
    "BT.2020 by its primaries": (BT2020, UNKNOWN, UNKNOWN, (720, 1280)),
}


@pytest.mark.parametrize("codes", [GREYS, COLOURS], ids=["greys", "colours"])
@pytest.mark.parametrize("kind", KINDS)
def test_encoders_and_judges_see_the_light_that_the_numbers_mean(tmp_path: Path, kind: str, codes: np.ndarray) -> None:
    primaries, transfer, matrix, size = KINDS[kind]
    path = film(tmp_path / "clip.mp4", codes, primaries=primaries, transfer=transfer, matrix=matrix, size=size)
    facts, colours = seen(path)
    coded = rgb_of(codes, "BT.709" if matrix == 1 else "BT.2020") / 255
    wanted = 255 * shown(coded, (P3 if primaries == P3 else BT2020, {PQ: "PQ", HLG: "HLG"}.get(transfer, "")))
    for reader, found in colours.items():
        apart = np.abs(found - wanted)
        assert apart.mean() < 2, reader
        assert apart.max() < 9, reader  # a dark and deep colour, between two points of the table
        if codes is GREYS:
            assert np.ptp(found, axis=1).max() <= 1, reader  # grey stays grey
            assert (np.diff(found[:, 0]) > 5).all(), reader
    name = kind.split(" without")[0].split(" by")[0]
    assert facts["source_colour"] == name


def test_numbers_of_the_standards() -> None:
    light = np.array([0.1, 1, 100, 203, 1000, 10000])
    assert np.allclose(light_to_pq(light), [0.0623, 0.1499, 0.5081, 0.5807, 0.7518, 1], atol=1e-4)  # ST 2084
    assert np.allclose(pq_to_light(light_to_pq(light)), light)
    weights = to_xyz(BT2020)[1]
    assert np.allclose(weights, [0.2627, 0.6780, 0.0593], atol=1e-4)
    greys = hlg_to_light(np.repeat([[0.0], [0.75], [1.0]], 3, axis=1), weights)
    assert np.allclose(greys, [[0] * 3, [203] * 3, [1000] * 3], atol=1.0)  # BT.2408: graphics white
    matrix = np.linalg.solve(to_xyz(BT709), to_xyz(BT2020))  # BT.2087
    assert np.allclose(
        matrix, [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], atol=1e-4
    )


def test_what_is_dark_stays_and_what_is_bright_is_pressed_together() -> None:
    light = np.linspace(0, 1000, 400)
    out = pressed(light)
    assert np.allclose(out[light < 90], light[light < 90])
    assert (np.diff(out) > 0).all()
    assert (out <= light + 1e-6).all()
    assert out[-1] == pytest.approx(203)
    assert pressed(np.array([4000.0]))[0] == pytest.approx(203)


def test_the_same_light_in_two_codes_looks_the_same() -> None:
    hlg = np.linspace(0.05, 1, 30)[:, None] * np.array([1.0, 0.8, 0.6])
    light = hlg_to_light(hlg, to_xyz(BT2020)[1])
    assert np.allclose(shown(hlg, (BT2020, "HLG")), shown(light_to_pq(light), (BT2020, "PQ")), atol=1e-6)


def test_white_of_standard_range_stays_white() -> None:
    for primaries in (BT2020, P3):
        assert np.allclose(
            shown(np.array([[0.0] * 3, [0.5] * 3, [1.0] * 3]), (primaries, "")), [[0], [0.5], [1]], atol=1e-3
        )


def test_the_usual_film_needs_no_table() -> None:
    with colour_filters(None) as filters:
        assert filters == []
