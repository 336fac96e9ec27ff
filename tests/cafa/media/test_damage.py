"""A little damage is lived with and counted, in ingest and in evaluation alike; more is `corrupt`, with the figure."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from cafa.common.errors import ClipError
from cafa.media.decoding import clip_error
from cafa.media.frames import read_frames
from cafa.media.normalise import NormaliseSettings, normalise_clip
from metrics.judges.media import decode_whole_sound, sample_frames
from tests.cafa.media.conftest import MakeClip, grey_of, tone

RATE = 16000
FRAMES = 200  # 8 s


def test_a_decoder_that_answers_minus_one_has_met_damage():
    # FFmpeg's AAC decoder, among others: -1 is EPERM's number.
    assert clip_error(av.error.PermissionError(1, "avcodec_send_packet()"), "decoding").reason == "corrupt"
    assert clip_error(av.error.OSError(5, "read"), "reading").reason == "unreadable"


@pytest.fixture
def film(make_clip: MakeClip) -> Path:
    """Eight seconds, a key frame each ten frames."""
    return make_film(make_clip)


def make_film(make_clip: MakeClip, name: str = "clip.mp4", **options: Any) -> Path:
    times = [Fraction(k, 25) for k in range(FRAMES)]
    settings = {"g": "10", "keyint_min": "10", "sc_threshold": "0", "bf": "0", **options}
    return make_clip(name, times=times, sound=tone(8, RATE), sample_rate=RATE, **settings)


def spoil(path: Path, kind: str, numbers: list[int]) -> Path:
    """Overwrite packets of a stream, counted in the order of the file, with bytes that mean nothing."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        packets = [(packet.pos, packet.size) for packet in container.demux(stream) if packet.size]
    data = bytearray(path.read_bytes())
    for number in numbers:
        position, size = packets[number]
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    return path


def normalise(source: Path, *, start: float = 0, duration: float | None = 8.0, **settings: Any) -> dict[str, Any]:
    """Facts of a clip, normalised beside its source."""
    return normalise_clip(
        source,
        start=start,
        duration=duration,
        settings=NormaliseSettings(preset="ultrafast", crf=10, **settings),
        video_output=source.with_name("out.mp4"),
        sound_output=source.with_name("out.flac"),
    )


def greys(path: Path, count: int) -> np.ndarray:
    frames = read_frames(path, seconds=count / 25, decoder="pyav")
    return frames.mean(axis=(1, 2, 3)) * 219 / 255 + 16


RIGHT = np.array([grey_of(k) for k in range(FRAMES)])


@pytest.mark.parametrize("duration", [8.0, None])
def test_a_damaged_frame_is_the_frame_before(film: Path, duration: float | None) -> None:
    facts = normalise(spoil(film, "video", [54]), duration=duration)
    assert (facts["frames"], facts["damaged_frames"], facts["frames_after_damage"]) == (FRAMES, 1, 5)
    assert "lost_samples" not in facts
    shown = greys(film.with_name("out.mp4"), FRAMES)
    assert abs(shown[54] - RIGHT[53]) < 1.4
    kept = [k for k in range(FRAMES) if not 54 <= k < 60]  # the next key frame ends it
    assert np.abs(shown - RIGHT)[kept].max() < 1.4


def test_a_damaged_key_frame_takes_all_up_to_the_next(film: Path) -> None:
    spoil(film, "video", [50])
    with pytest.raises(ClipError, match=r"corrupt: (9|10) of 200 frames of the video .*at most 2\.0%.* 2\.000 s"):
        normalise(film)
    facts = normalise(film, damaged_share=0.05)
    assert facts["damaged_frames"] in (9, 10)  # a decoder may show the last of them
    assert facts["frames"] == FRAMES
    expected = RIGHT.copy()
    expected[50:59] = RIGHT[49]
    kept = [k for k in range(FRAMES) if k != 59]
    assert np.abs(greys(film.with_name("out.mp4"), FRAMES) - expected)[kept].max() < 1.4


@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_the_share_decides(make_clip: MakeClip, b_frames: str) -> None:
    few, many = [15, 67, 188], [15, 47, 67, 124, 155, 188]
    assert normalise(spoil(make_film(make_clip, bf=b_frames), "video", few))["damaged_frames"] in (3, 4)
    with pytest.raises(ClipError, match=r"[678] of 200 frames"):
        normalise(spoil(make_film(make_clip, bf=b_frames), "video", many))


