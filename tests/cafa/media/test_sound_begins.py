"""The new sound begins with the picture: what other programs find, in every container that is written."""

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cafa.media.container import open_media
from cafa.media.new_sound import write_with_new_sound
from cafa.media.sound import decode_sound, to_float

pytestmark = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffmpeg program to ask")
RATE = 44_100
#: the first so early that it is lost where an encoder's first frame is
AT = (0.004, 0.5, 1.5)
#: name -> how the ffmpeg program encodes it; those with sound begin with the delay of its encoder
SOURCES = {
    "reordered.mp4": "-c:v libx264 -bf 2 -an",
    "plain.mp4": "-c:v libx264 -bf 0 -c:a aac",
    "clip.mov": "-c:v libx264 -bf 2 -c:a pcm_s16le",
    "aac.mkv": "-c:v libx264 -bf 2 -c:a aac",
    "opus.mkv": "-c:v libx264 -bf 0 -c:a libopus",
    "silent.mkv": "-c:v libx264 -bf 2 -an",
    "opus.webm": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus",
    "silent.webm": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -an",
}


def run(*words: str) -> bytes:
    return subprocess.run(words, capture_output=True, check=True).stdout


def source(name: str, folder: Path) -> Path:
    path = folder / name
    made = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=2", "-f", "lavfi", "-i", "sine=d=2")
    run("ffmpeg", "-v", "error", *made, *SOURCES[name].split(), str(path))
    return path


def clicks() -> np.ndarray:
    sound = np.zeros(2 * RATE, np.float32)
    for at in AT:
        sound[round(at * RATE) : round(at * RATE) + 44] = 0.9
    return sound


def begin(path: Path, kind: str) -> float:
    """Second at which the first frame of a kind is presented, as ffprobe has it."""
    words = ("-v", "error", "-select_streams", kind, "-read_intervals", "%+#3", "-show_entries", "frame=pts_time")
    frames = json.loads(run("ffprobe", *words, "-of", "json", str(path)))["frames"]
    return min(float(frame["pts_time"]) for frame in frames)


def onsets(sound: np.ndarray, rate: int) -> list[float]:
    """Seconds at which clicks begin."""
    loud = np.flatnonzero(np.abs(sound) > 0.35) / rate
    return list(loud[np.r_[True, np.diff(loud) > 0.05]])


@pytest.mark.parametrize("name", SOURCES)
def test_the_new_sound_begins_where_the_clip_begins(name: str, tmp_path: Path) -> None:
    before = source(name, tmp_path)
    after = tmp_path / f"new{before.suffix}"
    write_with_new_sound(before, clicks(), RATE, after)
    pictures = begin(before, "v"), begin(after, "v")
    assert abs(pictures[1] - pictures[0]) <= 0.001
    first = begin(before, "a") if "-an" not in SOURCES[name] else pictures[0]
    assert abs(begin(after, "a") - first) <= 0.001
    # what the program decodes, each sample at its time, from the first frame on
    decoded = run("ffmpeg", "-v", "error", "-i", str(after), "-map", "0:a:0", "-ac", "1", "-f", "f32le", "-")
    with open_media(after) as media:
        own = decode_sound(media, Fraction(0), None)
        rate = own.sample_rate
    for sound in (np.frombuffer(decoded, np.float32), to_float(own.samples)[0]):
        np.testing.assert_allclose(onsets(sound, rate), AT, atol=0.001)


def test_the_delay_of_an_encoder_is_no_part_of_a_clip(tmp_path: Path) -> None:
    path = source("opus.webm", tmp_path)
    with open_media(path) as media:
        assert next(media.container.demux(media.stream("audio"))).pts < 0
    with open_media(path) as media:
        assert media.origin == 0
        sound = decode_sound(media, Fraction(0), None)
    assert sound.delay == 0
    assert abs(sound.seconds - 2.0) < 0.001
