"""The track that players take, and lengths that are the streams' own."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from cafa.common.errors import ClipError
from cafa.media.container import open_media
from cafa.media.normalise import NormaliseSettings, normalise_clip
from cafa.media.sound import read_sound
from metrics.judges.media import decode_whole_sound
from tests.cafa.media.conftest import MakeClip, tone

RATE = 16000


def remuxed(path: Path, sources: list[tuple[Path, str, Disposition]]) -> Path:
    """A file of streams of others, in that order, with these flags."""
    with av.open(str(path), "w") as output:
        packets = []
        for source, kind, flags in sources:
            with av.open(str(source)) as container:
                stream = getattr(container.streams, kind)[0]
                copy = output.add_stream_from_template(stream)
                copy.disposition = flags
                found = [packet for packet in container.demux(stream) if packet.dts is not None]
            for packet in found:
                packet.stream = copy
            packets += found
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return path


def loudness(samples: np.ndarray) -> float:
    return float(np.abs(samples).max())


@pytest.mark.parametrize("default", [0, 1, None])
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_the_default_sound_is_taken_everywhere(
    make_clip: MakeClip, tmp_path: Path, default: int | None, suffix: str
) -> None:
    loud = make_clip("loud.mp4", sound=tone(2, RATE), sample_rate=RATE)
    quiet = make_clip("quiet.mp4", sound=0.1 * tone(2, RATE), sample_rate=RATE)
    flags = [Disposition.default if k == default else Disposition(0) for k in range(2)]
    streams = [(loud, "video", Disposition.default), (loud, "audio", flags[0]), (quiet, "audio", flags[1])]
    path = remuxed(tmp_path / f"two.{suffix}", streams)
    with open_media(path) as media:
        marked = [bool(s.disposition & Disposition.default) for s in media.container.streams.audio]
        taken = marked.index(True) if any(marked) else 0
        assert media.stream("audio").index == media.container.streams.audio[taken].index
        assert media.track("audio") == f"{taken + 1} of 2"
    if default == 1 and suffix == "mkv":
        assert marked == [False, True]
    expected = pytest.approx(loudness(read_sound(quiet if taken else loud, sample_rate=RATE)), rel=0.1)
    assert loudness(read_sound(path, sample_rate=RATE)) == expected
    assert loudness(decode_whole_sound(path)[0]) == expected
    facts = ingested(path, tmp_path)
    assert facts["source_audio_track"] == f"{taken + 1} of 2"
    assert "source_video_track" not in facts


def ingested(path: Path, tmp_path: Path, duration: float | None = None, **choices: int) -> dict[str, Any]:
    outputs = {"video_output": tmp_path / "out.mp4", "sound_output": tmp_path / "out.flac"}
    settings = NormaliseSettings(preset="ultrafast", **choices)
    return normalise_clip(path, start=0, duration=duration, settings=settings, **outputs)


def test_a_track_can_be_asked_for(make_clip: MakeClip, tmp_path: Path) -> None:
    times = [Fraction(k, 25) for k in range(50)]
    loud = make_clip("loud.mp4", times=times, sound=tone(2, RATE), sample_rate=RATE)
    quiet = make_clip("quiet.mp4", times=times, size=(96, 64), sound=0.1 * tone(2, RATE), sample_rate=RATE)
    flags = {0: Disposition.default, 1: Disposition(0)}
    streams = [(clip, kind, flags[k]) for k, clip in enumerate((loud, quiet)) for kind in ("video", "audio")]
    path = remuxed(tmp_path / "two.mkv", streams)
    facts = ingested(path, tmp_path, video_track=2, audio_track=2)
    assert (facts["source_video_track"], facts["source_audio_track"]) == ("2 of 2", "2 of 2")
    assert (facts["width"], facts["height"]) == (64, 96)
    assert loudness(read_sound(tmp_path / "out.flac", sample_rate=RATE)) == pytest.approx(
        loudness(read_sound(quiet, sample_rate=RATE)), rel=0.1
    )
    mixed = ingested(path, tmp_path, audio_track=2)
    assert (mixed["source_video_track"], mixed["source_audio_track"]) == ("1 of 2", "2 of 2")
    with pytest.raises(ClipError, match="video track 3 is asked for, the file has 2"):
        ingested(path, tmp_path, video_track=3)


def test_a_cover_beside_a_picture_is_no_choice(make_clip: MakeClip, tmp_path: Path) -> None:
    clip, path = make_clip("clip.mp4", sound=tone(2, RATE), sample_rate=RATE), tmp_path / "film.mp4"
    with av.open(str(clip)) as source, av.open(str(path), "w") as output:
        copies = {stream.index: output.add_stream_from_template(stream) for stream in source.streams}
        cover = output.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 16, 16, "rgb24"
        cover.disposition = Disposition.attached_pic
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        output.mux([*cover.encode(frame), *cover.encode(None)])
    with open_media(path) as media:
        assert len(media.container.streams.video) == 2
    assert not [name for name in ingested(path, tmp_path) if name.endswith("_track")]


def test_a_cover_is_no_picture(make_clip: MakeClip, tmp_path: Path) -> None:
    clip, path = make_clip("clip.mp4", sound=tone(1, RATE), sample_rate=RATE), tmp_path / "song.mp4"
    with av.open(str(clip)) as source, av.open(str(path), "w") as output:
        sound = output.add_stream_from_template(source.streams.audio[0])
        cover = output.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 16, 16, "rgb24"
        cover.disposition = Disposition.attached_pic
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = sound
                output.mux(packet)
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        output.mux([*cover.encode(frame), *cover.encode(None)])
    with pytest.raises(ClipError, match="the only picture is a cover; the file holds: audio, cover"):
        ingested(path, tmp_path)


@pytest.fixture
def uneven(make_clip: MakeClip) -> Callable[[str], Path]:
    """Function that writes a clip whose sound lasts half a second longer than its picture of 2 s."""

    def make(name: str) -> Path:
        return make_clip(name, sound=tone(2.5, RATE), sample_rate=RATE, bf="0")

    return make


@pytest.mark.parametrize("seconds", [None, 60.0])
def test_one_length_for_the_file_promises_nothing_of_the_picture(
    uneven: Callable[[str], Path], tmp_path: Path, seconds: float | None
) -> None:
    """Matroska gives the length of the longest track, recorders that were stopped early any length."""
    path = uneven("uneven.mkv")
    if seconds is not None:
        data = bytearray(path.read_bytes())
        place = data.find(b"\x44\x89\x88")
        data[place + 3 : place + 11] = struct.pack(">d", 1000 * seconds)
        path.write_bytes(data)
    assert ingested(path, tmp_path, duration=2.0)["seconds"] == 2.0
    for other in (path, uneven("uneven.mp4")):  # and the same words for the same film
        with pytest.raises(ClipError, match=r"short.*in common") as caught:
            ingested(other, tmp_path)
        assert caught.value.reason == "short"
    with pytest.raises(ClipError) as caught:
        ingested(path, tmp_path, duration=10.0)
    assert caught.value.reason == "short"
    facts = normalise_clip(
        path, start=0, duration=None, settings=NormaliseSettings(), video_output=tmp_path / "o.mp4", sound_output=None
    )
    assert facts["seconds"] == pytest.approx(2.0, abs=0.05)


def test_a_cut_matroska_says_so_whatever_its_header_says(make_clip: MakeClip, tmp_path: Path) -> None:
    times = [Fraction(k, 25) for k in range(50)]
    path = make_clip("clip.mkv", times=times, sound=tone(2, RATE), sample_rate=RATE)
    data = path.read_bytes()
    for missing in (1, len(data) // 2):
        path.write_bytes(data[:-missing])
        with pytest.raises(ClipError, match=f"segment promises {missing} bytes more") as caught:
            ingested(path, tmp_path)
        assert caught.value.reason == "truncated"
