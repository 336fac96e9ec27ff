"""Files of pretrained models and judges, checked before a run: are they there, as large as published, the right ones?

Sizes are compared where the table of weights gives them. A SHA-256 costs a pass over the file (30 GB are minutes), so
that of a large one is computed on request; registration always does it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from cafa.common.errors import CafaError, WeightsError
from cafa.common.files import sha256_file
from cafa.common.weight_files import WeightSource, require_size
from cafa.models.pretrained import PretrainedSettings
from cafa.preflight.finding import Finding

#: bytes up to which a file is hashed without being asked to: configurations and vocabularies
SMALL = 10_000_000


def findings_of_models(
    models: Mapping[str, PretrainedSettings], table: Path | None, *, hashed: bool
) -> Iterator[Finding]:
    """What is wrong with the files of pretrained models. Nothing is downloaded.

    Parameters
    ----------
    models : mapping of str to PretrainedSettings
        Settings by name.
    table : path, optional
        A table of weights, as :func:`cafa.common.weight_files.read_weight_sources` reads it.
    hashed : bool
        Compute the SHA-256 of large files too.

    Yields
    ------
    Finding
    """
    from cafa.models.registry_files import inspect, listed

    for name, settings in models.items():
        downloads = getattr(settings, "download", False)
        try:
            found = inspect(settings.model_copy(update={"download": False}) if downloads else settings)
        except CafaError as error:
            if downloads:
                yield Finding("warning", f"model {name} will be downloaded: {error}")
            else:
                yield Finding("error", f"model {name}: {error}")
            continue
        rows = listed(table, found) if table is not None else {}
        for file_name, file in found.files.items():
            row = rows.get(file_name)
            expected = settings.sha256.get(file_name) or (row.sha256 if row is not None else None)
            yield from faults(f"model {name}", file, row, expected, hashed=hashed)


def faults(
    owner: str, file: Path, source: WeightSource | None, expected: str | None, *, hashed: bool
) -> Iterator[Finding]:
    """What is wrong with a file that is there: its size, its SHA-256.

    Parameters
    ----------
    owner : str
        What it is for.
    file : Path
    source : WeightSource or None
        Its row of the table of weights.
    expected : str or None
        SHA-256 that it must have.
    hashed : bool
        Compute the SHA-256 of a large file too.

    Yields
    ------
    Finding
    """
    size = file.stat().st_size
    if not size:
        yield Finding("error", f"{owner}: {file} is empty: delete it and download it again")
        return
    try:
        if source is not None:
            require_size(file, source)
    except WeightsError as error:
        yield Finding("error", f"{owner}: {error}")
        return
    if expected and (hashed or size <= SMALL) and (digest := sha256_file(file)) != expected:
        yield Finding(
            "error", f"{owner}: {file} has SHA-256 {digest}, expected {expected}: delete it and download it again"
        )
