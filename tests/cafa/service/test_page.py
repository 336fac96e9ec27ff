"""The page in a real browser: upload, make, play, keep; what does not work; two visitors; cancel."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
import uvicorn

from cafa.generation.estimate import in_words
from cafa.generation.generate_options import GenerateOptions
from cafa.media.container import open_media
from cafa.service.engine import Engine, Report
from cafa.service.foley_maker import FoleyMaker
from cafa.service.http import service_app
from cafa.service.jobs import Job, JobRequest, Take
from cafa.service.limits import Limits
from cafa.service.models_in_use import InUse
from cafa.service.videos import Video
from tests.cafa.service.conftest import write_video
from tests.metrics.study.browser import chromium, wait_for

pytest.importorskip("gradio", reason="gradio is not installed")
pytestmark = pytest.mark.slow


class Gated:
    """A maker that begins when it is let."""

    def __init__(self, inner: FoleyMaker) -> None:
        self.inner, self.open = inner, threading.Event()
        self.open.set()

    def make(self, job: Job, video: Video, file: Path, folder: Path, report: Report) -> list[Take]:
        report(0.0, "at the gate")
        while not self.open.wait(0.05):
            report(0.0, "at the gate")
        return self.inner.make(job, video, file, folder, report)

    def unread(self, request: JobRequest) -> str:
        return self.inner.unread(request)

    def in_use(self) -> InUse:
        return self.inner.in_use()


class Halting:
    """A maker that stops when a window is made, until it is let go on."""

    def __init__(self, inner: FoleyMaker) -> None:
        self.inner, self.go_on, self.said = inner, threading.Event(), list[tuple[str, float | None]]()

    def make(self, job: Job, video: Video, file: Path, folder: Path, report: Report) -> list[Take]:
        def told(share: float, step: str, left: float | None = None) -> None:
            report(share, step, left)
            if left is not None and step not in [said for said, _ in self.said]:
                self.said.append((step, left))
                assert self.go_on.wait(60)
                self.go_on.clear()

        return self.inner.make(job, video, file, folder, told)

    def unread(self, request: JobRequest) -> str:
        return self.inner.unread(request)

    def in_use(self) -> InUse:
        return self.inner.in_use()


@dataclass
class Served:
    address: str
    engine: Engine
    gate: threading.Event


@pytest.fixture(scope="module")
def served(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    gated = Gated(FoleyMaker(tiny_models, GenerateOptions(steps=2)))
    limits = Limits(longest_seconds=2, largest_bytes=1_000_000)
    with serving(gated, gated.open, tmp_path_factory.mktemp("page"), limits) as found:
        yield found


@contextmanager
def serving(maker: Any, gate: threading.Event, folder: Path, limits: Limits) -> Iterator[Served]:
    """The page of a maker, on a free port."""
    from cafa.service.page import add_page

    engine = Engine(maker, folder, limits)
    config = uvicorn.Config(
        add_page(service_app(engine), engine), port=0, log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(f"http://127.0.0.1:{port}/", engine, gate)
    finally:
        gate.set()
        server.should_exit = True
        thread.join()


def fill(window: Any, served: Served, video: Path, prompt: str = "a dog barks") -> None:
    """Open the page, upload a video and write a prompt."""
    window.get(served.address)
    wait_for(window, "#go")
    wait_for(window, "#video input[type=file]").send_keys(str(video))
    wait_for(window, "#video video, #video a")
    wait_for(window, "#prompt textarea, #prompt input").send_keys(prompt)


def make(window: Any) -> None:
    window.find_element("id", "go").click()


def until(window: Any, selector: str, text: str, seconds: float = 60) -> str:
    """Text of an element once it holds a word."""
    end = time.monotonic() + seconds
    found = ""
    while time.monotonic() < end:
        found = window.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        if text in found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{selector} never said {text!r}, last {found!r}")


PLAY = """
const [done] = arguments, video = document.querySelector(".cafa-take video");
video.muted = false;
video.play().then(() => setTimeout(async () => {
  const data = await (await fetch(video.src)).arrayBuffer();
  const sound = await new OfflineAudioContext(2, 44100, 44100).decodeAudioData(data);
  const samples = sound.getChannelData(0);
  const now = document.querySelector(".cafa-now").style.left;
  done({ time: video.currentTime, peak: samples.reduce((a, b) => Math.max(a, Math.abs(b)), 0), now,
         length: video.duration, muted: video.muted });
}, 700)).catch((error) => done({ error: String(error) }));
"""
OUTSIDE = """
return performance.getEntriesByType("resource").map((one) => one.name)
  .filter((name) => /^(http|ws)/.test(name) && !name.startsWith(location.origin));
