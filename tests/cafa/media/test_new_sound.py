"""A video with a new sound: nothing but the sound is another."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from cafa.common.errors import ClipError, InputError
from cafa.media.container import open_media
from cafa.media.new_sound import suffix_for, write_with_new_sound
from cafa.media.sound import decode_sound, to_float
from tests.cafa.media.conftest import MakeClip, tone

RATE = 44_100


def clicks(seconds: float, rate: int = RATE) -> np.ndarray:
    """A click at 0.5 s and one at 1.5 s."""
    sound = np.zeros(round(seconds * rate), np.float32)
    for at in (0.5, 1.5):
        sound[round(at * rate) : round(at * rate) + 20] = 0.9
    return sound


def picture_packets(path: Path) -> list[tuple[bytes, Fraction, Fraction]]:
    """Bytes, time stamp and duration of each packet of the picture, in order."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        base = stream.time_base
        return [(bytes(packet), packet.pts * base, (packet.duration or 0) * base) for packet in packets]


def sound_of(path: Path, track: int = 1) -> tuple[np.ndarray, int]:
    with open_media(path, {"audio": track}) as media:
        sound = decode_sound(media, Fraction(0), None)
    return to_float(sound.samples), sound.sample_rate


@pytest.mark.parametrize(
    ("name", "codec", "sound_codec"),
    [
        ("clip.mp4", "libx264", "aac"),
        ("clip.mov", "libx264", "aac"),
        ("clip.mkv", "libx264", "aac"),
        ("clip.mp4", "libx265", "aac"),
        ("clip.webm", "libvpx-vp9", "libopus"),
    ],
)
def test_the_picture_is_copied_and_the_sound_begins_with_it(
    make_clip: MakeClip, name: str, codec: str, sound_codec: str
) -> None:
    rate = 48_000 if sound_codec == "libopus" else RATE
    source = make_clip(name, sound=tone(2.0, rate, 2), sample_rate=rate, sound_codec=sound_codec, video_codec=codec)
    suffix = suffix_for(source)
    assert suffix == Path(name).suffix
    output = source.with_name(f"new{suffix}")
    tracks = write_with_new_sound(source, clicks(5.0), RATE, output)
    before, after = picture_packets(source), picture_packets(output)
    assert [packet[0] for packet in after] == [packet[0] for packet in before]
    steps = [[b[1] - a[1] for a, b in itertools.pairwise(times)] for times in (before, after)]
    assert max(abs(a - b) for a, b in zip(*steps, strict=True)) <= Fraction(1, 500)
    assert tracks.left_out == (f"audio {sound_codec.removeprefix('lib')}: replaced by the new sound",)
    samples, own_rate = sound_of(output)
    assert samples.shape[1] == pytest.approx(2.0 * own_rate, abs=0.03 * own_rate)  # as long as the picture
    loud = np.flatnonzero(np.abs(samples[0]) > 0.3) / own_rate
    assert loud[0] == pytest.approx(0.5, abs=0.02)
    assert loud[-1] == pytest.approx(1.5, abs=0.02)


def test_rotation_and_uneven_times_stay(make_clip: MakeClip) -> None:
    times = [Fraction(index * index, 2500) for index in range(50)]
    source = make_clip(times=times, rotation=90)
    output = source.with_name("new.mp4")
    write_with_new_sound(source, clicks(2.0), RATE, output)
    with av.open(str(source)) as before, av.open(str(output)) as after:
        turns = [next(container.decode(video=0)).rotation for container in (before, after)]
    assert turns[0] == turns[1] != 0
    assert [packet[1] for packet in picture_packets(output)] == [packet[1] for packet in picture_packets(source)]


@pytest.fixture(params=["mp4", "mkv"])
def film(request: pytest.FixtureRequest, make_clip: MakeClip, tmp_path: Path) -> Path:
    """A picture, two sound tracks, subtitles, two chapters and a title."""
    plain = make_clip(sound=tone(2.0, RATE), sample_rate=RATE)
    path = tmp_path / f"film.{request.param}"
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        target.metadata["title"] = "Film"
        target.set_chapters(
            [
                {"id": 0, "start": 0, "end": 1000, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}},
                {"id": 1, "start": 1000, "end": 2000, "time_base": Fraction(1, 1000), "metadata": {"title": "Two"}},
            ]
        )
        streams = [source.streams.video[0], source.streams.audio[0], source.streams.audio[0]]
        copies = [target.add_stream_from_template(stream) for stream in streams]
        copies[1].disposition = Disposition.default
        copies[2].metadata["language"] = "deu"
        packets = [packet for packet in source.demux() if packet.size]
        for packet in packets:
            index = packet.stream.index
            second = av.Packet(bytes(packet)) if index == 1 else None
            if second is not None:
                second.pts, second.dts, second.time_base = packet.pts, packet.dts, packet.time_base
                second.duration, second.stream = packet.duration, copies[2]
            packet.stream = copies[index]
            target.mux(packet)
            if second is not None:
                target.mux(second)
    return path


