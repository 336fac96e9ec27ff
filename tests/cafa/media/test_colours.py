"""Colours are those that a file's numbers mean: by its matrix and range, or as players take it where it says none."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from cafa.common.errors import ClipError
from cafa.media.frames import read_frames
from cafa.media.normalise import NormaliseSettings, normalise_clip
from metrics.judges.media import sample_frames

#: luma weights of red and blue
WEIGHTS = {"BT.601": (0.299, 0.114), "BT.709": (0.2126, 0.0722), "BT.2020": (0.2627, 0.0593)}
PATCHES = np.array([[40, 128, 128], [180, 128, 128], [90, 100, 190], [120, 170, 90], [140, 90, 110], [70, 150, 150]])


def rgb_of(codes: np.ndarray, matrix: str, full: bool = False) -> np.ndarray:
    """R'G'B' of 0 to 255 from 8-bit codes of Y'CbCr."""
    red, blue = WEIGHTS[matrix]
    y, cb, cr = np.moveaxis(codes.astype(float), -1, 0)
    y, cb, cr = (
        (y / 255, (cb - 128) / 255, (cr - 128) / 255) if full else ((y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224)
    )
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.clip(255 * np.stack([r, g, b], axis=-1), 0, 255)


def patches(path: Path, size: tuple[int, int], codes: np.ndarray = PATCHES, **tags: int) -> Path:
    """Upright bars of equal width, one per row of `codes` (Y', Cb, Cr), lossless."""
    height, width = size
    bars = np.repeat(codes, width // len(codes), axis=0)
    bars = np.concatenate([bars, np.repeat(bars[-1:], width - len(bars), axis=0)])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for _ in range(15):
            frame = av.VideoFrame(width, height, "yuv444p")
            for plane, values in zip(frame.planes, bars.T, strict=True):
                rows = np.zeros((height, plane.line_size), np.uint8)
                rows[:, :width] = values
                plane.update(rows.tobytes())
            for name, value in tags.items():
                setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def seen(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Facts, and the colours of the middles of the bars: shape (bars, 3)."""
    out = path.with_name("out.mp4")
    settings = NormaliseSettings(crf=1)
    facts = normalise_clip(path, start=0, duration=None, settings=settings, video_output=out, sound_output=None)
    with av.open(str(out)) as container:  # what a reader that knows no tags takes it for
        assert int(next(container.decode(video=0)).colorspace) in (5, 6)
    pictures = {
        "ingest": read_frames(out, seconds=0.04, decoder="pyav")[0],
        "judges": sample_frames(path, {Fraction(25): 10}, lambda frame: frame)[Fraction(25)][0],
    }
    return facts, {reader: middles(picture) for reader, picture in pictures.items()}


def middles(picture: np.ndarray, bars: int = len(PATCHES)) -> np.ndarray:
    height, width = picture.shape[:2]
    return np.stack([picture[height // 2, round((k + 0.5) * width / bars)].astype(float) for k in range(bars)])


@pytest.mark.parametrize(
    ("size", "matrix"),
    [
        ((720, 1280), "BT.709"),
        ((1280, 720), "BT.709"),
        ((544, 1280), "BT.709"),
        ((600, 800), "BT.709"),
        ((576, 720), "BT.601"),
        ((360, 640), "BT.601"),
        ((720, 406), "BT.601"),
    ],
)
def test_hd_without_tags_is_bt709_and_sd_is_bt601(tmp_path: Path, size: tuple[int, int], matrix: str) -> None:
    facts, colours = seen(patches(tmp_path / "clip.mp4", size))
    for reader, found in colours.items():
        assert np.abs(found - rgb_of(PATCHES, matrix)).max() < 5, reader
    assert facts.get("source_colour") == ("BT.709, assumed" if matrix == "BT.709" else None)


@pytest.mark.parametrize("size", [(720, 1280), (360, 640)])
@pytest.mark.parametrize(
    ("tag", "matrix"), [(Colorspace.ITU709, "BT.709"), (Colorspace.SMPTE170M, "BT.601"), (Colorspace.ITU624, "BT.601")]
)
def test_a_tag_counts_whatever_the_size(tmp_path: Path, size: tuple[int, int], tag: int, matrix: str) -> None:
    facts, colours = seen(patches(tmp_path / "clip.mp4", size, colorspace=tag))
    for reader, found in colours.items():
        assert np.abs(found - rgb_of(PATCHES, matrix)).max() < 5, reader
    assert "source_colour" not in facts


@pytest.mark.parametrize("size", [(720, 1280), (360, 640)])
def test_full_range(tmp_path: Path, size: tuple[int, int]) -> None:
    path = patches(tmp_path / "clip.mp4", size, color_range=ColorRange.JPEG)
    matrix = "BT.709" if size[0] == 720 else "BT.601"
    for reader, found in seen(path)[1].items():
        assert np.abs(found - rgb_of(PATCHES, matrix, full=True)).max() < 5, reader


def test_rgb_has_no_matrix(tmp_path: Path) -> None:
    colours = np.array(
        [[200, 30, 40], [20, 180, 60], [90, 90, 90], [255, 255, 255], [0, 0, 0], [10, 60, 220]], np.uint8
    )
    picture = np.repeat(np.repeat(colours, 216, axis=0)[None], 720, axis=0)
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], "bgr0"
        for _ in range(15):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode(None))
    facts, found = seen(path)
    for reader, seen_colours in found.items():
        assert np.abs(seen_colours - colours).max() < 6, reader
    assert "source_colour" not in facts


@pytest.mark.parametrize("number", [8, 11, 14])
def test_a_matrix_that_is_not_known_is_said(tmp_path: Path, number: int) -> None:
    path = patches(tmp_path / "clip.mp4", (96, 128), colorspace=number)
    with pytest.raises(ClipError, match=f"number {number} of ITU-T H.273") as caught:
        seen(path)
    assert caught.value.reason == "corrupt"
    with pytest.raises(ClipError, match=f"number {number} of"):
        sample_frames(path, {Fraction(25): 10}, lambda frame: frame)


def test_a_matrix_that_follows_from_the_primaries(tmp_path: Path) -> None:
    _, colours = seen(patches(tmp_path / "clip.mp4", (96, 128), colorspace=12))
    for reader, found in colours.items():
        assert np.abs(found - rgb_of(PATCHES, "BT.709")).max() < 6, reader


@pytest.mark.parametrize("size", [(720, 1280), (256, 360)])
@pytest.mark.parametrize("full", [False, True])
def test_from_one_matrix_to_the_other_by_rounding_alone(tmp_path: Path, size: tuple[int, int], full: bool) -> None:
    """Codes of the normalised clip are the exact ones to the nearest whole number, colours beyond R'G'B' included."""
    codes = np.array([[40, 128, 128], [181, 128, 128], [91, 90, 200], [120, 190, 60], [143, 60, 90], [70, 160, 166]])
    tags = {"colorspace": Colorspace.ITU709, "color_range": ColorRange.JPEG if full else ColorRange.MPEG}
    path, out = patches(tmp_path / "clip.mp4", size, codes, **tags), tmp_path / "out.mp4"
    normalise_clip(path, start=0, duration=None, settings=NormaliseSettings(crf=1), video_output=out, sound_output=None)
    with av.open(str(out)) as container:
        planes = next(container.decode(video=0)).reformat(format="yuv444p", interpolation="POINT").to_ndarray()
    found = np.stack([middles(plane, len(codes)) for plane in planes], axis=-1)
    given = codes - [16, 128, 128] if not full else (codes - [0, 128, 128]) * [219 / 255, 224 / 255, 224 / 255]
    matrices = []
    for red, blue in (WEIGHTS["BT.601"], WEIGHTS["BT.709"]):
        luma = np.array([red, 1 - red - blue, blue])
        rows = [luma, (np.eye(3)[2] - luma) / (2 - 2 * blue), (np.eye(3)[0] - luma) / (2 - 2 * red)]
        matrices.append(np.diag([219, 224, 224]) @ rows)
    wanted = given @ (matrices[0] @ np.linalg.inv(matrices[1])).T + [16, 128, 128]
    assert np.abs(found - wanted).max() < 1.1
    assert np.abs((found - wanted).mean(axis=0)).max() < 0.5
