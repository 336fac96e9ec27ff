"""A fault of settings is told by its field, with what there is in its place."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from cafa.common.settings_errors import LONGEST, settings_said


class Loop(BaseModel):
    """Settings inside settings."""

    model_config = ConfigDict(extra="forbid")
    steps: int = 1


class Outer(BaseModel):
    """Settings of a command."""

    model_config = ConfigDict(extra="forbid")
    weights: str
    loop: Loop | None = None
    loops: dict[str, Loop] = {}

    @model_validator(mode="after")
    def _possible(self) -> "Outer":
        if self.weights == "nowhere":
            raise ValueError("weights must be somewhere, got nowhere")
        return self


def told(fields: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(fields)
    return settings_said(caught.value, Outer).splitlines()


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        (
            {"weights": "w", "weigths": 1},
            ["weigths: there is no such setting; did you mean weights? There are loop, loops, weights"],
        ),
        (
            {"weights": "w", "loop": {"stepz": 1}},
            ["loop.stepz: there is no such setting; did you mean steps? There are steps"],
        ),
        (
            {"weights": "w", "loops": {"one": {"x": 1}}},
            ["loops.one.x: there is no such setting. There are steps"],
        ),
        (
            {"weights": "w", "x": 1, "y": 2},
            ["x: there is no such setting. There are loop, loops, weights", "y: there is no such setting"],
        ),
        ({}, ["weights: has to be given"]),
        ({"weights": 3}, ["weights: Input should be a valid string, got 3"]),
        ({"weights": "nowhere"}, ["weights must be somewhere, got nowhere"]),
        ({"loop": 1, "x": 1}, ["weights: has to be given", "loop: Input should be", "x: there is no such setting"]),
    ],
)
def test_field_fault_and_what_there_is(fields: dict[str, Any], lines: list[str]) -> None:
    said = told(fields)
    assert len(said) == len(lines)
    assert all(found.startswith(line) for found, line in zip(said, lines, strict=True)), said


def test_pydantic_and_its_manual_are_not_named() -> None:
    text = "\n".join(told({"weights": {"x": "y" * 1000}, "loopz": 1}))
    assert "pydantic" not in text
    assert "input_value" not in text
    assert len(text) < 3 * LONGEST + 100


def test_without_the_model_nothing_is_listed() -> None:
    with pytest.raises(ValidationError) as caught:
        Loop.model_validate({"stepz": 1})
    assert settings_said(caught.value) == "stepz: there is no such setting"
