"""Frames of two fields lose their combing; frames that are not flagged keep their bits, and each its time."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cafa.media.container import open_media
from cafa.media.frame_graph import ShownFrames, _Deinterlacer
from cafa.media.frames import read_frames
from cafa.media.normalise import NormaliseSettings, normalise_clip
from metrics.judges.media import sample_frames

HEIGHT, WIDTH, FRAMES = 144, 176, 50
BAR, SPEED = 24, 3  # pixels; pixels per field


def field_position(frame: int, field: int) -> int:
    return 8 + (SPEED * (2 * frame + field)) % (WIDTH - BAR - 16)


def woven(frame: int) -> np.ndarray:
    """Luma of a moving bar: even rows show it at one time, odd rows 1/50 s later."""
    luma = np.full((HEIGHT, WIDTH), 60, np.uint8)
    for field in (0, 1):
        begin = field_position(frame, field)
        luma[field::2, begin : begin + BAR] = 200
    return luma


def combing(luma: np.ndarray) -> float:
    """How much more neighbouring rows differ than the next but one."""
    luma = luma.astype(float)
    return float(np.abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2).mean())


@pytest.fixture
def film(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """MPEG-2 of woven fields, flagged as such or not."""
    path = tmp_path / f"{request.param}.ts"
    with av.open(str(path), "w") as container:
        options = {"b": "8M", "g": "12", "bf": "0"}
        if request.param == "flagged":
            options |= {"flags": "+ilme+ildct"}
        stream = container.add_stream("mpeg2video", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        if request.param == "flagged":
            # The encoder asks each frame whether it has two fields.
            mark = av.filter.Graph()
            size = f"video_size={WIDTH}x{HEIGHT}:pix_fmt=yuv420p:time_base=1/25"
            nodes = [mark.add("buffer", size), mark.add("setfield", "tff"), mark.add("buffersink")]
            mark.link_nodes(*nodes).configure()
        for index in range(FRAMES):
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            for plane, data in zip(frame.planes, (woven(index), None, None), strict=True):
                rows = np.full((plane.height, plane.line_size), 128, np.uint8)
                if data is not None:
                    rows[:, :WIDTH] = data
                plane.update(rows.tobytes())
            frame.pts, frame.time_base = index, Fraction(1, 25)
            if request.param == "flagged":
                mark.vpush(frame)
                frame = mark.vpull()
                frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert all(frame.interlaced_frame == (request.param == "flagged") for frame in container.decode(video=0))
    return path


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray()[:HEIGHT] for frame in container.decode(video=0)]


def shown(path: Path) -> tuple[list[np.ndarray], list[float], int]:
    with open_media(path) as media:
        film = ShownFrames(media, Fraction(0))
        found = [(frame.to_ndarray()[:HEIGHT], float(frame.pts * frame.time_base)) for frame in film]
        return [luma for luma, _ in found], [time for _, time in found], film.interlaced


def ingested(path: Path) -> tuple[dict, np.ndarray]:
    out = path.with_name("out.mp4")
    settings = NormaliseSettings(crf=1)
    facts = normalise_clip(path, start=0, duration=None, settings=settings, video_output=out, sound_output=None)
    return facts, read_frames(out, seconds=facts["seconds"], decoder="pyav")


@pytest.mark.parametrize("film", ["flagged"], indirect=True)
def test_combing_goes_and_the_time_line_stays(film: Path) -> None:
    before = [combing(luma) for luma in decoded(film)]
    assert min(before) > 3  # the fields are woven
    frames, times, interlaced = shown(film)
    assert interlaced == FRAMES
    assert np.allclose(times, np.arange(FRAMES) / 25)
    assert max(combing(luma) for luma in frames) < 0.35 * min(before)
    for index, luma in enumerate(frames):  # the bar is where the first field has it, not in another frame's place
        bright = np.flatnonzero(luma[HEIGHT // 4 : -HEIGHT // 4].mean(axis=0) > 130)
        assert abs(bright.mean() - (field_position(index, 0) + (BAR - 1) / 2)) < 1.5, index
    facts, pictures = ingested(film)
    assert facts["source_interlaced_frames"] == FRAMES
    assert facts["frames"] == FRAMES
    judges = sample_frames(film, {Fraction(25): FRAMES}, lambda frame: frame)[Fraction(25)]
    for reader in (pictures, judges):
        assert len(reader) == FRAMES
        assert max(combing(picture.mean(axis=2)) for picture in reader) < 0.5 * min(before)


@pytest.mark.parametrize("film", ["plain"], indirect=True)
def test_frames_that_are_not_flagged_keep_their_bits(film: Path) -> None:
    frames, _, interlaced = shown(film)
    assert interlaced == 0
    assert all(np.array_equal(luma, stored) for luma, stored in zip(frames, decoded(film), strict=True))
    assert "source_interlaced_frames" not in ingested(film)[0]


class Film:
    """Decoded frames of which some are flagged."""

    def __init__(self, flags: list[bool]) -> None:
        self.flags = flags

    def frames(self) -> list[av.VideoFrame]:
        graph = av.filter.Graph()
        source = graph.add("buffer", f"video_size={WIDTH}x{HEIGHT}:pix_fmt=gray:time_base=1/25")
        graph.link_nodes(source, graph.add("setfield", "tff"), graph.add("buffersink")).configure()
        frames = []
        for index, flag in enumerate(self.flags):
            frame = av.VideoFrame.from_ndarray(woven(index), format="gray")
            frame.pts, frame.time_base, frame.duration = 3 * index, Fraction(1, 75), 3
            if flag:
                graph.vpush(frame)
                frame = graph.vpull()
                frame.pts, frame.time_base, frame.duration = 3 * index, Fraction(1, 75), 3
            assert frame.interlaced_frame == flag
            frames.append(frame)
        return frames


@pytest.mark.parametrize(
    "flags", [[True], [False, False, True, True, False], [True, False, True], [False, True], [False], []]
)
def test_only_flagged_frames_of_a_mixed_film_are_touched(flags: list[bool]) -> None:
    frames = Film(flags).frames()
    deinterlacer = _Deinterlacer()
    out = [shown for frame in [*frames, None] for shown in deinterlacer.push(frame)]
    assert [(frame.pts, frame.time_base, frame.duration) for frame in out] == [
        (3 * index, Fraction(1, 75), 3) for index in range(len(flags))
    ]
    assert deinterlacer.frames == sum(flags)
    for index, (frame, flag) in enumerate(zip(out, flags, strict=True)):
        same = np.array_equal(frame.to_ndarray(), woven(index))
        assert same != flag or len(flags) == 1  # of a lone frame nothing tells that it moves
