"""Seconds as people write them: read where they can mean one thing only."""

import pytest

from cafa.common.errors import InputError
from cafa.common.seconds import parse_seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0.0),
        ("1.5", 1.5),
        (".5", 0.5),
        (" 2 ", 2.0),
        ("1e1", 10.0),
        ("-1", -1.0),
        ("0,5", 0.5),
        ("3,2", 3.2),
        ("0,500", 0.5),
        ("12,3456", 12.3456),
        ("00:00:01", 1.0),
        ("1:30", 90.0),
        ("1:02:03.5", 3723.5),
        ("0:01,5", 1.5),
        ("100:00", 6000.0),
    ],
)
def test_read(text: str, expected: float) -> None:
    assert parse_seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "zero", "nan", "inf", "1e999", "1_000", "1:60", "1:75:00", "00:00:01:12", "1,2,3", "1.000,5", "5 min"]
)
def test_refused(text: str) -> None:
    with pytest.raises(InputError, match="must be seconds, got"):
        parse_seconds(text)


def test_a_comma_that_may_be_of_thousands_is_refused() -> None:
    with pytest.raises(InputError, match=r"may be 1\.500 or 1500 seconds"):
        parse_seconds("1,500")
