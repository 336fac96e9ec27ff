"""Seconds as people write them: one rule for manifests and options."""

import math
import re

from cafa.common.errors import InputError

#: 12, 12.5, .5, 1e2
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
#: 0,5 and 12,34; not 1,500, which may be thousands
COMMA = re.compile(r"[+-]?(0,\d+|\d+,(\d{1,2}|\d{4,}))")
#: 1:02, 00:00:01, 1:02:03.5, 00:01,5
CLOCK = re.compile(r"(?:(\d+):)?(\d{1,3}):(\d{2}(?:[.,]\d+)?)")


def parse_seconds(text: str) -> float:
    """Seconds of a number (``1.5``), a number with a decimal comma (``1,5``) or a time (``00:00:01.5``, ``1:30``).

    Raises
    ------
    InputError
        If the text is none of these, or could be two: ``1,500`` may be one and a half seconds or fifteen hundred.
    """
    text = text.strip()
    if NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    if COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    if match := CLOCK.fullmatch(text):
        hours, minutes, seconds = int(match[1] or 0), int(match[2]), float(match[3].replace(",", "."))
        if seconds < 60 and (minutes < 60 or match[1] is None):
            return hours * 3600 + minutes * 60 + seconds
    if re.fullmatch(r"[+-]?\d+,\d{3}", text):
        raise InputError(
            f"{text!r} may be {text.replace(',', '.')} or {text.replace(',', '')} seconds: write one of them"
        )
    raise InputError(f"must be seconds, got {text!r}; 1.5 or 00:00:01.5, for instance")
