"""A problem of a configuration is told by its key, not by the schema."""

from typing import Any

import jsonschema
import pytest
from jsonschema.exceptions import best_match

from cafa.common.schema_errors import LONGEST, said_shortly

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "steps": {"type": "integer", "minimum": 1, "description": "optimiser steps"},
        "rows": {"type": "array", "items": {"type": "string"}},
        "loop": {"type": "object", "additionalProperties": False, "properties": {"seed": {"type": "integer"}}},
    },
}


def told(value: dict[str, Any]) -> str:
    found = best_match(jsonschema.Draft202012Validator(SCHEMA).iter_errors(value))
    return said_shortly(found)


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ({"steps": 0}, ["config steps: 0 is less than the minimum of 1", "steps is: optimiser steps"]),
        ({"rows": ["a", 3]}, ["config rows.1: 3 is not of type 'string'"]),
        (
            {"stepz": 3},
            [
                "config: Additional properties are not allowed ('stepz' was unexpected)",
                "did you mean steps for stepz?",
                "keys that are known there: loop, rows, steps",
            ],
        ),
        (
            {"loop": {"lr": 3}},
            [
                "config loop: Additional properties are not allowed ('lr' was unexpected)",
                "keys that are known in loop: seed",
            ],
        ),
    ],
)
def test_key_fault_and_what_is_known(value: dict[str, Any], lines: list[str]) -> None:
    assert told(value).splitlines() == lines


def test_a_large_value_is_not_told_whole() -> None:
    assert len(told({"steps": "x" * 10_000})) < LONGEST + 100
