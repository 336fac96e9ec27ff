"""The page of examples in a real browser: filter, order, address, failures, playing, sizes of the screen."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from metrics.examples.page import write_examples
from metrics.examples.settings import ExampleSources, ExamplesSettings
from tests.metrics.examples.conftest import HOSTILE, SYSTEMS
from tests.metrics.study.browser import chromium, wait_for

SHOWN = """
const text = (prompt, part) => prompt.querySelector(part).textContent;
return [...document.querySelectorAll(".prompt")].map((one) => `${text(one, "h3 small")} ${text(one, ".tag")}`);
"""
SORTED_BY = """
const scores = (prompt) => prompt.querySelector("figure:nth-child(2) .sorted span:last-child").textContent;
return [...document.querySelectorAll(".prompt")].map(scores);
"""
SIZES = """
const cards = [...document.querySelectorAll(".prompt:first-child figure")];
return [cards.map((one) => one.offsetTop), cards[0].offsetWidth];
"""
CHOOSE = """
const [name, value] = arguments, field = document.getElementById("tools").elements[name];
field.value = value;
field.dispatchEvent(new Event("input", { bubbles: true }));
"""
PLAY = """
const [done] = arguments, figure = document.querySelector("#cell-0-1"), video = figure.querySelector("video");
const other = document.querySelector("#cell-0-0 video");
const begin = async () => {
  await other.play();
  video.playbackRate = 0.25;  // so that a busy machine draws frames while an event is near
  await video.play();
  const lit = new Set();
  const look = setInterval(() => {
    figure.querySelectorAll(".event.now").forEach((one) => lit.add(one.title));
    if (video.currentTime < 0.4) return;
    clearInterval(look);
    done({ at: figure.querySelector(".at").style.left, time: video.currentTime, lit: [...lit],
      otherPaused: other.paused });
  }, 10);
};
const ready = () => {
  if (!video.src || !other.src) setTimeout(ready, 20);
  else begin().catch((error) => done({ error: String(error) }));
};
ready();
"""


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("browser")) as window:
        yield window


@pytest.fixture(scope="module", params=["inside", "beside"])
def page(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a page of nine prompts of three clips, and three of the fourth one's failures."""
    path = tmp_path_factory.mktemp("page #1") / "examples & more.html"
    settings = ExamplesSettings(systems=SYSTEMS, clips=3, prompts_per_clip=3, media=request.param, title=HOSTILE)
    sources = ExampleSources(
        folder / "clips", folder / "samples", scores=folder / "scores", event_times=folder / "times.parquet"
    )
    write_examples(pd.read_parquet(folder / "prompts.parquet"), sources, settings, path)
    return path.as_uri()


@pytest.fixture
def shown(window: Any, page: str) -> Iterator[Callable[[], list[str]]]:
    """The page, opened; gives the prompts that it shows. Its script must not fail, and nothing be asked of others."""
    window.get("about:blank")
    window.get_log("browser")
    window.get(page)
    yield lambda: window.execute_script(SHOWN)
    asked = window.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in asked if not name.startswith(("file:", "data:"))] == []
    assert [line for line in window.get_log("browser") if line["level"] in ("SEVERE", "WARNING")] == []


def choose(window: Any, name: str, value: str) -> None:
    window.execute_script(CHOOSE, name, value)


def test_a_filter_is_kept_in_the_address(window: Any, page: str, shown: Callable[[], list[str]]) -> None:
    everything = shown()
    assert len(everything) == len(set(everything)) > 9
    choose(window, "q", "DRUM clip3")
    assert shown()
    assert all("clip3" in one for one in shown())
    choose(window, "q", "")
    choose(window, "category", "dog")
    choose(window, "protocol", "cross")
    few = shown()
    assert 0 < len(few) < len(everything)
    assert all("<dog>" not in one for one in few)
    window.find_element("css selector", "input[value=text_only]").click()
    assert len(window.find_elements("css selector", ".prompt figure")) == 2 * len(few)  # own sound and cafa
    address = window.current_url
    assert address == f"{page}#category=dog&protocol=cross&without=text_only"
    window.get("about:blank")
    window.get(address)
    assert shown() == few
    assert not window.find_element("css selector", "input[value=text_only]").is_selected()
    window.find_element("name", "all").click()
    assert shown() == everything


