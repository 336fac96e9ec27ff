"""What a system is told of a row: its caption in other words, none at all, and what it must not make.

A row stays what it is in the prompt set: its ids and its caption go into the index of samples as they are, and a judge
of text and sound reads that caption, whatever the system was told.
"""

import string
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

#: Parts of a wording: columns of a prompt set.
PARTS = ("caption", "label", "own_caption", "own_label")


class Wording(BaseModel):
    """How a system's prompts are worded. Settings of a kind of systems have these fields by inheriting them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    caption: str | None = Field(
        None,
        description="what the system is told in place of the caption: a text with {caption}, {label}, {own_caption} or "
        '{own_label}, such as "The sound of {label}"; "" = no text; null = the caption as it is',
    )
    negative_prompt: str | None = Field(
        None,
        description="what the sound must not be: a text with the same parts; {own_caption} = the clip's own caption; "
        "null = none",
    )

    @field_validator("caption", "negative_prompt")
    @classmethod
    def _names_known_parts(cls, text: str | None) -> str | None:
        if text is not None:
            require_parts(text)
        return text

    @field_validator("negative_prompt")
    @classmethod
    def _is_not_empty(cls, text: str | None) -> str | None:
        if text is not None and not text.strip():
            raise ValueError("a negative prompt must have at least one word; null is none")
        return text

    def prompt_of(self, row: Any) -> str:
        """Text that the system is given for a row of a prompt set."""
        return row.caption if self.caption is None else worded(self.caption, row)

    def negative_of(self, row: Any) -> str | None:
        """Its negative prompt; None where there is none."""
        return None if self.negative_prompt is None else worded(self.negative_prompt, row)

    @property
    def wordings(self) -> tuple[str, ...]:
        """Wordings beside the caption itself, whose texts must be encoded."""
        return tuple(text for text in (self.caption, self.negative_prompt) if text is not None)


def require_parts(text: str) -> None:
    """Refuse a wording that names a part which rows do not have.

    Raises
    ------
    ValueError
        Says which parts there are.
    """
    try:
        found = [(name, conversion or how) for _, name, how, conversion in string.Formatter().parse(text)]
    except ValueError as error:
        raise ValueError(f"wording {text!r}: {error}") from error
    if strange := [name for name, how in found if name is not None and (name not in PARTS or how)]:
        raise ValueError(f"wording {text!r} names {strange}, a row has {', '.join(f'{{{name}}}' for name in PARTS)}")


def worded(wording: str, row: Any) -> str:
    """A wording with the parts of a row, which has them as attributes."""
    return wording.format(**{name: getattr(row, name) for name in PARTS})
