"""Rows of features that need not be computed: which files of this job, or of others, have them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cafa.common.errors import InputError
from cafa.common.resume import differences, goes_on, same_key
from cafa.features.store import FeatureFormat, FeatureStore

#: name of a kind of feature -> files whose rows may be copied, in the order of trying
Stores = dict[str, list[FeatureStore]]


def kept_file(output: Path) -> Path:
    """Second name (a hard link) of a finished file: it is still there when a workflow has removed the first one."""
    return output.with_name(f".{output.stem}.kept")


def keep(outputs: Mapping[str, Path]) -> None:
    """Give finished files their second names."""
    for output in outputs.values():
        name = kept_file(output)
        new = name.with_name(f"{name.name}.new")
        new.unlink(missing_ok=True)
        try:
            os.link(output, new)
        except OSError as error:  # a file system without hard links
            print(f"{output} has no second name ({error.strerror}): when the job is repeated, it begins anew")
            name.unlink(missing_ok=True)
        else:
            os.replace(new, name)


def stores_of_job(formats: Mapping[str, FeatureFormat], outputs: Mapping[str, Path]) -> Stores:
    """What the same command has finished before, of the same encoder, settings and version.

    Of an output of other ones it is asked what to do; a kept file of other ones is passed over.
    """
    stores: Stores = {name: [] for name in formats}
    for name, output in outputs.items():
        wanted = formats[name].about
        finished = _opened(output)
        if finished and finished.kind == wanted["kind"] and _goes_on(output, finished, wanted):
            stores[name].append(finished)
        if store := _opened(kept_file(output)):
            if same_key(store.about, wanted):
                stores[name].append(store)
            elif changed := [line for line in differences(store.about, wanted) if line.startswith("code: ")]:
                print(
                    f"{kept_file(output)}: {len(store)} clips are not copied, they are of another version: {changed[0]}"
                )
    return stores


def _opened(path: Path) -> FeatureStore | None:
    """A finished file; None if there is none, or it is of no use."""
    try:
        return FeatureStore([path]) if path.is_file() else None
    except InputError:
        return None


def _goes_on(path: Path, store: FeatureStore, wanted: Mapping[str, Any]) -> bool:
    """Whether rows of a finished file are to be taken: asked where it is of another encoder, settings or version."""
    if same_key(store.about, wanted):
        return True
    if not goes_on(path, store.about, wanted, f"{len(store)} clips, finished"):
        return False
    if any(store.about[name] != wanted[name] for name in ("shape", "dtype", "trimmed")):
        raise InputError(f"{path} holds arrays of another form, which cannot be gone on with: give --restart")
    return True


def stores_of_others(
    formats: Mapping[str, FeatureFormat],
    places: Sequence[str | Path],
    alike: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Stores:
    """Files of other runs, or in folders of such, of the same encoder and settings; others are passed over.

    Parameters
    ----------
    formats : mapping of str to FeatureFormat
        What the job writes, by name.
    places : sequence of path
    alike : mapping of str to sequence of mapping
        Name -> identities of other encoders that give the same arrays.
    """
    stores: Stores = {name: [] for name in formats}
    for path in _files_of(places):
        store = FeatureStore([path])
        for name, form in formats.items():
            if store.encoder in alike.get(name, ()):
                form = replace(form, encoder=store.encoder)
            # Versions are not compared: a file of another run is named by somebody who trusts it.
            if all(value == store.about[part] for part, value in form.about.items() if part != "code"):
                stores[name].append(store)
    return stores


def _files_of(places: Sequence[str | Path]) -> Iterator[Path]:
    for place in map(Path, places):
        if not place.exists():
            raise InputError(f"nothing to reuse at {place}")
        yield from sorted(place.rglob("*.arrow")) if place.is_dir() else [place]


def copies_of(
    clip_id: str, sources: Mapping[str, str | None], kinds: Sequence[Sequence[str]], stores: Stores
) -> dict[str, FeatureStore]:
    """Where a clip's rows can be copied from, by name; `kinds` are names that are made together, or not at all."""
    found: dict[str, FeatureStore] = {}
    for name, digest in sources.items():
        match = (s for s in stores[name] if digest and clip_id in s and s.source_of(clip_id) == digest)
        if (store := next(match, None)) is not None:
            found[name] = store
    return {name: found[name] for names in kinds if found.keys() >= set(names) for name in names}