def test_prompts_are_in_the_order_of_a_score_or_difference(
    window: Any, page: str, shown: Callable[[], list[str]]
) -> None:
    first = shown()
    choose(window, "sort", "DeSync")
    by_cafa = shown()
    assert sorted(first) == sorted(by_cafa) != first
    seconds = [float(text.removesuffix(" s")) for text in window.execute_script(SORTED_BY)]
    assert seconds == sorted(seconds)
    choose(window, "of", "text_only")
    choose(window, "first", "highest")
    assert [one for one in shown() if one in by_cafa[1:]][:3] == [one for one in by_cafa if one in shown()[:3]]
    choose(window, "minus", "cafa")  # of the lost one there is no difference: it is last
    assert shown()[-1].startswith("clip0 a <drum>")
    assert "DeSync of text_only minus cafa" in window.find_element("css selector", ".prompt p").text
    assert window.current_url == f"{page}#sort=DeSync&of=text_only&minus=cafa&first=highest"
    window.execute_script("location.hash = '#sort=nothing&of=nobody&page=900'")
    for _ in range(100):
        if shown() == first:
            return
        time.sleep(0.02)
    raise AssertionError("values that the page does not have are not ignored")


def test_failures_lead_to_their_cells_and_back(window: Any, shown: Callable[[], list[str]]) -> None:
    choose(window, "only", "lost")
    assert [one.split()[0] for one in shown()] == ["clip0"]
    lost = window.find_elements("css selector", "figure.failed")[-1]
    assert "no sound; all scores are missing corrupt: the container opens but decoding fails" in " ".join(
        lost.text.split()
    )
    link = lost.find_element("css selector", "a")
    assert link.text == "corrupt: <b>half a file</b> ↓"
    link.click()
    row = window.switch_to.active_element
    assert row.tag_name == "tr"
    assert "corrupt" in row.text
    assert [one.split()[0] for one in shown()] == ["clip0"]  # the filter stays
    choose(window, "q", "nothing like this")
    assert shown() == []
    row.find_element("css selector", "a").click()
    figure = wait_for(window, "figure:focus")
    assert "no sound; all scores are missing" in " ".join(figure.text.split())
    assert len(shown()) > 9
    window.back()
    for _ in range(100):
        if shown() == []:
            return
        time.sleep(0.02)
    raise AssertionError("the way back does not lead to the filter before")


def test_hostile_texts_are_texts(window: Any, shown: Callable[[], list[str]]) -> None:
    assert any(HOSTILE in one for one in shown())
    assert window.title == HOSTILE
    assert window.find_elements("css selector", "body b, img[src=x]") == []


def test_a_player_moves_along_events_and_alone(window: Any, shown: Callable[[], list[str]]) -> None:
    loaded = "return [...document.querySelectorAll('video')].map(v => [v.preload, v.readyState])"
    assert {tuple(one) for one in window.execute_script(loaded)} == {("none", 0)}
    played = window.execute_async_script(PLAY)
    assert "error" not in played
    assert played["time"] > 0.2
    assert float(played["at"].removesuffix("%")) > 25
    assert "seen at 0.20 s" in played["lit"]
    assert played["otherPaused"]
    line = window.find_element("css selector", "#cell-0-0 .line")
    line.send_keys("")  # focus
    window.execute_script("document.querySelectorAll('video').forEach(v => v.pause())")
    line.click()  # in the middle
    at = "return document.querySelector('#cell-0-0 video').currentTime"
    assert window.execute_script(at) == pytest.approx(0.4, abs=0.02)
    from selenium.webdriver.common.keys import Keys

    line.send_keys(Keys.ARROW_LEFT)
    assert window.execute_script(at) == pytest.approx(0.2, abs=0.03)
    assert line.get_attribute("aria-valuetext") is not None


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_width_of_the_screen_is_used(window: Any, shown: Callable[[], list[str]], colours: str, tmp_path: Path) -> None:
    assert shown()
    scheme = {"features": [{"name": "prefers-color-scheme", "value": colours}]}
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    found = []
    for width in (390, 800, 1600):
        size = {"width": width, "height": 1200, "deviceScaleFactor": 1, "mobile": False}
        window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        assert window.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        found.append(window.execute_script(SIZES))
    window.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert [len(set(tops)) for tops, _ in found] == [3, 1, 1]  # below each other on a phone, else in one row
    assert found[0][1] > 340
    assert found[2][1] > 1.9 * found[1][1]  # a wide screen is used
    ground = window.execute_script("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(ground) < 60) == (colours == "dark")
