"""Generations that their authors published: the table of them, and how they are fetched and checked.

Fetching is that of published weights (:mod:`cafa.weights`): two files at once, each taken up where it broke off,
checked by SHA-256, with licences that are accepted by name.
"""

import os
from collections.abc import Callable, Collection, Iterable
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import InputError, WeightsError
from cafa.common.weight_files import WeightSource
from cafa.weights.checking import digests_of
from cafa.weights.folder import LockEntry, changed_record, read_record

TABLE = "published.yaml"
HUB = "https://huggingface.co/datasets"


class PublishedFile(BaseModel):
    """A file of a set: where it lies below the set's address, and where it is put below the set's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    origin: str = Field(alias="from")
    path: str
    sha256: str | None = None
    git: str = ""
    bytes: int | None = None


class PublishedSet(BaseModel):
    """Somebody's published generations; what nobody states is None and named in `unknown`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    system: str
    page: str
    licence: str
    terms: str = ""
    repository: str | None = Field(None, description="data set of the hub, of which all files are fetched")
    revision: str = "main"
    address: str | None = Field(None, description="of which `files` are fetched")
    files: tuple[PublishedFile, ...] = ()
    by_hand: bool = Field(False, description="a page that gives its files to people alone")
    names: tuple[str, ...] = Field((), description="patterns of the names of sounds (cafa.generation.name_patterns)")
    takes: int = 1
    expected: int | None = Field(None, description="number of sounds")
    seconds: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    captions: str | None = None
    remark: str = ""
    unknown: tuple[str, ...] = ()


def read_published() -> dict[str, PublishedSet]:
    """The table of published sets, by name."""
    text = resources.files("cafa.baselines").joinpath(TABLE).read_text(encoding="utf-8")
    return {name: PublishedSet.model_validate(entry) for name, entry in yaml.safe_load(text).items()}


def published_set(name: str) -> PublishedSet:
    """A published set.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    sets = read_published()
    if name not in sets:
        raise InputError(f"no published set is named {name!r}; there are {', '.join(sets)}")
    return sets[name]


def _source(name: str, entry: PublishedSet, path: str, url: str, **known: Any) -> WeightSource:
    return WeightSource(
        f"{name}/{path}",
        url,
        licence=entry.licence,
        used_by=entry.title,
        model=name,
        path=f"{name}/{path}",
        purposes="baselines",
        terms=entry.terms,
        page=entry.page,
        **known,
    )


def _hub_files(repository: str, revision: str) -> tuple[str, list[Any]]:
    """Commit and files of a data set of the hub, as it states them now."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import RepoFile

    interface = HfApi(endpoint=os.environ.get("HF_ENDPOINT", "").rstrip("/") or None)
    try:
        commit = interface.repo_info(repository, repo_type="dataset", revision=revision).sha
        tree = interface.list_repo_tree(repository, recursive=True, revision=commit, repo_type="dataset")
        return str(commit), [entry for entry in tree if isinstance(entry, RepoFile)]
    except (HfHubHTTPError, OSError) as error:
        raise WeightsError(f"{HUB}/{repository} does not say which files it has: {error}") from error


def sources_of(name: str, entry: PublishedSet) -> list[WeightSource]:
    """Files of a set, as rows of a table of weights; of a whole data set of the hub, what it lists now.

    Raises
    ------
    WeightsError
        If the hub does not answer.
    """
    if entry.repository is None:
        known = [(file, f"{entry.address}{quote(file.origin)}") for file in entry.files]
        return [
            _source(name, entry, file.path, url, sha256=file.sha256, git=file.git, bytes=file.bytes)
            for file, url in known
        ]
    commit, files = _hub_files(entry.repository, entry.revision)
    return [
        _source(
            name,
            entry,
            file.path,
            f"{HUB}/{entry.repository}/resolve/{commit}/{quote(file.path)}",
            sha256=file.lfs.sha256 if file.lfs else None,
            bytes=file.size,
        )
        for file in files
        if file.path not in (".gitattributes", "README.md")
    ]


def get_published(
    names: Collection[str], folder: Path, log: Callable[[str], None], *, accept: tuple[str, ...] = ()
) -> list[Path]:
    """Fetch sets into folders of their names, and check what is there.

    Parameters
    ----------
    names : collection of str
    folder : Path
        Holds ``<set>/<file>`` and the record of what was checked.
    log : callable
        Takes lines for a person.
    accept : tuple of str
        Sets whose licence is accepted.

    Returns
    -------
    list of Path
        Files that are there.

    Raises
    ------
    InputError
        If a licence is not accepted, or there is no such set, before anything is fetched.
    WeightsError
        If a file could not be had, is another one, or must be fetched by hand and is not there.
    """
    from cafa.weights.fetching import get  # the hub's client, which the list goes without
    from cafa.weights.planning import GetSettings

    entries = {name: published_set(name) for name in names}
    wanted = [source for name, entry in entries.items() if not entry.by_hand for source in sources_of(name, entry)]
    found = [fetched.path for fetched in get(wanted, GetSettings(folder, accept), log)]
    for name, entry in entries.items():
        if entry.by_hand:
            found += list(_by_hand(name, entry, folder))
    return found


def _by_hand(name: str, entry: PublishedSet, folder: Path) -> Iterable[Path]:
    """Files that a person put there; their SHA-256 is recorded the first time, and compared from then on."""
    from cafa.weights.planning import is_checked

    place = folder / name
    files = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else []
    if not files:
        raise WeightsError(
            f"{name}: {entry.page} gives its files to people alone. Read the licence ({entry.licence}), download the "
            f"archive there, put it into {place} under its published name, and run the same command"
        )
    before = read_record(folder).files
    for path in files:
        where, status = path.relative_to(folder).as_posix(), path.stat()
        if is_checked(path, before.get(where)):
            yield path
            continue
        digest = digests_of(path, {"sha256"})["sha256"]
        if where in before and before[where].sha256 != digest:
            raise WeightsError(
                f"{name}: {path} has SHA-256 {digest}, weights.lock.json has {before[where].sha256}: it is another file"
            )
        with changed_record(folder) as record:
            record.files[where] = LockEntry(
                f"{name}/{path.name}", entry.page, digest, status.st_size, "nobody", modified_ns=status.st_mtime_ns
            )
        yield path
