"""GIF: pictures with delays of hundredths of a second, and no sound."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cafa.common.errors import ClipError
from cafa.media.frames import read_frames
from cafa.media.normalise import NormaliseSettings, normalise_clip
from metrics.judges.media import sample_frames

SIDE = 32
GREYS = (10, 60, 110, 160, 210, 250)


def gif(path: Path, delays: list[int], loops: int | None = None) -> Path:
    """A GIF of uniform greys, written byte by byte; `delays` in hundredths of a second."""
    palette = b"".join(bytes([grey] * 3) for grey in (*GREYS, 0, 0))
    data = b"GIF89a" + struct.pack("<HHBBB", SIDE, SIDE, 0xF2, 0, 0) + palette
    if loops is not None:
        data += b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", loops) + b"\x00"
    for index, delay in enumerate(delays):
        data += b"\x21\xf9\x04\x04" + struct.pack("<HBB", delay, 0, 0)
        data += b"\x2c" + struct.pack("<HHHHB", 0, 0, SIDE, SIDE, 0) + b"\x03"
        # LZW without compression: after each clear (8), codes of 4 bits stay so for 6 pixels
        codes, pixels = [], SIDE * SIDE
        while pixels:
            run = min(pixels, 6)
            codes += [8, *[index % len(GREYS)] * run]
            pixels -= run
        codes += [9, 0]
        codes += [0] * (len(codes) % 2)
        packed = bytes(low | high << 4 for low, high in zip(codes[::2], codes[1::2], strict=True))
        blocks = [packed[k : k + 255] for k in range(0, len(packed), 255)]
        data += b"".join(bytes([len(block)]) + block for block in blocks) + b"\x00"
    path.write_bytes(data + b"\x3b")
    return path


def expected(delays: list[int]) -> list[int]:
    """Grey of each 25th of a second; delays of 0 and 1 are 1/10 s."""
    ends = np.cumsum([delay if delay >= 2 else 10 for delay in delays])
    starts = [Fraction(0), *(Fraction(int(end), 100) for end in ends)]
    count = int(Fraction(int(ends[-1]), 100) * 25 + Fraction(1, 2))
    slots = [int(start * 25 + Fraction(1, 2)) for start in starts[:-1]]
    return [GREYS[max(k for k, slot in enumerate(slots) if slot <= frame) % len(GREYS)] for frame in range(count)]


@pytest.mark.parametrize("loops", [None, 0, 3])
@pytest.mark.parametrize(
    "delays",
    [[8] * 20, [0] * 6, [1] * 7, [4, 20, 8, 40, 12], [10, 10, 200], [2] * 60],
    ids=lambda delays: str(len(delays)),
)
def test_frames_are_shown_for_their_delays(tmp_path: Path, delays: list[int], loops: int | None) -> None:
    path, out = gif(tmp_path / "clip.gif", delays, loops), tmp_path / "out.mp4"
    settings = NormaliseSettings(crf=1)
    facts = normalise_clip(path, start=0, duration=None, settings=settings, video_output=out, sound_output=None)
    wanted = expected(delays)
    assert facts["frames"] == len(wanted)
    assert facts["source_codec"] == "gif"
    frames = read_frames(out, seconds=facts["seconds"], decoder="pyav")
    assert np.abs(frames.mean(axis=(1, 2, 3)) - wanted).max() < 4
    judges = sample_frames(path, {Fraction(25): len(wanted)}, lambda frame: frame)[Fraction(25)]
    assert np.abs(judges.mean(axis=(1, 2, 3)) - wanted).max() < 1


def test_it_has_no_sound(tmp_path: Path) -> None:
    path = gif(tmp_path / "clip.gif", [8] * 20)
    outputs = {"video_output": tmp_path / "out.mp4", "sound_output": tmp_path / "out.flac"}
    with pytest.raises(ClipError) as caught:
        normalise_clip(path, start=0, duration=None, settings=NormaliseSettings(), **outputs)
    assert caught.value.reason == "no_audio"
