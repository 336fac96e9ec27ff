"""Names of files as publishers give them, as patterns: from a row of a prompt set to a name, and back.

================  ===================================================================================================
field             what it is
================  ===================================================================================================
``{clip_id}``     the clip's id
``{youtube_id}``  of an id ``<youtube id>_<start in 6 digits>``, what is before the last underscore
``{start}``       the number behind it, whole seconds; ``{start:06d}`` with leading zeros
``{caption}``     the row's caption; runs of white space become one underscore
``{label}``       the category of the sound that is asked for, likewise
``{prompt}``      what the system was told (`caption` of its settings), likewise
``{caption_id}``  as in the prompt set
``{protocol}``    as in the prompt set
``{take}``        number of one of several sounds of a row
================  ===================================================================================================

A pattern is a path inside a folder or archive, with ``/`` between folders; ``**/`` at its beginning: in any folder.
"""

import re
import string
from collections.abc import Mapping
from typing import Any

from cafa.common.errors import InputError

#: field -> expression of its values in a name
FIELDS = {
    "clip_id": r"[A-Za-z0-9_-]+",
    "youtube_id": r"[A-Za-z0-9_-]+",
    "start": r"\d+",
    "caption": r"[^/]*",
    "label": r"[^/]*",
    "prompt": r"[^/]*",
    "caption_id": r"[A-Za-z0-9_-]+",
    "protocol": r"[A-Za-z0-9_]+",
    "take": r"\d+",
}
NUMBERS = ("start", "take")
SPACED = ("caption", "label", "prompt")
ANYWHERE = "**/"


def parts_of_clip_id(clip_id: str) -> tuple[str, int]:
    """``abc_000012`` as ``("abc", 12)``.

    Raises
    ------
    InputError
        If the id does not end with an underscore and 6 digits.
    """
    found = re.fullmatch(r"(.+)_(\d{6})", clip_id)
    if not found:
        raise InputError(
            f"clip {clip_id!r} is no `<youtube id>_<6 digits>`: name files by {{clip_id}} in the pattern of its system"
        )
    return found[1], int(found[2])


class NamePattern:
    """A pattern of names.

    Parameters
    ----------
    text : str

    Attributes
    ----------
    fields : frozenset of str
        Names of the fields that it has.
    anywhere : bool
        Whether a file may lie in any folder.

    Raises
    ------
    InputError
        If it names an unknown field, leads outside a folder, or names no clip.

    Examples
    --------
    >>> pattern = NamePattern("Y{youtube_id}_{start:06d}_{take}.wav")
    >>> pattern.name_of({"clip_id": "abcdefghijk_000012", "take": 3})
    'Yabcdefghijk_000012_3.wav'
    >>> pattern.read("some/folder/Yabcdefghijk_000012_3.wav") is None
    True
    >>> NamePattern("**/{clip_id}.flac").read("some/folder/abc.flac")
    {'clip_id': 'abc'}
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.anywhere = text.startswith(ANYWHERE)
        self._rest = text.removeprefix(ANYWHERE)
        try:
            self._parsed = list(string.Formatter().parse(self._rest))
        except ValueError as error:
            raise InputError(f"pattern {text!r}: {error}") from error
        self._require_possible()
        self.fields = frozenset(name for _, name, _, _ in self._parsed if name is not None)
        self._expression = re.compile(self._as_expression())

    def _require_possible(self) -> None:
        names = [name for _, name, _, _ in self._parsed if name is not None]
        if strange := sorted(set(names) - set(FIELDS)):
            raise InputError(f"pattern {self.text!r} names {strange}; the fields are {', '.join(FIELDS)}")
        for _, name, how, conversion in self._parsed:
            if conversion or (how and (name not in NUMBERS or not re.fullmatch(r"0?\d*d", how))):
                raise InputError(
                    f"pattern {self.text!r}: `{how or conversion}` cannot be asked of {{{name}}}; numbers "
                    f"({', '.join(NUMBERS)}) may have leading zeros, as {{start:06d}}"
                )
        if not {"clip_id", "youtube_id"} & set(names):
            raise InputError(f"pattern {self.text!r} must name {{clip_id}}, or {{youtube_id}} and {{start}}")
        literal = "".join(part for part, _, _, _ in self._parsed)
        if self._rest.startswith("/") or ".." in self._rest.split("/") or "\\" in literal or "*" in literal:
            raise InputError(
                f"pattern {self.text!r} must be a name below the folder: no `/` at its beginning, no `..`, and no `*` "
                "but in `**/` at the beginning, which means any folder"
            )

    def _as_expression(self) -> str:
        seen: set[str] = set()
        parts = []
        for text, name, how, _ in self._parsed:
            parts.append(re.escape(text))
            if name is not None:
                digits = re.match(r"0(\d+)d", how or "")
                value = rf"\d{{{digits[1]},}}" if digits else FIELDS[name]
                parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{value})")
                seen.add(name)
        return ("(?:.*/)?" if self.anywhere else "") + "".join(parts)

    def name_of(self, row: Mapping[str, Any]) -> str:
        """Name of a row's file; of a pattern in any folder, the end of it.

        Parameters
        ----------
        row : mapping
            Fields of the prompt set, and ``take`` and ``prompt`` where the pattern has them.

        Raises
        ------
        InputError
            If the row lacks a field, or its clip id cannot be split.
        """
        values: dict[str, Any] = {}
        for name in self.fields:
            if name in ("youtube_id", "start"):
                values["youtube_id"], values["start"] = parts_of_clip_id(str(row["clip_id"]))
            elif row.get(name) is None:
                raise InputError(f"pattern {self.text!r} names {{{name}}}, of which nothing is known here")
            else:
                values[name] = "_".join(str(row[name]).split()) if name in SPACED else row[name]
        return self._rest.format(**values)

    def read(self, name: str) -> dict[str, str] | None:
        """Fields of a name, with ``clip_id`` where it follows; None if the name is not of the pattern."""
        found = self._expression.fullmatch(name)
        if found is None:
            return None
        fields = found.groupdict()
        if "clip_id" not in fields and "start" in fields:
            fields["clip_id"] = f"{fields['youtube_id']}_{int(fields['start']):06d}"
        return fields
