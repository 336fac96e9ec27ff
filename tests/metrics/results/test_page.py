from pathlib import Path

import pytest

from cafa.common.errors import InputError
from metrics.evaluation.from_files import media_of
from metrics.evaluation.pairs import read_pairs
from metrics.results.folder import read_results
from metrics.results.page import Media, write_page
from tests.metrics.study.browser import chromium


@pytest.fixture
def page(evaluated: Path, sounds: Path) -> Path:
    pairs = read_pairs(sounds / "prompts.csv", sounds / "reference", {n: sounds / n for n in ("ours", "their_s")})
    write_page(read_results(evaluated), media_of(pairs), evaluated / "report.html")
    return evaluated / "report.html"


def test_names_are_escaped_and_nothing_comes_from_outside(page: Path):
    text = page.read_text()
    assert "<img" not in text
    assert "<b>rain" not in text
    assert "&lt;/script&gt;&lt;img src=x onerror=" in text
    assert "http://" not in text
    assert "https://" not in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert "not_media" in text


def test_a_page_is_sorted_and_plays_in_a_browser(page: Path, tmp_path: Path):
    with chromium(tmp_path / "browser") as driver:
        driver.get(page.as_uri())
        column = "[...document.querySelectorAll('#sounds tbody tr')].map(r => Number(r.cells[5].dataset.value))"
        values = driver.execute_script(f"return {column}")
        driver.execute_script("document.querySelectorAll('#sounds th button')[3].click()")
        assert driver.execute_script(f"return {column}") == sorted(values)
        driver.execute_script("document.querySelectorAll('#sounds th button')[3].click()")
        assert driver.execute_script(f"return {column}") == sorted(values, reverse=True)
        seconds = driver.execute_async_script(
            "const [done] = arguments; const sound = document.querySelector('#sounds audio');"
            "sound.addEventListener('loadedmetadata', () => done(sound.duration));"
            "sound.addEventListener('error', () => done(-1)); sound.load(); sound.preload = 'metadata';"
        )
        assert seconds == pytest.approx(0.5, abs=0.02)
        assert driver.title == "Evaluation"
        asked = driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
        assert [name for name in asked if not name.startswith("file:")] == []
        for width in (1400, 500):
            driver.set_window_size(width, 1400)
            assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
            driver.save_screenshot(f"{tmp_path}/{width}.png")


def test_a_page_needs_scores_of_sounds(evaluated: Path):
    (evaluated / "clips.parquet").unlink()
    with pytest.raises(InputError, match="a page needs the output folder"):
        write_page(read_results(evaluated), Media({}, {}), evaluated / "report.html")
