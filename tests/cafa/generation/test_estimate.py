"""What is said of the time that a long sound will take."""

import pytest

from cafa.generation.estimate import Estimate, in_words, memory_in_use
from cafa.generation.steps import Step


def said(total: int, seconds_of_window: float) -> list[str]:
    """Lines of a video of so many windows."""
    lines: list[str] = []
    told: list[Step] = []
    times = iter((100.0, 100.0 + seconds_of_window))
    estimate = Estimate("film.mp4", 10.0, 1000, lines.append, told.append, lambda: next(times))
    steps = [Step("encode video", 0, total), *(Step("generate", done, total) for done in range(3))]
    for step in steps:
        estimate(step)
    assert told == steps
    return lines


def test_windows_time_and_memory_of_a_long_video_are_said() -> None:
    windows, left = said(7, 30.0)
    assert windows == "film.mp4: 7 windows of 10 s"
    assert "the first of 7 steps took 30.0 s" in left
    assert "about 3 min left" in left


def test_of_a_short_or_quick_one_nothing_is_said() -> None:
    assert said(2, 5.0) == []
    assert said(7, 1.0) == ["film.mp4: 7 windows of 10 s"]


@pytest.mark.parametrize(("seconds", "words"), [(20.4, "20 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")])
def test_times_are_said_as_people_do(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_memory_is_that_of_this_process() -> None:
    assert 10e6 < memory_in_use() < 1e12
