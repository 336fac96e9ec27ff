"""The page in a real browser: three raters of known preference, one of them careless; then the table."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from metrics.study.answers import read_answers
from metrics.study.build import PageSettings, StudySources, build_study
from metrics.study.design import Pair, StudySettings, media_name
from metrics.study.results import ResultsSettings, StudyKey, write_results
from metrics.study.serve import study_app
from tests.metrics.study import browser
from tests.metrics.study.toy import toy_prompts, write_toy_sources

pytestmark = pytest.mark.slow
SETTINGS = StudySettings(
    system="ours",
    opponents=("theirs",),
    protocols=("matched", "cross"),
    pairs=2,
    ratings=3,
    pairs_per_rater=4,
    ties=False,
)
PORT = 18_766


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> StudySources:
    return StudySources(*write_toy_sources(tmp_path_factory.mktemp("sources"), toy_prompts(6)))


@pytest.fixture
def study(sources: StudySources, tmp_path: Path) -> Path:
    build_study(toy_prompts(6), sources, SETTINGS, PageSettings(receiver="."), tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture
def served(study: Path) -> Iterator[str]:
    config = uvicorn.Config(study_app(study, study / "answers.jsonl"), port=PORT, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{PORT}/"
    server.should_exit = True
    thread.join()


def who(key: StudyKey, file: str) -> tuple[Pair, str]:
    """Pair and maker of a video on the page."""
    for pair in key.design.pairs.values():
        for which in ("first", "second"):
            if media_name(pair, which, key.settings.seed) == file.rpartition("/")[2]:
                return pair, getattr(pair, which)
    raise AssertionError(file)


def careful(key: StudyKey) -> browser.Prefer:
    """Answers checks right; prefers ours for the prompt and the timing, theirs for the quality."""

    def prefer(shown: dict[str, str], criterion: str) -> str:
        pair, left = who(key, shown["left"])
        wanted = pair.second if pair.kind == "pair" and criterion == "quality" else pair.first
        return "left" if left == wanted else "right"

    return prefer


def careless(key: StudyKey) -> browser.Prefer:
    """Takes the wrong side of every check."""

    def prefer(shown: dict[str, str], criterion: str) -> str:
        pair, left = who(key, shown["left"])
        return "left" if left == pair.second else "right"

    return prefer


def test_raters_are_led_through_and_their_win_rates_found(served: str, study: Path, tmp_path: Path) -> None:
    key = StudyKey.read(study / "key.json")
    for number, prefer in enumerate((careful(key), careful(key), careless(key))):
        with browser.chromium(tmp_path / f"rater{number}") as window:
            browser.begin(window, f"{served}?PROLIFIC_PID=rater{number}")
            for turn in range(6):
                if turn == 2:  # a reload goes on where the rater was
                    browser.wait_for(window, ".videos")
                    window.refresh()
                    browser.wait_for(window, ".videos")
                    assert window.find_element("id", "jspsych-progressbar-container").text.startswith("2 of 6")
                browser.answer_pair(window, prefer)
            browser.wait_for(window, ".received")
            window.refresh()
            assert "taken part already" in window.find_element("tag name", "body").text
            assert not [line for line in window.get_log("browser") if line["level"] == "SEVERE"]
    settings = ResultsSettings(least_seconds=0)
    table = write_results(read_answers(study / "answers.jsonl"), key, settings, tmp_path / "results")
    rates = {(row.criterion, row.protocol): row.rate for row in table.itertuples()}
    expected = {"prompt_adherence": 1.0, "alignment": 1.0, "quality": 0.0}
    assert rates == {(name, protocol): rate for name, rate in expected.items() for protocol in ("matched", "cross")}
    card = json.loads((tmp_path / "results" / "table3.card.json").read_text())
    assert card["excluded"] == {"failed_check": 1}
    assert card["raters"] == 2


def test_without_a_receiver_the_answers_are_saved_as_a_file(sources: StudySources, tmp_path: Path) -> None:
    build_study(toy_prompts(6), sources, SETTINGS, PageSettings(), tmp_path / "study")
    key = StudyKey.read(tmp_path / "study" / "key.json")
    address = (tmp_path / "study" / "page" / "index.html").as_uri()
    with browser.chromium(tmp_path) as window:
        browser.begin(window, f"{address}?rater=by%20file&set=1")
        for _ in range(6):
            browser.answer_pair(window, careful(key))
        link = browser.wait_for(window, "a.save")
        assert link.get_attribute("download") == "study--by_file.json"
        script = (
            "const [done] = arguments; fetch(document.querySelector('a.save').href).then((a) => a.text()).then(done)"
        )
        text = window.execute_async_script(script)
    (tmp_path / "answers.json").write_text(text)
    (found,) = read_answers(tmp_path / "answers.json")
    assert found.rater == "by file"
    assert [row.pair for row in found.rows] == [shown.pair for shown in key.design.sets[1]]


def test_keys_play_answer_and_go_on(served: str, study: Path, tmp_path: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    with browser.chromium(tmp_path) as window:
        browser.begin(window, f"{served}?rater=keys")
        browser.wait_for(window, ".videos video")
        for key, figure in (("a", 1), ("b", 2)):
            ActionChains(window).send_keys(key).perform()
            browser.wait_for(window, f"figure:nth-child({figure}) .played")
        ActionChains(window).send_keys("1").send_keys("2").send_keys("1").perform()
        chosen = window.execute_script(
            "return [...document.querySelectorAll('input:checked')].map((i) => [i.name, i.value])"
        )
        assert chosen == [["prompt_adherence", "left"], ["alignment", "right"], ["quality", "left"]]
        ActionChains(window).send_keys(Keys.ENTER).perform()
        browser.wait_for(window, "button.go:disabled")
