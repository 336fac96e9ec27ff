"""The verbs of `cafa weights`: each function is one, and gives what is printed."""

import json
import sys
from collections.abc import Collection
from pathlib import Path

from cafa.common.errors import InputError, WeightsError
from cafa.common.weight_files import WeightSource, read_weight_sources
from cafa.weights.catalogue import published, select
from cafa.weights.fetching import get
from cafa.weights.folder import VARIABLE, read_record, weights_folder, why_folder
from cafa.weights.inventory import remove, states_of, verify
from cafa.weights.planning import GetSettings, is_checked


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


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


def list_weights(purposes: Collection[str], folder: Path | None, table: Path | None, *, as_json: bool) -> str:
    """Text of `cafa weights list`: a line for each model; or one JSON array of files."""
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
        return json.dumps(rows, indent=2)
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
    return "\n".join([*texts, f"folder: {place} ({why_folder(folder)})"])


def get_weights(
    names: Collection[str],
    purposes: Collection[str],
    folder: Path | None,
    table: Path | None,
    *,
    accept: tuple[str, ...] = (),
    unverified: bool = False,
) -> str:
    """Fetch, and give a line for each file that is there in the end; progress goes to standard error."""
    place = weights_folder(folder)
    wanted = _chosen(names, purposes, table)
    lines = []
    for fetched in get(wanted, GetSettings(place, accept, unverified), _log):
        how = "" if fetched.fresh else "was there: "
        size = gigabytes(fetched.path.stat().st_size)
        lines.append(
            f"{fetched.source.name}: {how}{fetched.path} ({size}), SHA-256 {fetched.sha256[:12]}..., "
            f"checked against {fetched.checked_against}"
        )
    if folder:
        lines.append(f"Set {VARIABLE}={place} so that other commands find them.")
    return "\n".join(lines)


def verify_weights(
    names: Collection[str],
    purposes: Collection[str],
    folder: Path | None,
    table: Path | None,
    *,
    unverified: bool = False,
) -> str:
    """Print a line for each file as it is read, and give their count.

    Raises
    ------
    WeightsError
        If a file is not what it should be, nothing is known of it, or one that was named is not there.
    """
    place = weights_folder(folder)
    named, bad, count = bool(names or purposes), [], 0
    for verdict in verify(_chosen(names, purposes, table, everything=True), place, _log, unverified=unverified):
        if verdict.state == "missing" and not named:
            continue
        name, count = verdict.source.name, count + 1
        print(f"{name}: {verdict.state}: {verdict.text.removeprefix(f'{name}: ')}", flush=True)
        bad += [name] if verdict.state != "ok" else []
    summary = f"{count - len(bad)} of {count} files verified in {place}"
    if bad:
        print(summary, flush=True)
        raise WeightsError(f"not verified: {', '.join(bad)}")
    return summary


def where_weights(names: Collection[str], folder: Path | None, table: Path | None) -> str:
    """The folder, or the paths of files.

    Raises
    ------
    WeightsError
        If a named file is not there.
    """
    place = weights_folder(folder)
    if not names:
        return str(place)
    paths = {source.name: place / source.relative_path for source in _chosen(names, (), table)}
    if missing := [name for name, path in paths.items() if not path.is_file()]:
        raise WeightsError(f"not in {place}: {', '.join(missing)}: run `cafa weights get {' '.join(names)}`")
    return "\n".join(str(path) for path in paths.values())


def remove_weights(
    names: Collection[str], purposes: Collection[str], folder: Path | None, table: Path | None, *, forget: bool = False
) -> str:
    """Delete files, and give what was freed."""
    place = weights_folder(folder)
    freed = remove(_chosen(names, purposes, table), place, forget=forget)
    lines = [f"{name}: {gigabytes(size)} freed" for name, size in freed.items()]
    return "\n".join(lines) or f"nothing of that is in {place}"
