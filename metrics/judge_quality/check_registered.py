"""`cafa judges canary`: registered pretrained judges, loaded and measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cafa.common.errors import InputError
from cafa.common.files import read_json, write_json
from cafa.data.manifest import read_manifest
from metrics.judge_quality.published import CanarySettings, on_clips, verdict, without_clips
from metrics.judge_quality.verdict import verdict_lines
from metrics.judges.registry import CARD, are_pretrained, open_registered, registered


@dataclass(frozen=True)
class EmbeddedClips:
    """Clips that the judges have embedded, to measure the judges on; all three, or none.

    Parameters
    ----------
    folders : sequence of path
        Of ``cafa embed reference``, of every shard.
    text : path, optional
        Embeddings of captions.
    manifest : path, optional
        Of the clips.
    """

    folders: Sequence[str | Path] = ()
    text: Path | None = None
    manifest: str | Path | None = None


def check_registered_judges(
    judges: Path, clips: EmbeddedClips, settings: CanarySettings, output: Path, device: str = "cpu"
) -> str:
    """Measure the judges on what needs no clips, and on clips where they are given; write the verdict.

    Parameters
    ----------
    judges : path
        Folder of the registered judges' model folders.
    clips : EmbeddedClips
    settings : CanarySettings
    output : path
        JSON to write, whatever the verdict.
    device : str

    Returns
    -------
    str
        The verdict, as lines.

    Raises
    ------
    InputError
        If only some of the clips' files are given, or the judges were trained here.
    """
    if len({bool(clips.folders), clips.text is not None, clips.manifest is not None}) > 1:
        raise InputError("--reference-embeddings, --text and --manifest belong together: give all, or none")
    if not are_pretrained(judges):
        raise InputError(f"the judges in {judges} were trained here: use `cafa judges check`")
    cards = {name: read_json(judges / name / CARD) for name in registered(judges)}
    more: dict[str, Any] = {}
    sizes: dict[str, int] = {}
    if clips.text is not None and clips.manifest is not None:
        folders = [Path(folder) for folder in clips.folders]
        more, sizes = on_clips(list(cards), folders, clips.text, read_manifest(clips.manifest))
    result = verdict(without_clips(open_registered(judges, device=device)), more, settings, cards, sizes)
    write_json(output, result)
    return "\n".join(verdict_lines(result))
