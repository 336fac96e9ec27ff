"""Files of published judges: where they lie, what they must be, and judges opened from them."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cafa.common.errors import WeightsError
from cafa.models.weights import WeightSource, require_file
from metrics.judges.kinds import JUDGES
from metrics.judges.published_judge import JudgeFiles, PublishedJudge

#: What a judge can be loaded for.
PARTS = ("audio", "video", "text")


def weights_path(folder: Path, source: WeightSource) -> Path:
    """Where a file of the table of weights is expected: as the table says, or ``<name>.safetensors``."""
    converted = folder / f"{source.name}.safetensors"
    return converted if converted.is_file() else folder / source.relative_path


def rows_of(paths: Mapping[str, Path], sources: Mapping[str, WeightSource]) -> dict[str, WeightSource]:
    """What the files of :func:`find_weights` must be, by name.

    A converted file is another one than that which was published: it has a row of its own, ``<name>.safetensors``,
    or nothing is known of it.
    """
    rows = {}
    for name, path in paths.items():
        if path.name != f"{name}.safetensors":
            rows[name] = sources[name]
        elif path.name in sources:
            rows[name] = replace(sources[path.name], name=name)
        else:
            rows[name] = replace(sources[name], sha256=None, bytes=None)
    return rows


def find_weights(folder: Path, sources: Mapping[str, WeightSource], judges: Collection[str]) -> dict[str, Path]:
    """Paths of all files that judges need, by name.

    Raises
    ------
    WeightsError
        If files are missing: all of them are named, with what to download.
    """
    names = [name for judge, kind in JUDGES.items() if judge in judges for name in kind.weights]
    paths = {name: weights_path(folder, sources[name]) for name in names}
    missing = []
    for name in names:
        if not paths[name].is_file():
            try:
                require_file(paths[name], sources[name])
            except WeightsError as error:
                missing.append(str(error))
    if missing:
        raise WeightsError("\n".join([*missing, "`cafa weights get --for evaluate` fetches all that judges need"]))
    return paths


def open_judges(
    paths: Mapping[str, Path],
    sources: Mapping[str, WeightSource],
    judges: Collection[str],
    *,
    parts: Collection[str] = PARTS,
    device: str = "cpu",
    unverified: bool = False,
    sizes: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, PublishedJudge]:
    """Load the networks of judges.

    Parameters
    ----------
    paths : mapping of str to path
        From :func:`find_weights`.
    sources : mapping of str to WeightSource
        What the files must be.
    judges : collection of str
    parts : collection of str
        What they are needed for: of ``audio``, ``video`` and ``text``.
    device : str
    unverified : bool
        Accept files for which `sources` hold no SHA-256.
    sizes : mapping of str to mapping, optional
        judge -> sizes of its networks that are not the published ones.

    Returns
    -------
    dict of str to PublishedJudge
        In the order of the registry; a judge that can do nothing of `parts` is none of them.

    Raises
    ------
    WeightsError
        If a file is missing, or is not what its source says.
    """
    opened = {}
    for name, kind in JUDGES.items():
        wanted = [part for part in PARTS if part in parts and part in kind.parts]
        if name in judges and wanted:
            own = JudgeFiles(paths, sources, device, unverified, (sizes or {}).get(name, {}))
            opened[name] = kind.open(own, wanted)
    return opened