def test_what_else_a_film_holds_stays(film: Path) -> None:
    output = film.with_name(f"new{film.suffix}")
    tracks = write_with_new_sound(film, clicks(2.0), RATE, output)
    assert tracks.kept == ("video h264", "audio aac")
    with av.open(str(output)) as made:
        assert made.metadata["title"] == "Film"
        assert [chapter["metadata"]["title"] for chapter in made.chapters()] == ["One", "Two"]
        sounds = list(made.streams.audio)
        assert [bool(stream.disposition & Disposition.default) for stream in sounds] == [True, False]
        assert sounds[1].metadata["language"] == "deu"
    assert np.median(np.abs(sound_of(output, 1)[0])) < 0.01  # the clicks
    assert np.median(np.abs(sound_of(output, 2)[0])) > 0.1  # the old tone


@pytest.mark.parametrize(
    ("name", "tag", "kept"),
    [("clip.mp4", "hvc1", "hvc1"), ("clip.mov", "hvc1", "hvc1"), ("clip.mp4", "hev1", "hev1"), ("clip.ts", "", "hvc1")],
)
def test_hevc_keeps_the_name_by_which_players_know_it(make_clip: MakeClip, name: str, tag: str, kept: str) -> None:
    plain = make_clip("plain.mkv", video_codec="libx265", **{"x265-params": "bframes=0:log-level=error"})
    source = plain.with_name(name)
    with av.open(str(plain)) as before, av.open(str(source), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0], opaque=True)
        if tag:
            stream.codec_context.codec_tag = tag
        for packet in before.demux(video=0):
            if packet.size:
                packet.dts, packet.stream = packet.pts, stream
                after.mux(packet)
    suffix = suffix_for(source)
    output = source.with_name(f"new{suffix}")
    write_with_new_sound(source, clicks(2.0), RATE, output)
    with av.open(str(source)) as before, av.open(str(output)) as after:
        if tag:
            assert before.streams.video[0].codec_context.codec_tag == tag
        assert after.streams.video[0].codec_context.codec_tag == kept
        assert len(list(after.decode(video=0))) == 50


def test_a_further_track_leaves_the_played_one(film: Path) -> None:
    output = film.with_name(f"new{film.suffix}")
    tracks = write_with_new_sound(film, clicks(2.0), RATE, output, track="add")
    assert tracks.kept == ("video h264", "audio aac", "audio aac")
    assert not [line for line in tracks.left_out if not line.startswith("data")]
    with av.open(str(output)) as made:
        played = [bool(stream.disposition & Disposition.default) for stream in made.streams.audio]
    assert played == [True, False, False]
    assert np.median(np.abs(sound_of(output, 2)[0])) > 0.1
    assert np.median(np.abs(sound_of(output, 3)[0])) < 0.01


def test_a_video_without_sound_gets_one_that_is_played(make_clip: MakeClip) -> None:
    source = make_clip()
    output = source.with_name("new.mp4")
    write_with_new_sound(source, clicks(2.0), RATE, output, track="add")
    with av.open(str(output)) as made:
        assert made.streams.audio[0].disposition & Disposition.default


def test_what_cannot_be_copied_is_said(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip()
    with pytest.raises(InputError, match=r"\.webm cannot hold h264: write \.mp4"):
        write_with_new_sound(source, clicks(1.0), RATE, tmp_path / "new.webm")
    with pytest.raises(InputError, match=r"a video is written as \.mp4.*got 'new\.ogv'"):
        write_with_new_sound(source, clicks(1.0), RATE, tmp_path / "new.ogv")
    with pytest.raises(InputError, match="not finite"):
        write_with_new_sound(source, np.full(10, np.nan), RATE, tmp_path / "new.mp4")
    with pytest.raises(ClipError, match="no file at"):
        write_with_new_sound(tmp_path / "nothing.mp4", clicks(1.0), RATE, tmp_path / "new.mp4")
    assert not (tmp_path / "new.mp4").exists()
    gif = tmp_path / "picture.gif"
    with av.open(str(gif), "w") as target:
        stream = target.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "rgb8"
        for shade in (0, 200):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32), shade, np.uint8), format="gray")
            target.mux(stream.encode(frame.reformat(format="rgb8")))
        target.mux(stream.encode(None))
    assert suffix_for(gif) is None
