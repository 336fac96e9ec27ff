"""A rater that is a browser: plays both videos of each pair and answers as it prefers."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: of a pair (name, left file, right file, caption) and a criterion: "left" or "right"
Prefer = Callable[[dict[str, str], str], str]

PLAY = """
const [done] = arguments;
const videos = [...document.querySelectorAll(".videos video")];
(async () => {
  for (const video of videos) {
    video.muted = true;
    video.playbackRate = 8;
    await new Promise((resolve) => { video.addEventListener("ended", resolve, { once: true }); video.play(); });
  }
  done();
})();
"""


@contextmanager
def chromium(folder: Path) -> Iterator:
    """Headless Chromium; skips where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no chromium with chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--autoplay-policy=no-user-gesture-required",
        "--window-size=1200,1400",
        f"--user-data-dir={folder / 'profile'}",
    ):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.set_script_timeout(60)
    try:
        yield browser
    finally:
        browser.quit()


def begin(browser, address: str) -> None:
    """Open the page, agree, and read the instructions."""
    from selenium.webdriver.common.by import By

    browser.get(address)
    while True:
        wait_for(browser, ".jspsych-instructions-nav button, .videos, .done")
        buttons = browser.find_elements(By.CSS_SELECTOR, ".jspsych-instructions-nav button")
        if not buttons:
            return
        buttons[-1].click()


def answer_pair(browser, prefer: Prefer) -> None:
    """Play both videos of the pair on the screen, answer its questions, go on."""
    from selenium.webdriver.common.by import By

    wait_for(browser, ".videos video")
    files = [video.get_attribute("src") for video in browser.find_elements(By.CSS_SELECTOR, ".videos video")]
    legends = [legend.text for legend in browser.find_elements(By.CSS_SELECTOR, "legend")]
    pair = {"left": files[0], "right": files[1], "caption": legends[0]}
    assert not browser.find_element(By.CSS_SELECTOR, "button.go").is_enabled()
    browser.execute_async_script(PLAY)
    for field in browser.find_elements(By.CSS_SELECTOR, "fieldset"):
        assert field.is_enabled()
        criterion = field.find_element(By.CSS_SELECTOR, "input").get_attribute("name")
        field.find_element(By.CSS_SELECTOR, f"input[value={prefer(pair, criterion)}] + span").click()
    browser.find_element(By.CSS_SELECTOR, "button.go").click()


def wait_for(browser, selector: str, seconds: float = 20.0):
    """The first element of a selector, once it is there."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, seconds).until(lambda found: found.find_element(By.CSS_SELECTOR, selector))
