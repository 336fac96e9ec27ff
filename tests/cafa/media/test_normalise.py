"""Normalising keeps every frame and every sample at its time."""

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from pydantic import ValidationError

from cafa.common.errors import ClipError
from cafa.common.files import sha256_file
from cafa.media import frame_count
from cafa.media.frames import read_frames
from cafa.media.normalise import NormaliseSettings, normalise_clip
from tests.cafa.media.conftest import MakeClip, grey_of, tone

SETTINGS = NormaliseSettings(crf=10, preset="ultrafast")


def normalise(source: Path, *, start: float = 0, duration: float | None = None, **settings: Any) -> tuple:
    """Facts, decoded frames and sound of a clip, normalised beside its source."""
    video, sound = source.with_name("out.mp4"), source.with_name("out.flac")
    facts = normalise_clip(
        source,
        start=start,
        duration=duration,
        settings=SETTINGS.model_copy(update=settings),
        video_output=video,
        sound_output=sound,
    )
    frames = read_frames(video, seconds=facts["seconds"], decoder="pyav")
    data, rate = soundfile.read(sound, always_2d=True)
    assert rate == facts["sample_rate"]
    return facts, frames, data.T


def expected_greys(times: list[Fraction], count: int, start: Fraction = Fraction(0)) -> np.ndarray:
    """What is on screen, written anew: the last frame whose time, rounded to the grid, has come."""
    slots = [math.floor((time - start) * 25 + Fraction(1, 2)) for time in times]
    shown = [max([0, *(index for index, slot in enumerate(slots) if slot <= k)]) for k in range(count)]
    return np.array([grey_of(index) for index in shown])


def greys_of(frames: np.ndarray) -> np.ndarray:
    """Luma of uniform grey frames (undoing the limited range)."""
    return frames.mean(axis=(1, 2, 3)) * 219 / 255 + 16


FILMS = {
    "25": [Fraction(k, 25) for k in range(60)],
    "29.97": [Fraction(k * 1001, 30000) for k in range(60)],
    "12": [Fraction(k, 12) for k in range(25)],
    "50": [Fraction(k, 50) for k in range(100)],
    "variable": [Fraction(k, 50) for k in range(50)] + [1 + Fraction(k, 10) for k in range(11)],
}


@pytest.mark.parametrize("film", FILMS)
def test_frames_are_those_on_screen(make_clip: MakeClip, film: str) -> None:
    source = make_clip(times=FILMS[film], sound=tone(2.2, 16000))
    facts, frames, _ = normalise(source, duration=2.0)
    assert facts["frames"] == 50
    assert np.abs(greys_of(frames) - expected_greys(FILMS[film], 50)).max() < 1.4


@pytest.mark.parametrize("start", [0.3, 0.5, 1.26, 3.1])
def test_window_equals_that_part(make_clip: MakeClip, start: float) -> None:
    times = [Fraction(k, 30) for k in range(150)]
    source = make_clip(times=times, sound=tone(5, 16000), **{"g": "20", "bf": "3"})
    facts, frames, sound = normalise(source, start=start, duration=1.2)
    assert np.abs(greys_of(frames) - expected_greys(times, 30, Fraction(str(start)))).max() < 1.4
    whole = tone(5, 16000)[:, round(start * 16000) :][:, : sound.shape[1]]
    assert sound.shape == (1, 19200)
    assert np.corrcoef(sound[0], whole[0])[0, 1] > 0.999  # a tone: out of phase by a sample would be 0.996
    assert facts["padded_samples"] == facts["held_frames"] == 0


def test_open_groups_of_pictures(make_clip: MakeClip) -> None:
    """Frames before a key frame that need the group before it must not spoil a window that begins later."""
    times = [Fraction(k, 25) for k in range(125)]
    options = {"x264-params": "open-gop=1:keyint=15:min-keyint=15:scenecut=0:bframes=3:b-adapt=0"}
    source = make_clip(times=times, sound=tone(5, 16000), **options)
    _, frames, _ = normalise(source, start=2.0, duration=2.0)
    assert np.abs(greys_of(frames) - expected_greys(times, 50, Fraction(2))).max() < 1.4


def test_stream_copied_cut_honours_the_edit_list(make_clip: MakeClip) -> None:
    """A cut without re-encoding holds frames from before the cut, which no player shows."""
    source = make_clip(sound=tone(2, 16000), **{"g": "50", "bf": "0"})
    cut = source.with_name("cut.mp4")
    shift = Fraction(7, 25)
    with av.open(str(source)) as given, av.open(str(cut), "w", options={"avoid_negative_ts": "disabled"}) as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                ticks = round(shift / packet.time_base)
                packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    with av.open(str(cut)) as container:
        assert container.streams.video[0].frames == 50
        assert len(list(container.decode(video=0))) == 43  # the edit list is there
    facts, frames, sound = normalise(cut)
    assert facts["frames"] == 43
    times = [Fraction(k, 25) for k in range(50)]
    assert np.abs(greys_of(frames) - expected_greys(times, 43, shift)).max() < 1.4
    part = tone(2, 16000)[0, round(float(shift) * 16000) :]
    assert np.corrcoef(sound[0], part[: sound.shape[1]])[0, 1] > 0.99


