"""A circle stays a circle: pixels that are not square are made so, for encoders and judges alike."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cafa.common.errors import ClipError
from cafa.media.frames import read_frames
from cafa.media.normalise import NormaliseSettings, normalise_clip
from metrics.judges.media import sample_frames
from tests.cafa.media.conftest import MakeClip


def with_square(path: Path, size: tuple[int, int], aspect: Fraction, rotation: int = 0) -> Path:
    """A second of a picture in which a bright area is a square only with the pixels' shape taken into account."""
    height, width = size
    luma = np.full(size, 40, np.uint8)
    tall, wide = height // 2, round(height / 2 / aspect)
    top, left = (height - tall) // 2, (width - wide) // 2
    luma[top : top + tall, left : left + wide] = 220
    picture = np.concatenate([luma, np.full((height // 2, width), 128, np.uint8)])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "4", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for _ in range(25):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def seen(path: Path, short_side: int = 256) -> tuple[dict, list[np.ndarray]]:
    out = path.with_name("out.mp4")
    settings = NormaliseSettings(crf=1, short_side=short_side)
    facts = normalise_clip(path, start=0, duration=None, settings=settings, video_output=out, sound_output=None)
    judges = sample_frames(path, {Fraction(25): 20}, lambda frame: frame)[Fraction(25)]
    return facts, [read_frames(out, seconds=0.04, decoder="pyav")[0], judges[0]]


def bright_shape(picture: np.ndarray) -> tuple[int, int]:
    bright = picture.mean(axis=2) > 130
    return int(np.flatnonzero(bright.any(axis=0)).size), int(np.flatnonzero(bright.any(axis=1)).size)


@pytest.mark.parametrize("rotation", [0, 90, 180])
@pytest.mark.parametrize("aspect", [Fraction(64, 45), Fraction(16, 15), Fraction(10, 11), Fraction(1, 2)])
@pytest.mark.parametrize("short_side", [64, 256])
def test_a_square_stays_a_square(tmp_path: Path, aspect: Fraction, rotation: int, short_side: int) -> None:
    path = with_square(tmp_path / "clip.mp4", (144, 180), aspect, rotation)
    facts, pictures = seen(path, short_side)
    shown = (180 * float(aspect), 144) if rotation != 90 else (144, 180 * float(aspect))
    for picture in pictures:
        assert picture.shape[1] / picture.shape[0] == pytest.approx(shown[0] / shown[1], rel=0.03)
        width, height = bright_shape(picture)
        assert abs(width - height) <= 2
    assert pictures[1].shape[:2] == (round(shown[1]), round(shown[0]))  # the judges' are as large as the source
    assert facts["source_pixel_aspect"] == f"{aspect.numerator}:{aspect.denominator}"
    assert (facts["source_width"], facts["source_height"]) == (180, 144)


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(404, 405), Fraction(1281, 1280), Fraction(0)])
def test_pixels_that_are_square_but_for_a_rounding_stay(tmp_path: Path, make_clip: MakeClip, aspect: Fraction) -> None:
    path = with_square(tmp_path / "clip.mp4", (144, 180), aspect) if aspect else make_clip(size=(144, 180))
    facts, pictures = seen(path)
    assert "source_pixel_aspect" not in facts
    assert all(picture.shape[:2] == (144, 180) for picture in pictures)
    if aspect == 1:
        return
    with av.open(str(path)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.array_equal(pictures[1], stored)


def test_a_shape_that_leaves_no_picture_is_said(tmp_path: Path) -> None:
    path = with_square(tmp_path / "clip.mp4", (144, 180), Fraction(1, 60))
    with pytest.raises(ClipError, match="180x144 pixels of the shape 1:60") as caught:
        seen(path)
    assert caught.value.reason == "no_video"
