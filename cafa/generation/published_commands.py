"""The verbs of `cafa baselines`: each function is one, and gives what is printed."""

import json
import sys
from collections.abc import Collection
from pathlib import Path

from cafa.baselines.peers import PEERS
from cafa.baselines.published import get_published, published_set, read_published
from cafa.common.errors import InputError
from cafa.common.ledger import write_ledger

ARCHIVES = ("*.tar", "*.tar.gz", "*.tgz", "*.tar.xz", "*.tar.bz2", "*.zip")


def list_baselines(*, as_json: bool) -> str:
    """Text of `cafa baselines list`: published sets, then what can be run; or both as JSON."""
    sets = read_published()
    if as_json:
        peers = {
            name: {"title": peer.title, "repository": peer.repository, "commit": peer.commit, "licence": peer.licence}
            for name, peer in PEERS.items()
        }
        return json.dumps({"published": {name: one.model_dump() for name, one in sets.items()}, "run": peers}, indent=2)
    lines = ["published samples (cafa baselines get NAME):"]
    for name, entry in sets.items():
        count = f"{entry.expected:,} sounds" if entry.expected else "number not stated"
        length = f"{entry.seconds:g} s" if entry.seconds else "length not stated"
        lines += [f"  {name}: {entry.title}; {count}, {length}", f"      licence: {entry.licence}. {entry.page}"]
        lines += [f"      {entry.remark}"] if entry.remark else []
        lines += [f"      not found: {', '.join(entry.unknown)}"] if entry.unknown else []
    lines.append("systems that are run from a checkout (kind external, docs/baselines.md):")
    for name, peer in PEERS.items():
        lines.append(f"  {name}: {peer.title}, {peer.repository} at {peer.commit[:7]}; {peer.licence}")
    return "\n".join(lines)


def get_baselines(names: Collection[str], folder: Path, *, accept: tuple[str, ...]) -> str:
    """Fetch sets, and give where they are."""
    if not names:
        raise InputError(f"name sets: {', '.join(read_published())}")

    def log(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    files = get_published(names, folder, log, accept=accept)
    places = ", ".join(str(folder / name) for name in names)
    return f"{len(files)} files are in {places}; `cafa baselines check NAME` reads them"


def check_baseline(
    name: str,
    folder: Path,
    *,
    place: Path | None = None,
    archive: tuple[str, ...] = (),
    pattern: tuple[str, ...] = (),
    name_field: str | None = None,
    seconds: float | None = None,
    prompts: Path | None = None,
    ledger: Path | None = None,
) -> str:
    """Read a set's sounds; the text of what was found.

    Parameters
    ----------
    name : str
        Of the set.
    folder : Path
        Holds ``<set>``.
    place : Path, optional
        Folder of its sounds, if it lies elsewhere.
    archive : tuple of str
        Its archives, if they lie elsewhere; by default those in its folder, where there are any.
    pattern : tuple of str
        Patterns of its names; by default the set's.
    name_field : str, optional
        Of a webdataset.
    seconds : float, optional
        Least length; by default the set's.
    prompts : Path, optional
        A prompt set.
    ledger : Path, optional
        Is written.

    Raises
    ------
    InputError
        If it is not there, or no pattern reads any of its names.
    """
    # Here, for what reads sounds and tables takes longer to import than the other verbs take.
    from cafa.data.prompts import read_prompts
    from cafa.generation.published_check import check_sounds, patterns_for
    from cafa.generation.sound_archives import open_sounds

    entry = published_set(name)
    root = place or folder / name
    if not archive and not root.is_dir():
        raise InputError(f"{name} is not in {root}: run `cafa baselines get {name}`, or name its folder or archives")
    archives = list(archive) or [str(path) for glob in ARCHIVES for path in sorted(root.glob(glob))]
    with open_sounds(None if archives else root, archives or None, name_field) as files:
        patterns = patterns_for(name, entry, pattern, files.names)
        rows = read_prompts(prompts) if prompts is not None else None
        checked = check_sounds(files, patterns, seconds=seconds or entry.seconds or 1.0, prompts=rows)
    if ledger is not None:
        write_ledger(ledger, checked.rows)
    return checked.text(entry)