"""


def test_a_visitor_makes_plays_and_keeps_a_sound(served: Served, video: Path, tmp_path: Path) -> None:
    with chromium(tmp_path) as window:
        fill(window, served, video)
        assert "only the miniature's world" not in window.find_element("tag name", "body").text
        assert "not known: these files are in no table of weights" in window.page_source
        make(window)
        until(window, "#state", "done")
        played = window.execute_async_script(PLAY)
        assert played.get("error") is None
        assert played["time"] > 0.2
        assert played["peak"] > 0.01
        assert float(played["now"].removesuffix("%")) > 10
        assert abs(played["length"] - 1.0) < 0.1
        line = window.find_element("css selector", ".cafa-line")
        window.execute_script("document.querySelector('.cafa-take video').pause()")
        line.click()  # in the middle
        at = window.execute_script("return document.querySelector('.cafa-take video').currentTime")
        assert abs(at - 0.5) < 0.05
        assert len(window.find_elements("css selector", ".cafa-line svg image")) == 10
        for link in window.find_elements("css selector", ".cafa-take figcaption a"):
            link.click()
        kept = _downloads(tmp_path, {".wav", ".flac", ".mp4"})
        outside, logged = window.execute_script(OUTSIDE), window.get_log("browser")
    assert outside == []
    assert not [line for line in logged if line["level"] == "SEVERE"]
    samples, rate = soundfile.read(kept[".wav"])
    assert (rate, len(samples)) == (44100, 44100)
    assert np.abs(samples).max() > 0.01
    assert "a_dog_barks" in kept[".wav"].name
    with open_media(kept[".mp4"]) as media:
        assert (media.stream("video").frames, media.stream("audio").codec_context.name) == (25, "aac")


def _downloads(folder: Path, suffixes: set[str]) -> dict[str, Path]:
    for _ in range(200):
        found = {path.suffix: path for path in folder.iterdir() if path.suffix in suffixes}
        if set(found) == suffixes and not list(folder.glob("*.crdownload")):
            return found
        time.sleep(0.05)
    raise AssertionError(f"only {list(found)} came")


def test_what_cannot_be_used_gets_a_plain_message(served: Served, tmp_path: Path) -> None:
    text = tmp_path / "words.mp4"
    text.write_text("these are words\n" * 100)
    long = write_video(tmp_path / "long.mp4", 3)
    with chromium(tmp_path) as window:
        for file, said in ((text, "this is not a video file"), (long, "longer than 2 s, which is the limit")):
            fill(window, served, file)
            make(window)
            assert "Traceback" not in until(window, "#state [role=alert]", said)
        window.get(served.address)
        wait_for(window, "#go")
        make(window)
        until(window, "#state [role=alert]", "choose a video first")
        assert window.find_element("id", "go").is_enabled()


def test_a_part_of_a_long_video_gets_sound(served: Served, tmp_path: Path) -> None:
    long = write_video(tmp_path / "long.mp4", 3)
    shots = Path(os.environ.get("CAFA_SCREENSHOTS", tmp_path))
    with chromium(tmp_path) as window:
        fill(window, served, long)
        for field, text in (("begin", "0:01"), ("end", "nonsense")):
            window.find_element("css selector", f"#{field} textarea, #{field} input").send_keys(text)
        make(window)
        until(window, "#state [role=alert]", "a time is seconds, m:s or h:m:s, got 'nonsense'")
        end = window.find_element("css selector", "#end textarea, #end input")
        end.clear()
        end.send_keys("2.5")
        window.save_screenshot(str(shots / "before.png"))
        served.gate.clear()
        make(window)
        until(window, "#state", "at the gate")
        window.save_screenshot(str(shots / "during.png"))
        served.gate.set()
        until(window, "#state", "done")
        shown = float(window.find_element("css selector", ".cafa-take").get_attribute("data-seconds"))
        window.save_screenshot(str(shots / "after.png"))
    assert abs(shown - 1.5) < 0.05


def test_of_a_video_of_several_windows_it_is_said_how_long_the_rest_takes(tiny_models: Path, tmp_path: Path) -> None:
    maker = Halting(FoleyMaker(tiny_models, GenerateOptions(steps=2)))
    seconds = 2.5 * maker.inner.pipeline.generator.seconds
    long = write_video(tmp_path / "long.mp4", seconds)
    limits = Limits(longest_seconds=60, largest_bytes=10_000_000)
    with serving(maker, maker.go_on, tmp_path / "page", limits) as served, chromium(tmp_path) as window:
        fill(window, served, long)
        make(window)
        for number in (2, 3):
            line = until(window, "#state", f"making sound, window {number} of 3")
            step, left = maker.said[-1]
            assert left is not None
            assert left > 0
            assert f"{step} (" in line
            assert f"%, about {in_words(left)} left)" in line
            share = float(window.find_element("css selector", "#state progress").get_attribute("value"))
            assert share == pytest.approx(0.15 + 0.7 * (number - 1) / 3, abs=0.01)
            maker.go_on.set()
        maker.go_on.set()  # the third window is made
        until(window, "#state", "done")
        shown = float(window.find_element("css selector", ".cafa-take").get_attribute("data-seconds"))
    assert shown == pytest.approx(seconds, abs=0.05)
    assert [said for said, _ in maker.said][:2] == ["making sound, window 2 of 3", "making sound, window 3 of 3"]


def test_the_page_takes_no_more_uploads_than_there_is_room(served: Served) -> None:
    address = f"{served.address}gradio_api/upload"
    limits = served.engine.videos.limits
    served.engine.videos.limits = limits.model_copy(update={"folder_bytes": 1})
    try:
        answer = httpx.post(address, files={"files": ("a.mp4", b"x" * 100)})
        assert (answer.status_code, answer.json()["reason"]) == (507, "folder_full")
        unsaid = httpx.post(address, content=iter([b"x" * 100]))
        assert unsaid.status_code == 411
    finally:
        served.engine.videos.limits = limits


def test_two_visitors_take_turns_and_either_can_cancel(served: Served, video: Path, tmp_path: Path) -> None:
    served.gate.clear()
    with chromium(tmp_path / "one") as first, chromium(tmp_path / "two") as second:
        for window in (first, second):
            fill(window, served, video)
            make(window)
            until(window, "#state", "at the gate" if window is first else "1 before this one")
        first.find_element("id", "stop").click()
        until(first, "#state", "cancelled")
        until(second, "#state", "at the gate")
        assert not first.find_elements("css selector", ".cafa-take")
        make(first)  # again, and now behind the other
        until(first, "#state", "1 before this one")
        first.find_element("id", "stop").click()
        until(first, "#state", "cancelled")
        served.gate.set()
        until(second, "#state", "done")
        assert second.find_elements("css selector", ".cafa-take")
        assert not first.find_elements("css selector", ".cafa-take")


def test_who_leaves_the_page_leaves_the_queue(served: Served, video: Path, tmp_path: Path) -> None:
    served.gate.clear()
    with chromium(tmp_path) as window:
        fill(window, served, video)
        make(window)
        until(window, "#state", "at the gate")
        assert served.engine.load() == (0, True)
        window.get("about:blank")
        for _ in range(200):
            if served.engine.load() == (0, False):
                break
            time.sleep(0.05)
    served.gate.set()
    assert served.engine.load() == (0, False)


def test_an_example_fills_the_fields(served: Served, tmp_path: Path) -> None:
    with chromium(tmp_path) as window:
        window.get(served.address)
        wait_for(window, "#go")
        rows = window.find_elements("css selector", "tr.tr-body, tbody tr")
        next(row for row in rows if "a lion that roars" in row.text).click()
        wait_for(window, "#video video")
        written = "return (document.querySelector('#prompt textarea, #prompt input') ?? {}).value"
        for _ in range(100):
            if window.execute_script(written) == "a lion that roars":
                break
            time.sleep(0.05)
        assert window.execute_script(written) == "a lion that roars"
        config = json.loads(window.execute_script("return JSON.stringify(window.gradio_config ?? {})"))
    assert config.get("analytics_enabled") is False
