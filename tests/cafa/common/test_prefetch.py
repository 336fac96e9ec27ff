import threading

import pytest

from cafa.common.prefetch import ahead


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
