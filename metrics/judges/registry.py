"""Pretrained judges in the pipeline: registered once, then used like those that were trained here.

Registering checks that a judge's files are there and are the right ones, loads its networks once, so that a file that
does not fit is refused here and not days later, and writes ``<judge>/card.json``. A card has ``kind``: ``pretrained``;
``model``: the name of the network; ``settings``: as given; ``places`` and ``files``: absolute path and SHA-256 by name;
``weights_sha256``: that of the network's own file, as in embeddings and on protocol cards; ``converted_from``: what
files that `cafa models convert` made say of their origin. Every opening compares the
files that it reads with the card.

A judge without weights, which measures the sound itself, has a card of ``kind`` ``measurement`` without any file; it
goes with pretrained judges and with those that were trained here. Its ``weights_sha256`` is the version of what it
measures.
"""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import WeightsError
from cafa.common.files import read_json, write_json
from cafa.models.checkpoint_reader import origins_of
from cafa.models.weights import WeightSource, read_weight_sources, require_file
from metrics.judges.kinds import CLASSIFIER, JUDGES
from metrics.judges.measurements import check_version, measurements, open_measurement
from metrics.judges.published_files import PARTS, find_weights, open_judges, rows_of
from metrics.judges.published_judge import PublishedJudge

CARD, KIND, MEASUREMENT = "card.json", "pretrained", "measurement"


class PretrainedSettings(BaseModel):
    """Where a judge's published files are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: Path = Field(Path("weights"), description="folder of the files, under their published names")
    table: Path | None = Field(None, description="table of weights; null: the package's own, cafa/models/weights.tsv")
    unverified: bool = Field(False, description="accept files for which that table has no SHA-256")
    sizes: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="judge -> arguments of its networks that are not the published ones (tests)"
    )


def register(judge: str, settings: PretrainedSettings, output: str | Path) -> dict[str, Any]:
    """Check a judge's files and write its card.

    Parameters
    ----------
    judge : str
        Name in :data:`metrics.judges.kinds.JUDGES`.
    settings : PretrainedSettings
    output : path
        Model folder; gets ``card.json``.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    WeightsError
        If files are missing (all are named, with what to download), are not those of the table, or do not
        fit the networks.
    InputError
        If there is no such judge.
    """
    if not JUDGES[judge].weights:
        return _register_measurement(judge, settings, output)
    network, *others = JUDGES[judge].weights
    sources = read_weight_sources(settings.table)
    paths = find_weights(settings.weights, sources, [judge])
    sources = rows_of(paths, sources)
    digests = {network: require_file(paths[network], sources[network], unverified=settings.unverified)}
    # The files of a tokenizer are also known by what they make of known sentences, when they are opened.
    digests |= {name: require_file(paths[name], sources[name], unverified=True) for name in others}
    known = {name: replace(sources[name], sha256=digest) for name, digest in digests.items()}
    try:
        open_judges(paths, known, [judge], sizes=settings.sizes)
    except WeightsError as error:
        raise WeightsError(f"{judge} cannot be opened from {', '.join(map(str, paths.values()))}: {error}") from error
    card = {
        "kind": KIND,
        "model": network,
        "settings": settings.model_dump(mode="json"),
        "places": {name: str(path.absolute()) for name, path in paths.items()},
        "files": digests,
        "weights_sha256": digests[network],
    }
    if origins := origins_of(paths):
        card["converted_from"] = origins
    write_json(Path(output) / CARD, card)
    return card


def _register_measurement(judge: str, settings: PretrainedSettings, output: str | Path) -> dict[str, Any]:
    """Write the card of a judge without weights; opening it shows that it works here."""
    opened = open_measurement(judge)
    card = {
        "kind": MEASUREMENT,
        "model": judge,
        "settings": settings.model_dump(mode="json"),
        "places": {},
        "files": {},
        "weights_sha256": opened.weights_sha256,
    }
    write_json(Path(output) / CARD, card)
    return card


def are_pretrained(folder: str | Path) -> bool:
    """Whether a folder of judges holds pretrained ones; the classifier, which every table needs, must be there.

    Raises
    ------
    WeightsError
        If the classifier has no card, or some judges are pretrained and some are not.
    """
    folder = Path(folder)
    if not (folder / CLASSIFIER / CARD).is_file():
        raise WeightsError(
            f"{folder} has no card of the {CLASSIFIER}: train the judges (`cafa judges train`), or register "
            "pretrained ones (`cafa judges register`)"
        )
    found = {judge: read_json(folder / judge / CARD)["kind"] for judge in registered(folder)}
    kinds = {judge: kind for judge, kind in found.items() if kind != MEASUREMENT}
    pretrained = [judge for judge, kind in kinds.items() if kind == KIND]
    if pretrained and len(pretrained) < len(kinds):
        raise WeightsError(f"{folder} mixes pretrained judges ({', '.join(pretrained)}) with trained ones")
    return bool(pretrained)


def registered(folder: str | Path) -> list[str]:
    """Judges that have a card in a folder, in the order of the registry."""
    return [judge for judge in JUDGES if (Path(folder) / judge / CARD).is_file()]


def open_registered(
    folder: str | Path, judges: Collection[str] | None = None, *, parts: Collection[str] = PARTS, device: str = "cpu"
) -> dict[str, PublishedJudge]:
    """Load registered judges.

    Parameters
    ----------
    folder : path
        Holds their folders.
    judges : collection of str, optional
        None: all that are registered there.
    parts : collection of str
        What they are needed for, see :func:`metrics.judges.published_files.open_judges`.
    device : str

    Raises
    ------
    WeightsError
        If a file is missing or is not the one that was registered, or a judge without weights measures otherwise now.
    """
    paths: dict[str, Path] = {}
    sources: dict[str, WeightSource] = {}
    sizes: dict[str, dict[str, Any]] = {}
    judges = registered(folder) if judges is None else judges
    for judge in judges:
        card = read_json(Path(folder) / judge / CARD)
        for name, place in card["places"].items():
            paths[name] = Path(place)
            sources[name] = WeightSource(name, "(registered)", card["files"][name], "as registered", judge)
        sizes[judge] = card["settings"]["sizes"].get(judge, {})
    opened = open_judges(paths, sources, judges, parts=parts, device=device, sizes=sizes)
    for judge in measurements(opened):
        check_version(judge, read_json(Path(folder) / judge / CARD), opened[judge])
    return opened
