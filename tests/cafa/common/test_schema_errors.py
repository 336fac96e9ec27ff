"""A problem of a configuration is told by its key, not by the schema."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.jsonschema import DRAFT202012

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
    return said_shortly(found, Path())


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


def test_keys_of_a_part_in_another_file_are_known(tmp_path: Path) -> None:
    parts = {"$defs": {"Loop": {"properties": {"seed": {"type": "integer"}, "steps": {"type": "integer"}}}}}
    (tmp_path / "parts.json").write_text(json.dumps(parts))
    schema = {"$ref": "parts.json#/$defs/Loop", "unevaluatedProperties": False, "properties": {"on": {}}}
    registry = Registry().with_resource("parts.json", DRAFT202012.create_resource(parts))
    found = best_match(jsonschema.Draft202012Validator(schema, registry=registry).iter_errors({"stepz": 3}))
    assert said_shortly(found, tmp_path).splitlines()[1:] == [
        "did you mean steps for stepz?",
        "keys that are known there: on, seed, steps",
    ]
