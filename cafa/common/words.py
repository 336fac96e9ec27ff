"""Words of a caption, as the miniature's text encoder counts them."""

import re


def words_of(caption: str) -> list[str]:
    """Runs of letters and digits of any script, in lower case."""
    return re.findall(r"[^\W_]+", caption.lower())


def wrong_length(caption: str, most: int | None) -> str:
    """What is wrong with a caption's number of words, where an encoder takes 1 to `most`; empty if nothing is."""
    count = len(words_of(caption))
    if most is None or 0 < count <= most:
        return ""
    return f"the caption has {count} words, the text encoder takes 1 to {most} (`features.text.words`): {caption!r}"
