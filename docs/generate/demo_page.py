"""Take the picture of the page: a sound for a part of the first example, on a running `cafa demo`.

    cafa demo --port 8766 &
    python -m docs.generate.demo_page http://127.0.0.1:8766/ docs/images/demo.png

Needs Chromium with chromedriver, and selenium.
"""

import argparse
import tempfile
import time
from pathlib import Path

from tests.metrics.study.browser import chromium, wait_for

PART = {"begin": "0:00", "end": "0:02.8"}
WIDTH, HEIGHT = 1040, 970


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description="Picture of the page after a sound was made.")
    parser.add_argument("address")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder)) as window:
        window.set_window_size(WIDTH, HEIGHT)
        window.get(arguments.address)
        wait_for(window, "#go")
        window.find_elements("css selector", "tr.tr-body, tbody tr")[0].click()
        wait_for(window, "#video video")
        for field, text in PART.items():
            window.find_element("css selector", f"#{field} textarea, #{field} input").send_keys(text)
        window.find_element("id", "go").click()
        for _ in range(1200):
            if window.find_elements("css selector", ".cafa-take .cafa-line svg"):
                break
            time.sleep(0.5)
        time.sleep(2)  # the player shows its first picture
        window.execute_script("document.documentElement.style.overflow = 'hidden'; window.scrollTo(0, 0)")
        window.save_screenshot(str(arguments.picture))


if __name__ == "__main__":
    main()
