"""`cafa prompts`: the prompt set of a data set, from its manifest and ledgers."""

from collections.abc import Sequence
from pathlib import Path

from cafa.data.manifest import read_manifest
from cafa.data.prompt_files import publish
from cafa.data.prompts import PromptSettings, make_prompts, read_prompts


def write_prompt_set(
    manifest: str | Path,
    ledgers: Sequence[str | Path],
    settings: PromptSettings,
    *,
    seed: int,
    output: str | Path,
    excluded: str | Path,
    published: str | Path | None = None,
    caption_words: int | None = None,
) -> str:
    """Choose clips and captions; see :func:`cafa.data.prompts.make_prompts`.

    Parameters
    ----------
    manifest : path
        Of the data set.
    ledgers : sequence of path
        Of the stages that the clips must have passed.
    settings : PromptSettings
    seed : int
        Base seed.
    output, excluded : path
        Prompt set, and ledger of clips that cannot be used, to write.
    published : path, optional
        The set as csv, to write as well.
    caption_words : int, optional
        Most words of a caption that the text encoder takes.

    Returns
    -------
    str
        Prompts by protocol, and of `published` the SHA-256, as lines.
    """
    counts = make_prompts(read_manifest(manifest), ledgers, settings, seed, output, excluded, caption_words)
    lines = [", ".join(f"{count} {protocol}" for protocol, count in counts.items())]
    if published is not None:
        lines.append(f"{published}: SHA-256 {publish(read_prompts(output), published)}")
    return "\n".join(lines)
