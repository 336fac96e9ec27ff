"""Files of pretrained models: which they are, and what a table of weights knows of them."""

import re
from pathlib import Path, PurePosixPath

from cafa.common.weight_files import WeightSource, read_weight_sources
from cafa.models.kinds import model_kind
from cafa.models.pretrained import InspectedFiles, PretrainedSettings


def inspect(settings: PretrainedSettings) -> InspectedFiles:
    """Find the files of the model that `settings` describe.

    Raises
    ------
    WeightsError
        If something is missing, with what to do.
    """
    return model_kind(settings.kind).inspect(settings)


def listed(table: Path, found: InspectedFiles) -> dict[str, WeightSource]:
    """Rows of a table of weights that are about a model's files, by the files' names.

    A file of a repository is known by its place there, any other by its own name, which a converted one shares with
    its row. Of several rows the last with a
    SHA-256 counts.
    """
    rows = sorted(read_weight_sources(table).values(), key=lambda row: row.sha256 is not None)
    about: dict[str, WeightSource] = {}
    for name in found.files:
        address = found.addresses.get(name)
        for row in rows:
            url = _any_revision(row.url)
            alone = not found.addresses and name in (PurePosixPath(url).name, row.name)
            if alone or (address and url == _any_revision(address)):
                about[name] = row
    return about


def _any_revision(url: str) -> str:
    """An address of the hub without the revision: a folder does not say of which one its files are."""
    return re.sub(r"^(https://huggingface\.co/[^/]+/[^/]+/resolve)/[^/]+/", r"\1/", url)
