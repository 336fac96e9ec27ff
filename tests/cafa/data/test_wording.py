"""What systems are told of a row."""

import pytest
from pydantic import ValidationError

from cafa.data.wording import Wording
from cafa.generation.sources import PromptRow

ROW = PromptRow("c", "a", "a dog barks", "dog barking", "cross", "a cow moos", "cow mooing")


@pytest.mark.parametrize(
    ("caption", "negative", "told", "against"),
    [
        (None, None, "a dog barks", None),
        ("The sound of {label}", None, "The sound of dog barking", None),
        ("", "{own_caption}", "", "a cow moos"),
        ("{caption}, loud", "music, {own_label}", "a dog barks, loud", "music, cow mooing"),
    ],
)
def test_a_row_is_worded(caption: str | None, negative: str | None, told: str, against: str | None) -> None:
    wording = Wording(caption=caption, negative_prompt=negative)
    assert wording.prompt_of(ROW) == told
    assert wording.negative_of(ROW) == against


@pytest.mark.parametrize("text", ["{clip_id}", "{label!r}", "{label:>9}", "{", "{0}"])
def test_unknown_parts_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="wording"):
        Wording(caption=text)


def test_an_empty_negative_prompt_is_refused() -> None:
    with pytest.raises(ValidationError, match="null is none"):
        Wording(negative_prompt=" ")
