"""Work in a process of its own: results and errors come back, a crash and a hang end the work alone."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from cafa.common.errors import ClipError
from cafa.generation.generate_options import GenerateOptions
from cafa.media.parts import find_part
from cafa.service.apart import Apart, ReadingError
from cafa.service.engine import Engine
from cafa.service.foley_maker import FoleyMaker
from cafa.service.jobs import JobRequest, JobState
from tests.cafa.service.makers import until_ended


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def test_results_and_errors_come_back(video: Path, tmp_path: Path) -> None:
    apart = Apart(30)
    assert apart(os.getpid) != os.getpid()
    part = apart(find_part, video, 0.0, 0.5)
    assert (part.start, part.end) == (0.0, pytest.approx(0.5, abs=0.2))
    with pytest.raises(ClipError, match="no file at") as caught:
        apart(find_part, tmp_path / "nothing.mp4", 0.0, 0.5)
    assert caught.value.reason == "missing_file"


def test_a_crash_a_hang_and_a_cancel_end_the_work_alone() -> None:
    with pytest.raises(ReadingError, match=r"FFmpeg crashed on this video \(SIGSEGV\)"):
        Apart(30)(crash)
    with pytest.raises(ReadingError, match=r"could not be read or written within 0\.3 s"):
        Apart(0.3)(time.sleep, 60)

    def unwanted() -> None:
        raise KeyError("unwanted")

    begun = time.monotonic()
    with pytest.raises(KeyError):
        Apart(30, unwanted)(time.sleep, 60)
    assert time.monotonic() - begun < 10


def test_a_crash_of_ffmpeg_is_the_error_of_one_job(
    tiny_models: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine(FoleyMaker(tiny_models, GenerateOptions(steps=2)), tmp_path) as engine:
        with video.open("rb") as file:
            kept = engine.videos.copy(file, "bars.mp4")
        asked = JobRequest(video=kept.id, prompt="a dog", start=0.0, end=0.6)
        with monkeypatch.context() as patched:
            patched.setattr("cafa.generation.foley.normalise_clip", _crash_on)
            job = until_ended(engine, engine.submit(asked).id)[-1]
        assert (job.state, job.error) == (JobState.FAILED, "FFmpeg crashed on this video (SIGSEGV)")
        assert [path.name for path in engine.folder_of(job.id).iterdir()] == ["job.json"]
        good = until_ended(engine, engine.submit(asked).id)[-1]
        assert good.state is JobState.DONE, good.error
        assert good.takes[0].seconds == pytest.approx(0.6, abs=0.25)


def _crash_on(video: Path, **more: object) -> None:
    crash()


def test_a_cancel_ends_within_a_window(tiny_models: Path, video: Path, tmp_path: Path) -> None:
    with Engine(FoleyMaker(tiny_models, GenerateOptions(steps=100_000)), tmp_path) as engine:
        with video.open("rb") as file:
            kept = engine.videos.copy(file, "bars.mp4")
        job = engine.submit(JobRequest(video=kept.id, prompt="a dog"))
        while engine.job(job.id).step != "making sound":
            threading.Event().wait(0.01)
        engine.cancel(job.id)
        begun = time.monotonic()
        assert until_ended(engine, job.id)[-1].state is JobState.CANCELLED
        assert time.monotonic() - begun < 20
        assert [path.name for path in engine.folder_of(job.id).iterdir()] == ["job.json"]
