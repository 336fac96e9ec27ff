"""Parts of a video: copied where they begin at a key frame, encoded elsewhere, and in time either way."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cafa.common.errors import InputError
from cafa.media.encoded_part import encode_part
from cafa.media.new_sound import write_with_new_sound
from cafa.media.parts import find_part
from tests.cafa.media.test_new_sound import RATE, clicks, picture_packets, sound_of

SECONDS = 4


def film(path: Path, rate: int = 25, group: int = 25, codec: str = "libx264") -> Path:
    """A picture with key frames, frames that are reordered, and a tone; greys say each frame's number."""
    with av.open(str(path), "w") as output:
        options = {"g": str(group), "keyint_min": str(group), "sc_threshold": "0", "bf": "3"}
        stream = output.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = output.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48_000, layout="mono")
        tone = 0.2 * np.sin(np.arange(SECONDS * 48_000) / 20, dtype=np.float32)
        packets = []
        for start in range(0, len(tone), 960):
            piece = np.ascontiguousarray(tone[None, start : start + 960])
            frame = av.AudioFrame.from_ndarray(piece, "flt" if path.suffix == ".webm" else "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            packets += sound.encode(frame)
        packets += sound.encode(None)
        for number in range(SECONDS * rate):
            picture = np.full((48, 64, 3), 20 + 20 * (number // 10), np.uint8)
            picture[24:] = 20 + 20 * (number % 10)
            packets += stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        packets += stream.encode(None)
        for packet in packets:
            output.mux(packet)
    return path


def numbers(path: Path) -> list[tuple[float, int]]:
    """Time and number of each frame that is shown."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    pictures = [frame.to_ndarray(format="rgb24") for frame in frames]
    tens, ones = ([round((p[rows].mean() - 20) / 20) for p in pictures] for rows in (slice(4, 20), slice(28, 44)))
    times = [float(frame.pts * frame.time_base) for frame in frames]
    return [(time, 10 * ten + one) for time, ten, one in zip(times, tens, ones, strict=True)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_part_from_a_key_frame_on_is_copied(tmp_path: Path, suffix: str) -> None:
    source = film(tmp_path / f"film{suffix}")
    part = find_part(source, 1.0, 2.5)
    assert part is not None
    assert part.copied
    assert part.start == pytest.approx(1.0, abs=1e-3)
    assert 2.5 - 0.021 <= part.end <= 2.5 + 4 / 25
    output = tmp_path / f"new{suffix}"
    write_with_new_sound(source, clicks(5.0), RATE, output, part=part)
    packets = {packet[0] for packet in picture_packets(source)}
    assert all(packet[0] in packets for packet in picture_packets(output))
    shown = numbers(output)
    assert [number for _, number in shown] == list(range(25, 25 + len(shown)))
    assert len(shown) == round(part.seconds * 25)
    assert shown[0][0] == pytest.approx(0, abs=0.002)
    assert all(b[0] - a[0] == pytest.approx(0.04, abs=0.002) for a, b in itertools.pairwise(shown))
    samples, rate = sound_of(output)
    assert samples.shape[1] / rate == pytest.approx(part.seconds, abs=0.03)
    assert np.flatnonzero(np.abs(samples[0]) > 0.3)[0] / rate == pytest.approx(0.5, abs=0.02)


def test_a_part_between_key_frames_is_encoded_and_nothing_else(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4")
    part = find_part(source, 1.4, 3.0)
    assert part is not None
    assert not part.copied
    assert part.note == (
        "the picture is encoded again, since no key frame is at 1.400 s: from 1.000 or 2.000 s it would be copied"
    )
    with pytest.raises(InputError, match="cannot be copied: encode that part first"):
        write_with_new_sound(source, clicks(5.0), RATE, tmp_path / "new.mp4", part=part)
    picture = tmp_path / "picture.mp4"
    encode_part(source, picture, start=part.start, end=part.end)
    tracks = write_with_new_sound(
        source, clicks(5.0), RATE, tmp_path / "new.mp4", track="add", part=part, picture=picture
    )
    assert tracks.kept == ("video h264", "audio aac")
    shown = numbers(tmp_path / "new.mp4")
    assert [number for _, number in shown] == list(range(35, 75))
    old, rate = sound_of(tmp_path / "new.mp4", 1)
    assert old.shape[1] / rate == pytest.approx(1.6, abs=0.05)
    assert np.median(np.abs(old)) > 0.05
    new, _ = sound_of(tmp_path / "new.mp4", 2)
    assert np.flatnonzero(np.abs(new[0]) > 0.3)[0] / RATE == pytest.approx(0.5, abs=0.02)


def test_the_end_goes_where_no_frame_is_missing(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4")
    for end in (1.04, 1.2, 1.36, 1.48, 3.96, 9.0):
        part = find_part(source, 0.0, end)
        assert part is not None
        assert part.copied
        assert min(end, 4.0) - 1e-6 <= part.end <= min(end + 0.16, 4.0) + 1e-6
        assert bool(part.note) == (part.end > min(end, 4.0) + 0.02)
        output = tmp_path / f"{end}.mp4"
        write_with_new_sound(source, clicks(5.0), RATE, output, part=part)
        assert [number for _, number in numbers(output)] == list(range(round(part.end * 25)))


def test_the_whole_is_no_part_and_nothing_is_refused(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4")
    assert find_part(source) is None
    exact = find_part(source, 0.5, 1.1, encode=True)
    assert exact is not None
    assert (exact.start, exact.end, exact.copied) == (0.5, 1.1, False)
    with pytest.raises(InputError, match="has no picture after 7 s: it ends at 4"):
        find_part(source, 7.0)
    with pytest.raises(InputError, match="ends after it begins"):
        find_part(source, 2.0, 1.0)
