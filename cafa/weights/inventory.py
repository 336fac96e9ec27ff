"""What is in the folder of weights: each model's state, checks without network, removal."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from cafa.common.errors import WeightsError
from cafa.common.weight_files import WeightSource
from cafa.weights.catalogue import models_of
from cafa.weights.checking import digests_of, expectations, require_equal, require_known_size
from cafa.weights.folder import LockEntry, changed_record, part_size, read_record, staging_path
from cafa.weights.planning import is_checked
from cafa.weights.progress import Bars


@dataclass(frozen=True)
class ModelState:
    """A model, and what of it is in the folder of weights.

    Parameters
    ----------
    name : str
    files : list of WeightSource
    bytes : int
        Sizes of its files that are known, by the table or by what is there.
    complete : bool
        All sizes are known.
    here : str
        ``checked``, ``here`` (not checked, or changed since), ``part`` with a number, ``no``.
    """

    name: str
    files: list[WeightSource]
    bytes: int
    complete: bool
    here: str


def states_of(folder: Path, sources: Iterable[WeightSource]) -> list[ModelState]:
    """State of each model, by sizes and times alone; nothing is read of large files."""
    entries = read_record(folder).files
    return [_state_of(folder, name, files, entries) for name, files in models_of(sources).items()]


def _state_of(folder: Path, name: str, files: list[WeightSource], entries: dict[str, LockEntry]) -> ModelState:
    paths = {source.name: folder / source.relative_path for source in files}
    there = [source for source in files if paths[source.name].is_file()]
    checked = [source for source in there if is_checked(paths[source.name], entries.get(source.relative_path))]
    sizes = [
        paths[source.name].stat().st_size if source in there else source.bytes or _recorded(source, entries)
        for source in files
    ]
    come = sum(part_size(folder, source) for source in files if source not in there)
    if len(checked) == len(files):
        here = "checked"
    elif len(there) == len(files):
        here = "here, not checked"
    elif there or come:
        here = f"{len(there)} of {len(files)} files" + (f", {come / 1e6:,.1f} MB of the next" if come else "")
    else:
        here = "no"
    return ModelState(name, files, sum(size or 0 for size in sizes), None not in sizes, here)


def _recorded(source: WeightSource, entries: dict[str, LockEntry]) -> int | None:
    return entries[source.relative_path].bytes if source.relative_path in entries else None


@dataclass(frozen=True)
class Verdict:
    """Result of checking one file: ``ok``, ``missing``, ``wrong`` or ``unknown``, and why."""

    source: WeightSource
    state: str
    text: str


def verify(
    sources: Iterable[WeightSource], folder: Path, log: Callable[[str], None], *, unverified: bool = False
) -> Iterator[Verdict]:
    """Read files and compare them with the table and with what was recorded. Nothing is asked of anybody.

    Parameters
    ----------
    sources : iterable of WeightSource
    folder : Path
        Folder of weights.
    log : callable
        Takes lines for a person.
    unverified : bool
        Record files of which nothing is known as they are.

    Yields
    ------
    Verdict
        As soon as a file was read.
    """
    entries, bars = read_record(folder).files, Bars(log)
    for source in sources:
        path = folder / source.relative_path
        if not path.is_file():
            come = part_size(folder, source)
            text = f"not at {path}" + (f"; {come:,} bytes of it have come" if come else "")
            yield Verdict(source, "missing", text)
            continue
        entry = entries.get(source.relative_path)
        expected = expectations(source, entry)
        try:
            require_known_size(path, source.bytes or (entry.bytes if entry else None), source)
            with bars.bar(source.name, path.stat().st_size) as bar:
                found = digests_of(path, {"sha256", *(one.algorithm for one in expected)}, bar.at)
            against = require_equal(path, found, expected, source)
        except WeightsError as error:
            yield Verdict(source, "wrong", f"{error}. It lies at {path}")
            continue
        if not expected and not unverified:
            hint = f"`cafa weights get {source.name}` asks its publisher; --unverified records it as it is"
            yield Verdict(source, "unknown", f"nothing is known of {path}: {hint}")
            continue
        status = path.stat()
        commit, first = (entry.commit, entry.checked_against) if entry else ("", against)
        new = LockEntry(source.name, source.url, found["sha256"], status.st_size, first, commit, status.st_mtime_ns)
        if new != entry:  # a folder that only others may write to can be verified
            with changed_record(folder) as record:
                record.files[source.relative_path] = new
        known = f"as recorded; at first checked against {first}" if entry else f"checked against {against}"
        yield Verdict(source, "ok", f"SHA-256 {found['sha256']}, {known}")


def remove(sources: Iterable[WeightSource], folder: Path, *, forget: bool = False) -> dict[str, int]:
    """Delete files, and parts of them that came.

    Parameters
    ----------
    sources : iterable of WeightSource
    folder : Path
        Folder of weights.
    forget : bool
        Forget their SHA-256 as well: what is fetched then may be another file. Licences that were accepted for models
        of which nothing is left are forgotten too.

    Returns
    -------
    dict of str to int
        Bytes that were freed, by the file's name; only of files that were there.
    """
    freed: dict[str, int] = {}
    for source in sources:
        path, staged = folder / source.relative_path, staging_path(folder, source)
        if not staged.parent.is_dir() and not path.is_file():
            continue
        staged.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(staged.with_name(f"{staged.name}.lock")):  # not while another process fetches it
            parts = (staged, staged.with_name(f".{staged.name}.part"), staged.with_name(f".{staged.name}.part.json"))
            size = sum(file.stat().st_size for file in (path, *parts) if file.is_file())
            for file in (path, *parts):
                file.unlink(missing_ok=True)
        if size:
            freed[source.name] = size
        if path.parent != folder and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
        if forget:
            with changed_record(folder) as record:
                record.files.pop(source.relative_path, None)
                record.accepted.pop(source.model_name, None)
    return freed