def test_flash_and_click_stay_together(make_clip: MakeClip) -> None:
    """Picture late, sound late, a window: the flash is still seen when the click is heard."""
    rate = 44100
    for video_late, sound_late, start in ((0.0, 0.0, 0.0), (0.4, 0.0, 0.0), (0.0, 0.3, 0.0), (0.4, 0.0, 0.5)):
        times = [Fraction(k, 25) + Fraction(str(video_late)) for k in range(75)]
        greys = [220 if time == Fraction(8, 5) else 40 for time in times]
        sound = np.zeros((1, round((3.3 - sound_late) * rate)))
        click = round((1.6 - sound_late) * rate)
        sound[:, click : click + 200] = np.random.default_rng(0).uniform(-0.8, 0.8, 200)
        source = make_clip(times=times, greys=greys, sound=sound, sample_rate=rate, sound_start=sound_late)
        facts, frames, heard = normalise(source, start=start, duration=2.4)
        assert int(np.argmax(greys_of(frames))) == round((1.6 - start) * 25)
        first = int(np.argmax(np.abs(heard[0]) > 0.3))
        assert abs(first / rate - (1.6 - start)) < 0.005
        assert facts["picture_delay"] == pytest.approx(max(video_late - start, 0), abs=1e-3)
        assert facts["sound_delay"] == pytest.approx(sound_late, abs=0.03)  # AAC's priming


@pytest.mark.parametrize(("rotation", "corner"), [(90, "bottom left"), (180, "bottom right"), (-90, "top right")])
def test_rotation_tag(make_clip: MakeClip, rotation: int, corner: str) -> None:
    """A tag of 90 turns the picture anticlockwise: the top left corner goes to the bottom left."""
    source = make_clip(rotation=rotation, mark=True, sound=tone(2, 16000))
    facts, frames, _ = normalise(source, duration=1.0)
    assert frames.shape[1:3] == ((64, 96) if rotation == 180 else (96, 64))
    assert facts["source_rotation"] == -rotation % 360
    height, width = frames.shape[1] // 8, frames.shape[2] // 8
    corners = {
        "top left": frames[:, :height, :width],
        "top right": frames[:, :height, -width:],
        "bottom left": frames[:, -height:, :width],
        "bottom right": frames[:, -height:, -width:],
    }
    assert max(corners, key=lambda name: corners[name].mean()) == corner


def test_size(make_clip: MakeClip) -> None:
    source = make_clip(size=(96, 170), sound=tone(2, 16000))
    assert normalise(source)[1].shape[1:3] == (96, 170)  # never larger
    assert normalise(source, short_side=48)[1].shape[1:3] == (48, 84)  # even


def test_sound_keeps_rate_channels_and_samples(make_clip: MakeClip) -> None:
    sound = tone(2, 22050, channels=2)
    source = make_clip("clip.mkv", sound=sound, sample_rate=22050, sound_codec="flac")
    facts, _, heard = normalise(source)
    assert (facts["sample_rate"], facts["channels"], facts["clipped_samples"]) == (22050, 2, 0)
    assert np.array_equal(np.round(heard * 32768), np.round(sound.astype(np.float32) * 32767))
    assert soundfile.info(source.with_name("out.flac")).subtype == "PCM_16"


def test_overshoot_is_counted(make_clip: MakeClip) -> None:
    """AAC decodes a full-scale square wave to values beyond full scale."""
    square = np.sign(tone(2, 16000)) * 0.999
    facts, _, heard = normalise(make_clip(sound=square))
    assert facts["clipped_samples"] > 0
    assert np.abs(heard).max() <= 1
    assert soundfile.info(make_clip().with_name("out.flac")).subtype == "PCM_24"


