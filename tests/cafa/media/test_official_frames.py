"""The published demo's frames, against the program that it calls."""

import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cafa.common.errors import ClipError
from cafa.media.official_frames import SIZE, OutputRate, read_official_frames
from tests.cafa.media.conftest import MakeClip

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the program ffmpeg is not installed")
#: 30, 24.6, 25, 29.97 and 23.976 frames per second.
CLIPS = ["fcvgg1", "fcvgg0", "F8Zt3mYlOqU_000094", "keyboard", "drum"]
#: What the demo does, before and behind the video.
OPTIONS = ["-r", "25", "-vf", "scale=256:256", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]


def ffmpeg(*words: str) -> bytes:
    return subprocess.run(["ffmpeg", "-v", "error", "-y", *words], check=True, capture_output=True).stdout


def demo(path: Path, *before: str) -> np.ndarray:
    return np.frombuffer(ffmpeg(*before, "-i", str(path), *OPTIONS), np.uint8).reshape(-1, SIZE, SIZE, 3)


def ours(path: Path, start: float = 0.0) -> np.ndarray:
    version = re.match(rb"ffmpeg version n?(\d+)\.(\d+)", subprocess.check_output(["ffmpeg", "-version"]))
    # A build of no numbered version is a recent one.
    old = version is not None and tuple(map(int, version.groups())) < (6, 1)
    return read_official_frames(path, frames=400, start=start, nominal_lengths=old)


def assert_same(mine: np.ndarray, theirs: np.ndarray) -> None:
    """The same frame in every slot: scaled by two versions of libswscale, which round alike or nearly so."""
    assert len(mine) == len(theirs)
    difference = np.abs(mine.astype(int) - theirs)
    assert difference.mean((1, 2, 3)).max() < 0.1
    assert difference.max() <= 2


@needs_ffmpeg
@pytest.mark.parametrize("name", CLIPS)
def test_real_clips_are_read_as_the_demo_reads_them(name: str, shared: Path):
    path = shared / "clips" / "groundtruth" / f"{name}.mp4"
    assert_same(ours(path), demo(path))


def filled(times: list[Fraction], length: Fraction) -> list[int]:
    """Number of the frame in each slot."""
    rate, found = OutputRate(), []
    for number, time in enumerate(times):
        before, own = rate.slots(time, length)
        found += [max(number - 1, 0)] * before + [number] * own
    return found + [len(times) - 1] * rate.rest()


def test_the_slots_of_constant_rates():
    """What the comparisons with the program above and below found, for machines without it."""
    faster = filled([Fraction(n, 30) for n in range(300)], Fraction(1, 30))
    assert faster[:26] == [*range(12), *range(13, 18), *range(19, 24), *range(25, 29)]
    assert len(faster) == 252
    late = [Fraction(slot, 25) - Fraction(number, 30) for slot, number in enumerate(faster)]
    assert min(late) == 0
    assert (min(late[12:]), max(late)) == (Fraction(7, 150), Fraction(11, 150))
    slower = filled([Fraction(n, 24) for n in range(240)], Fraction(1, 24))
    assert slower[:40] == [*range(12), 11, *range(12, 36), 35, 36, 37][:40]
    assert len(slower) == 250
    assert filled([Fraction(n, 25) for n in range(250)], Fraction(1, 25)) == list(range(250))


@needs_ffmpeg
@pytest.mark.parametrize("rate", ["10", "25/2", "15", "24", "24000/1001", "50", "60000/1001", "120", "7/3"])
def test_any_rate(rate: str, tmp_path: Path):
    path = tmp_path / "clip.mp4"
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size=160x90:rate={rate}:duration=4.3", str(path))
    assert_same(ours(path), demo(path))


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_uneven_times_and_a_late_picture(suffix: str, tmp_path: Path):
    path = tmp_path / f"clip.{suffix}"
    tone = ["-f", "lavfi", "-i", "sine=duration=5"]
    picture = ["-f", "lavfi", "-itsoffset", "0.37", "-i", "testsrc2=size=160x90:rate=30:duration=4"]
    uneven = r"select='not(between(n,20,49))*not(eq(mod(n,7),3))',setpts='PTS+mod(N,3)*0.007/TB'"
    ffmpeg(*tone, *picture, "-vf", uneven, "-fps_mode", "passthrough", "-c:v", "libx264", "-bf", "0", str(path))
    assert_same(ours(path), demo(path))


@needs_ffmpeg
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_turned_pictures(turn: int, make_clip: MakeClip):
    path = make_clip(rotation=turn, mark=True, size=(48, 96))
    assert_same(ours(path), demo(path))
    corner = ours(path)[0, :40, :40].mean()
    assert corner < 100  # the mark of the file's top left corner is elsewhere


@needs_ffmpeg
def test_a_part_of_a_longer_video(shared: Path):
    path = shared / "clips" / "groundtruth" / "fcvgg1.mp4"
    assert_same(ours(path, start=3.4), demo(path, "-ss", "3.4"))


def test_no_frame_is_refused(shared: Path, tmp_path: Path):
    path = shared / "clips" / "groundtruth" / "cow.mp4"
    with pytest.raises(ClipError, match=r"no frame at all from 60\.000 s on"):
        read_official_frames(path, frames=250, start=60.0)
    with pytest.raises(ClipError, match="missing_file"):
        read_official_frames(tmp_path / "nothing.mp4", frames=250)