def test_only_the_window_counts(film: Path) -> None:
    spoil(film, "video", [*range(1, 10), *range(151, 160)])
    with pytest.raises(ClipError, match="18 of 200"):
        normalise(film)
    for start in (2.0, 1.0, 0.6):  # after a seek, and from the begin
        assert "damaged_frames" not in normalise(film, start=start, duration=3.0)


def test_damaged_sound_is_silence(film: Path) -> None:
    facts = normalise(spoil(film, "audio", [60, 90]))
    assert facts["lost_samples"] == facts["gap_samples"] == 2048
    assert "damaged_frames" not in facts
    heard, _ = soundfile.read(film.with_name("out.flac"))
    assert len(heard) == 8 * RATE
    silent = np.flatnonzero(np.abs(heard).reshape(-1, 128).max(axis=1) < 1e-6)
    assert len(silent) == 2048 // 128
    right = tone(8, RATE)[0]
    later = slice(100 * 1024, 120 * 1024)
    assert np.corrcoef(heard[later], right[later])[0, 1] > 0.999  # and what follows is in its place
    spoil(film, "audio", [10, 20, 30])
    with pytest.raises(ClipError, match=r"corrupt: 5 of 12\d frames of the audio stream are damaged"):
        normalise(film)
    assert normalise(film, damaged_share=0.1, at_least_seconds=7)["lost_samples"] == 5 * 1024


def test_the_same_rule_and_bytes_for_the_judges(film: Path, make_clip: MakeClip) -> None:
    spoil(spoil(film, "video", [54, 121]), "audio", [60])
    digests = {(facts["video_sha256"], facts["sound_sha256"]) for facts in (normalise(film), normalise(film))}
    assert len(digests) == 1
    rate = Fraction(25)
    seen = sample_frames(film, {rate: FRAMES}, np.asarray)[rate]
    assert np.abs((seen.mean(axis=(1, 2, 3)) * 219 / 255 + 16)[[53, 54, 61]] - RIGHT[[53, 53, 61]]).max() < 1.4
    assert decode_whole_sound(film)[0].shape[1] >= 8 * RATE
    spoil(spoil(film, "video", [10]), "audio", [5, 15, 25])
    for read in (lambda: sample_frames(film, {rate: FRAMES}, np.asarray), lambda: decode_whole_sound(film)):
        with pytest.raises(ClipError, match=r"corrupt: .* are damaged"):
            read()


def test_our_own_files_are_read_strictly(film: Path) -> None:
    """A normalised clip has no damage: any is an error, never a frame twice."""
    normalise(film)
    with pytest.raises(ClipError, match="corrupt"):
        read_frames(spoil(film.with_name("out.mp4"), "video", [30]), seconds=8.0, decoder="pyav")


def cut_before(source: Path, number: int) -> None:
    """Let a transport stream begin with a picture that is no key frame, as a recording of a broadcast does."""
    with av.open(str(source)) as container:
        position = [packet.pos for packet in container.demux(video=0) if packet.size][number]
    source.write_bytes(source.read_bytes()[position:])


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video", "mpeg4"])
def test_a_stream_that_begins_between_two_key_frames(make_clip: MakeClip, codec: str) -> None:
    options = {"b": "4M", "qmin": "1", "qmax": "2", "g": "20", "keyint_min": "20"}
    options["sc_threshold"] = "0" if codec == "libx264" else "1000000000"
    source = make_film(make_clip, "clip.ts", video_codec=codec, sound_codec="mp2", **options)
    assert "frames_before_key" not in normalise(source, duration=7.6)
    before = greys(source.with_name("out.mp4"), 190)
    cut_before(source, 27)
    facts = normalise(source, duration=5.0)
    assert facts["frames_before_key"] in (12, 13)
    late = round(facts["picture_delay"] * 25)
    assert late in range(10, 20)
    after = greys(source.with_name("out.mp4"), 125)
    errors = [np.abs(after[late:] - before[key : key + 125 - late]).max() for key in range(36, 46)]
    assert min(errors) < 2.5
    assert int(np.argmin(errors)) in range(3, 6)
    assert np.abs(after[:late] - after[late]).max() < 2.5  # the first frame is held before it
    assert "frames_before_key" not in normalise(source, start=1.0, duration=3.0)


def test_no_key_frame_at_all(make_clip: MakeClip) -> None:
    source = make_film(make_clip, "clip.ts", sound_codec="mp2", g="250", keyint_min="250")
    cut_before(source, 1)
    with pytest.raises(ClipError) as caught:
        normalise(source)
    assert caught.value.reason == "corrupt"