def test_gap_in_the_sound_is_silence_and_counted(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("whole.mkv", sound=tone(2, 16000), sound_codec="pcm_s16le", bf="0")
    gappy = tmp_path / "gappy.mkv"
    with av.open(str(source)) as given, av.open(str(gappy), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if not packet.size or (packet.stream.type == "audio" and 1 <= packet.pts * packet.time_base < 1.06):
                continue
            packet.stream = streams[packet.stream.index]
            output.mux(packet)
    facts, _, heard = normalise(gappy)
    assert facts["gap_samples"] == pytest.approx(1024, abs=16)
    assert heard.shape == (1, 32000)
    after = slice(24000, 32000)  # what follows the gap is still in its place
    assert np.abs(heard[0, after] - tone(2, 16000)[0, after]).max() < 0.02


def test_same_bytes_every_time(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip(sound=tone(2, 16000))
    digests = set()
    for folder in ("a", "b"):
        video, sound = tmp_path / folder / "clip.mp4", tmp_path / folder / "clip.flac"
        facts = normalise_clip(source, start=0, duration=1.5, settings=SETTINGS, video_output=video, sound_output=sound)
        assert facts["video_sha256"] == sha256_file(video)
        assert facts["sound_sha256"] == sha256_file(sound)
        digests.add((facts["video_sha256"], facts["sound_sha256"]))
    assert len(digests) == 1


def test_written_form(make_clip: MakeClip, tmp_path: Path) -> None:
    normalise(make_clip(sound=tone(2, 16000), **{"bf": "3"}), duration=2.0, gop=10)
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"elst" not in data or _edits_begin_at_zero(data)
    with av.open(str(tmp_path / "out.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        assert [packet.pts * packet.time_base for packet in packets] == [Fraction(k, 25) for k in range(50)]
        assert [packet.dts for packet in packets] == [packet.pts for packet in packets]
        keys = [index for index, packet in enumerate(packets) if packet.is_keyframe]
        assert keys[0] == 0
        assert max(np.diff([*keys, 50])) <= 10
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def _edits_begin_at_zero(data: bytes) -> bool:
    at = data.index(b"elst")
    version, entries = data[at + 4], int.from_bytes(data[at + 8 : at + 12], "big")
    begin = data[at + 16 : at + 20] if version == 0 else data[at + 20 : at + 28]
    return entries == 1 and int.from_bytes(begin, "big") == 0


def test_without_sound(make_clip: MakeClip, tmp_path: Path) -> None:
    facts = normalise_clip(
        make_clip(), start=0, duration=None, settings=SETTINGS, video_output=tmp_path / "v.mp4", sound_output=None
    )
    assert facts["frames"] == 50
    assert "sample_rate" not in facts


def test_avi_and_mpegts(make_clip: MakeClip) -> None:
    for name, codec, sound_codec in (("a.avi", "mpeg4", "pcm_s16le"), ("a.ts", "libx264", "mp2")):
        times = [Fraction(k, 25) for k in range(75)]
        source = make_clip(
            name,
            times=times,
            sound=tone(3, 32000),
            sample_rate=32000,
            video_codec=codec,
            sound_codec=sound_codec,
            b="20M",
            qmin="1",
            qmax="2",
        )
        _, frames, sound = normalise(source, duration=2.8)
        assert np.abs(greys_of(frames) - expected_greys(times, 70)).max() < 1.6, name
        _, part, part_sound = normalise(source, start=1.4, duration=1.0)
        assert np.abs(greys_of(part) - greys_of(frames)[35:60]).max() < 1.6, name
        assert np.abs(part_sound - sound[:, 44800:76800]).max() < 1e-4, name


def test_nothing_is_left_behind_by_a_bad_clip(make_clip: MakeClip, tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="short"):
        normalise(make_clip(sound=tone(2, 16000)), duration=5.0)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_settings_are_checked() -> None:
    with pytest.raises(ValidationError, match="preset"):
        NormaliseSettings(preset="fastest")
    with pytest.raises(ValidationError, match="quality"):
        NormaliseSettings.model_validate({"quality": 3})


def test_frame_count_rounds_halves_up() -> None:
    assert [frame_count(seconds) for seconds in (3.2, 0.02, 0.06, 10, 8.0199)] == [80, 1, 2, 250, 200]


CLIPS = [
    "cow",
    "drum",
    "keyboard",
    "3qesirWAGt4_000020",
    "ZYc410CE4Rg_000000",
    "0B4dYTMsgHA_000130",
    "F8Zt3mYlOqU_000094",
    "fcvgg0",
    "fcvgg1",
]


@pytest.mark.shared
@pytest.mark.parametrize("name", CLIPS)
def test_published_clips(shared: Path, tmp_path: Path, name: str) -> None:
    """A second and a half of each, from 2.3 s on, against frames chosen by their times, without a filter."""
    source, start = shared / "clips" / "groundtruth" / f"{name}.mp4", Fraction(23, 10)
    facts = normalise_clip(
        source,
        start=float(start),
        duration=1.6,
        settings=NormaliseSettings(short_side=64, crf=10, preset="ultrafast"),
        video_output=tmp_path / "out.mp4",
        sound_output=tmp_path / "out.flac",
    )
    ours = read_frames(tmp_path / "out.mp4", seconds=1.6, decoder="pyav").astype(float)
    near = []
    with av.open(str(source)) as container:
        for frame in container.decode(video=0):
            if frame.time > 4:
                break
            if frame.time >= 2:
                time = frame.pts * frame.time_base
                picture = frame.to_ndarray(format="rgb24", width=ours.shape[2], height=ours.shape[1])
                near.append((math.floor((time - start) * 25 + Fraction(1, 2)), picture.astype(float)))
    for k, frame in enumerate(ours):
        index = max(index for index, (slot, _) in enumerate(near) if slot <= k)
        right = difference(frame, near[index][1])
        others = [difference(frame, near[other][1]) for other in (index - 1, index + 1)]
        assert right < 6
        assert right <= min(others) + 0.1
    assert facts["held_frames"] == facts["padded_samples"] == 0


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference of two pictures but for their tint, since HD without tags has two readings."""
    apart = one - other
    return float(np.abs(apart - apart.mean(axis=(0, 1))).mean())
