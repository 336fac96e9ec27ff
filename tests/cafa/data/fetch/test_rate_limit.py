"""All jobs of a run ask in one pace, and stop together."""

from pathlib import Path

import pytest

from cafa.data.fetch.rate_limit import FetchStoppedError, RateLimiter
from cafa.data.fetch.settings import Politeness
from tests.cafa.data.fetch.conftest import Time


def limiters(tmp_path: Path, time: Time, count: int = 2, **settings: float) -> list[RateLimiter]:
    """Gates of several jobs on one file."""
    return [RateLimiter(tmp_path / "p.json", Politeness(**settings), time.clock, time.sleep) for _ in range(count)]


def test_turns_are_apart_over_all_jobs(tmp_path: Path, time: Time) -> None:
    turns = []
    for limiter in limiters(tmp_path, time, 3, interval_seconds=5.0) * 2:
        limiter.wait()
        turns.append(time.now - 1_800_000_000.0)
    assert turns == [0.0, 5.0, 10.0, 15.0, 20.0, 25.0]


def test_nobody_waits_after_a_pause(tmp_path: Path, time: Time) -> None:
    limiter, _ = limiters(tmp_path, time, interval_seconds=5.0)
    limiter.wait()
    time.now += 100.0
    limiter.wait()
    assert time.naps == []


def test_an_objection_pauses_all_jobs_longer_each_time(tmp_path: Path, time: Time) -> None:
    one, other = limiters(tmp_path, time, interval_seconds=0.0, back_off_seconds=60.0, bot_checks=5)
    begun = time.now
    one.record_block("captcha")
    other.wait()
    assert time.now == begun + 60.0
    other.record_block("captcha")
    one.wait()
    assert time.now == begun + 180.0
    one.record_success()
    other.record_block("captcha")  # the row was broken
    one.wait()
    assert time.now == begun + 240.0
    assert max(time.naps) <= 10.0  # they look up while they wait


def test_a_turn_already_given_is_moved_by_an_objection(tmp_path: Path, time: Time) -> None:
    one, other = limiters(tmp_path, time, interval_seconds=30.0, back_off_seconds=100.0)
    one.wait()
    plain_sleep, begun = time.sleep, time.now

    def sleep(seconds: float) -> None:
        if time.now == begun:
            one.record_block("captcha")
        plain_sleep(seconds)

    other._sleep = sleep
    other.wait()
    assert time.now >= begun + 100.0


def test_too_many_in_a_row_stop_the_run(tmp_path: Path, time: Time) -> None:
    settings = {"interval_seconds": 0.0, "back_off_seconds": 0.0, "bot_checks": 3, "cool_down_seconds": 600.0}
    one, other = limiters(tmp_path, time, **settings)
    one.record_block("captcha")
    other.record_block("captcha")
    with pytest.raises(FetchStoppedError, match=r"3 bot checks or rate limits in a row, the last: 'Sign in'"):
        one.record_block("Sign in")
    for limiter in limiters(tmp_path, time, **settings):  # those that come later, too
        with pytest.raises(FetchStoppedError, match=r"stopped until 2027-01-15 .* delete .*p\.json"):
            limiter.wait()
    assert time.naps == []
    time.now += 601.0
    other.wait()
    with pytest.raises(FetchStoppedError, match="stopped until"):
        other.record_block("captcha")  # one is enough after a stop
    time.now += 601.0
    one.wait()
    one.record_success()
    one.record_block("captcha")
    one.wait()
