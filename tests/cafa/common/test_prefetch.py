import threading

import pytest

from cafa.common.prefetch import Alongside, ahead


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_everything_comes_in_order(workers: int):
    assert list(ahead(lambda item: item * item, range(20), workers)) == [(item, item * item) for item in range(20)]
    assert list(ahead(lambda item: item, [], workers)) == []


def test_only_a_few_are_prepared_before_they_are_asked_for():
    begun: list[int] = []
    items = ahead(lambda item: begun.append(item), range(100), 2)
    next(items)
    assert len(begun) <= 4
    items.close()
    assert len(begun) <= 4


def test_an_error_is_raised_when_its_item_is_due():
    def prepare(item: int) -> int:
        if item == 2:
            raise ValueError("item 2")
        return item

    items = ahead(prepare, range(5), 2)
    assert [next(items), next(items)] == [(0, 0), (1, 1)]
    with pytest.raises(ValueError, match="item 2"):
        next(items)


def test_preparing_runs_beside_the_caller():
    together = threading.Barrier(2, timeout=20)
    found = list(ahead(lambda item: together.wait() >= 0, [1, 2], 2))  # ends only if both run at once
    assert found == [(1, True), (2, True)]


@pytest.mark.parametrize("threaded", [False, True])
def test_work_alongside_is_done_in_order_and_at_the_end(threaded):
    done, here = [], threading.get_ident()

    def work(number: int) -> None:
        done.append((number, threading.get_ident() == here))

    with Alongside(threaded) as finish:
        for number in range(5):
            finish(lambda number=number: work(number))
    assert done == [(number, not threaded) for number in range(5)]


def test_the_next_is_made_while_the_one_before_is_finished():
    made, finished = threading.Event(), []

    def work() -> None:
        assert made.wait(10)  # of what is made after this was given
        finished.append(True)

    with Alongside(True) as finish:
        finish(work)
        made.set()
    assert finished == [True]


@pytest.mark.parametrize("threaded", [False, True])
def test_an_error_of_work_alongside_reaches_the_caller(threaded):
    def fail() -> None:
        raise ValueError("disk full")

    seen = []

    def two() -> None:
        with Alongside(threaded) as finish:
            finish(fail)
            finish(lambda: seen.append("another"))

    def one() -> None:
        with Alongside(threaded) as finish:
            finish(fail)

    for work in (two, one):
        with pytest.raises(ValueError, match="disk full"):
            work()
    assert seen == []


def test_an_error_of_the_caller_waits_for_the_work_in_hand():
    done = []

    def work() -> None:
        with Alongside(True) as finish:
            finish(lambda: done.append(True))
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        work()
    assert done == [True]
