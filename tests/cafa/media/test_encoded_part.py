"""A part of a picture: its frames, their times, and what the container says about them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cafa.common.errors import InputError
from cafa.media.encoded_part import encode_part, parse_time
from tests.cafa.media.conftest import MakeClip, grey_of, tone


def frames_of(path: Path) -> tuple[list[Fraction], list[float]]:
    """Times in seconds, and mean luma, of every frame."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        times = [frame.pts * frame.time_base for frame in frames]
        return times, [float(frame.to_ndarray(format="gray").mean()) for frame in frames]


def luma(index: int) -> float:
    return (grey_of(index) - 16) * 255 / 219


@pytest.mark.parametrize(
    ("start", "end", "first", "count"), [(0, None, 0, 50), (0.5, 1.0, 12, 13), (1.99, None, 49, 1)]
)
def test_the_part_holds_the_frames_on_the_screen(
    make_clip: MakeClip, start: float, end: float | None, first: int, count: int
) -> None:
    source = make_clip(g="10")
    output = source.with_name("part.mp4")
    seconds = encode_part(source, output, start=start, end=end)
    times, found = frames_of(output)
    assert len(times) == count
    assert times[0] == 0
    assert found == pytest.approx([luma(index) for index in range(first, first + count)], abs=1.5)
    assert seconds == pytest.approx((end or 2.0) - start, abs=0.041)


def test_uneven_times_rotation_and_size_stay(make_clip: MakeClip) -> None:
    times = [Fraction(index * index, 2500) for index in range(40)]
    source = make_clip(times=times, rotation=90, size=(66, 98), sound=tone(1.0, 16000))
    output = source.with_name("part.mp4")
    encode_part(source, output, start=0.1)
    inside = [time - Fraction(1, 10) for time in times if time > Fraction(1, 10)]
    found, _ = frames_of(output)
    assert found[0] == 0
    assert [float(time) for time in found[-len(inside) :]] == pytest.approx([float(time) for time in inside], abs=1e-3)
    with av.open(str(source)) as before, av.open(str(output)) as after:
        one, other = (next(container.decode(video=0)) for container in (before, after))
        assert one.rotation == other.rotation != 0
        assert (one.width, one.height) == (other.width, other.height)
        assert not after.streams.audio


def test_a_gif_and_odd_sizes_are_encoded(tmp_path: Path) -> None:
    gif = tmp_path / "picture.gif"
    with av.open(str(gif), "w") as target:
        stream = target.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = 33, 31, "rgb8"
        for shade in (0, 80, 160, 240):
            frame = av.VideoFrame.from_ndarray(np.full((31, 33), shade, np.uint8), format="gray")
            target.mux(stream.encode(frame.reformat(format="rgb8")))
        target.mux(stream.encode(None))
    seconds = encode_part(gif, tmp_path / "part.mp4")
    assert seconds == pytest.approx(0.4, abs=0.01)
    with av.open(str(tmp_path / "part.mp4")) as made:
        frames = list(made.decode(video=0))
    assert [(frame.width, frame.height) for frame in frames] == [(32, 30)] * 4


@pytest.mark.parametrize(
    ("start", "end", "message"), [(1, 1, "ends after it begins"), (5, None, "no picture after 5 s")]
)
def test_an_empty_part_is_refused(make_clip: MakeClip, start: float, end: float | None, message: str) -> None:
    source = make_clip()
    with pytest.raises(InputError, match=message):
        encode_part(source, source.with_name("part.mp4"), start=start, end=end)
    assert not source.with_name("part.mp4").exists()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1:30", 90), ("0:01:30.5", 90.5), ("1:00:00", 3600), ("0", 0), (" 2.5 ", 2.5)]
)
def test_times(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "a", "-1", "1:60", "1.5:30", "1:2:3:4", "inf", "nan", "1:-2"])
def test_no_times(text: str) -> None:
    with pytest.raises(InputError, match="a time is seconds, m:s or h:m:s"):
        parse_time(text)
