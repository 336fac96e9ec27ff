"""What `cafa weights` prints: each function is a verb, and gives lines for a person."""

import json
from collections.abc import Callable, Collection
from pathlib import Path

from cafa.common.errors import InputError, WeightsError
from cafa.common.weight_files import WeightSource, read_weight_sources
from cafa.weights.catalogue import published, select
from cafa.weights.fetching import get
from cafa.weights.folder import VARIABLE, read_record, weights_folder, why_folder
from cafa.weights.inventory import remove, states_of, verify
from cafa.weights.planning import GetSettings, is_checked


def gigabytes(size: int) -> str:
    """Bytes in a table of large and small files."""
    if size < 1e5:
        return f"{size} bytes"
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _chosen(
    names: Collection[str], purposes: Collection[str], table: Path | None, *, everything: bool = False
) -> list[WeightSource]:
    sources = read_weight_sources(table)
    if not names and not purposes:
        if everything:
            return published(sources.values())
        raise InputError(
            "name models or files (`cafa weights list` has them), or what they are for: "
            "--for generate, evaluate, train, baselines or all"
        )
    return select(sources, names, purposes)


def list_weights(purposes: Collection[str], folder: Path | None, table: Path | None, *, as_json: bool) -> list[str]:
    """Lines of `cafa weights list`: one for each model; or one JSON array of files."""
    place = weights_folder(folder)
    sources = _chosen((), purposes, table, everything=True)
    if as_json:
        entries = read_record(place).files
        rows = [
            {
                "name": source.name,
                "model": source.model_name,
                "for": source.purposes.split(),
                "bytes": source.bytes,
                "licence": source.licence,
                "terms": source.terms.split(),
                "page": source.page,
                "path": str(place / source.relative_path),
                "here": (place / source.relative_path).is_file(),
                "checked": is_checked(place / source.relative_path, entries.get(source.relative_path)),
            }
            for source in sources
        ]
        return [json.dumps(rows, indent=2)]
    header = ("model", "size", "for", "terms", "here", "licence")
    lines = [header]
    for state in states_of(place, sources):
        first = state.files[0]
        size = f"{'' if state.complete else '>'}{gigabytes(state.bytes)}" if state.bytes else "?"
        purpose, terms = first.purposes.replace(" ", ",") or "-", first.terms.replace(" ", ",") or "-"
        lines.append((state.name, size, purpose, terms, state.here, first.licence))
    widths = [max(len(line[column]) for line in lines) for column in range(len(header) - 1)]
    texts = [
        "  ".join([*(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=False)), line[-1]])
        for line in lines
    ]
    return [*texts, f"folder: {place} ({why_folder(folder)})"]


def get_weights(
    names: Collection[str],
    purposes: Collection[str],
    folder: Path | None,
    table: Path | None,
    log: Callable[[str], None],
    *,
    accept: tuple[str, ...] = (),
    unverified: bool = False,
) -> list[str]:
    """Fetch, and lines of what is there in the end."""
    place = weights_folder(folder)
    wanted = _chosen(names, purposes, table)
    lines = []
    for fetched in get(wanted, GetSettings(place, accept, unverified), log):
        how = "" if fetched.fresh else "was there: "
        size = gigabytes(fetched.path.stat().st_size)
        lines.append(
            f"{fetched.source.name}: {how}{fetched.path} ({size}), SHA-256 {fetched.sha256[:12]}..., "
            f"checked against {fetched.checked_against}"
        )
    if folder:
        lines.append(f"Set {VARIABLE}={place} so that other commands find them.")
    return lines


def verify_weights(
    names: Collection[str],
    purposes: Collection[str],
    folder: Path | None,
    table: Path | None,
    log: Callable[[str], None],
    *,
    unverified: bool = False,
) -> tuple[list[str], list[str]]:
    """Lines of what was compared, and names of the files that are not what they should be.

    These are files of which nothing is known, too, and such as were named and are not there.
    """
    place = weights_folder(folder)
    wanted = _chosen(names, purposes, table, everything=True)
    named = bool(names or purposes)
    verdicts = [one for one in verify(wanted, place, log, unverified=unverified) if named or one.state != "missing"]
    lines = [f"{one.source.name}: {one.state}: {one.text.removeprefix(f'{one.source.name}: ')}" for one in verdicts]
    bad = [one.source.name for one in verdicts if one.state != "ok"]
    return [*lines, f"{len(lines) - len(bad)} of {len(lines)} files verified in {place}"], bad


def where_weights(names: Collection[str], folder: Path | None, table: Path | None) -> list[str]:
    """The folder, or the paths of files.

    Raises
    ------
    WeightsError
        If a named file is not there.
    """
    place = weights_folder(folder)
    if not names:
        return [str(place)]
    paths = {source.name: place / source.relative_path for source in _chosen(names, (), table)}
    if missing := [name for name, path in paths.items() if not path.is_file()]:
        raise WeightsError(f"not in {place}: {', '.join(missing)}: run `cafa weights get {' '.join(names)}`")
    return [str(path) for path in paths.values()]


def remove_weights(
    names: Collection[str], purposes: Collection[str], folder: Path | None, table: Path | None, *, forget: bool = False
) -> list[str]:
    """Delete files, and lines of what was freed."""
    place = weights_folder(folder)
    freed = remove(_chosen(names, purposes, table), place, forget=forget)
    lines = [f"{name}: {gigabytes(size)} freed" for name, size in freed.items()]
    return lines or [f"nothing of that is in {place}"]
