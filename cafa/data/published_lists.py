"""Published lists of clips: where they are, in which of the known forms, and what their rows say."""

import fcntl
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cafa.common.errors import ClipError, InputError
from cafa.common.files import read_json, sha256_file, write_json
from cafa.data.fetch.interface import VIDEO_ID
from cafa.data.reading_lists import read_rows
from cafa.data.uris import is_remote

#: clip names of VGGSound and its descendants: id, and either the second of the start or start and end in milliseconds
BY_SECOND = re.compile(r"([A-Za-z0-9_-]{11})_(\d{6})(?:\.mp4)?")
BY_MILLISECONDS = re.compile(r"([A-Za-z0-9_-]{11})_(\d+)_(\d+)(?:\.mp4)?")
#: names of splits in the lists -> ours
SPLIT_NAMES = {"train": "train", "test": "test", "valid": "validation", "val": "validation", "validation": "validation"}


@dataclass(frozen=True)
class ListForm:
    """How a published list is written.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns, as in the header where there is one.
    header : bool
        Whether the first line holds them.
    delimiter : str
        Between fields.
    name : str or None
        Column of the clip's name; None: `video` and `start` together name it.
    label, split : str or None
        Columns of label and split.
    """

    columns: tuple[str, ...]
    header: bool
    delimiter: str
    name: str | None = None
    video: str = "video_id"
    start: str = "start"
    label: str | None = None
    split: str | None = None


#: form -> how it is written; docs/datasets.md says who publishes what in which form
FORMS: dict[str, ListForm] = {
    "vggsound": ListForm(("video_id", "start", "label", "split"), False, ",", label="label", split="split"),
    "clip_labels": ListForm(("file", "label"), False, ",", name="file", label="label"),
    "id_labels": ListForm(("id", "label"), True, "\t", name="id", label="label"),
    "clip_names": ListForm(("name",), False, "\t", name="name"),
    "clip_starts": ListForm(("file", "start_sec"), True, ",", name="file"),
    "visualsound": ListForm(
        ("filename", "start", "desc", "split"), True, ",", video="filename", label="desc", split="split"
    ),
    "sync_labels": ListForm(
        ("dataset_name", "video_id", "start_sec", "vid_is_missing", "is_sync", "is_sync_by_cls_obj"),
        True,
        ",",
        start="start_sec",
    ),
    # A row for each label of a clip (cafa.data.vggsounder).
    "vggsounder": ListForm(
        ("video_id", "label", "modality", "background_music", "static_image", "voice_over"),
        True,
        ",",
        name="video_id",
        label="label",
    ),
    "classes": ListForm(("class", "is_sparse"), True, "\t"),
}
FormName = Literal[
    "vggsound",
    "clip_labels",
    "id_labels",
    "clip_names",
    "clip_starts",
    "visualsound",
    "sync_labels",
    "vggsounder",
    "classes",
]


class PublishedList(BaseModel):
    """One published list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = Field(None, description="where it lies, or is put; null: beside the manifest")
    url: str | None = Field(None, description="where it is fetched from if it does not lie there")
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-fA-F]{64}$",
        description="of the list; null: the one of the first download counts (`<list>.digest.json`)",
    )
    licence: str = Field(min_length=1, description="of the list; the clips stay their makers'")
    format: FormName = Field(description="form of its rows (docs/datasets.md)")
    split: Literal["train", "validation", "test"] | None = Field(
        None, description="split of its clips, where the rows do not say"
    )

    @model_validator(mode="after")
    def _somewhere(self) -> "PublishedList":
        if self.path is None and self.url is None:
            raise ValueError("give `path`, `url` or both")
        if self.url is not None and not is_remote(self.url):
            raise ValueError(f"url must begin with http:// or https://, got {self.url!r}")
        return self

    @property
    def title(self) -> str:
        """Name of the list's file."""
        return self.path.name if self.path is not None else str(self.url).rstrip("/").rpartition("/")[2]


def obtain(published: PublishedList, folder: str | Path) -> Path:
    """Path of a list: the local copy, or downloaded completely.

    Parameters
    ----------
    published : PublishedList
        The list.
    folder : str or Path
        Where a list without `path` is put.

    Raises
    ------
    InputError
        If it is not there, cannot be fetched, or is not what its SHA-256 says.
    """
    path = published.path or Path(folder) / published.title
    if not path.is_file() and published.url is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # data sets that are built at the same time may share a list
            if not path.is_file():
                _fetch(published, path)
    if path.is_file():
        found = sha256_file(path)
        if published.sha256 is not None and found != published.sha256.lower():
            raise InputError(
                f"{path} has SHA-256 {found}, not {published.sha256}: it is another version of the list, or damaged; "
                "correct `sha256`, or remove the file to fetch it"
            )
        _check_record(published, path, found)
        return path
    raise InputError(f"no list at {path}: put it there, or give its `url`")


def fetch_list(published: PublishedList, output: Path) -> str:
    """Put a list at `output`, unless it lies there; the line that says so.

    Raises
    ------
    InputError
        See :func:`obtain`.
    """
    path = obtain(published.model_copy(update={"path": output}), output.parent)
    line = f"{path}: {path.stat().st_size} bytes"
    if published.sha256 is not None:
        return line
    return (
        f"note: no `sha256` is configured for {published.url}; the one that came is taken, recorded in "
        f"{record_of(path)}, and another one is refused from now on. To fix it, write the recorded one as `sha256`\n"
        f"{line}"
    )


def record_of(path: Path) -> Path:
    """Record of the digest that the first download of a list had; it outlives the list."""
    return path.with_name(f"{path.name}.digest.json")


def _check_record(published: PublishedList, path: Path, found: str) -> None:
    """Refuse a list that is not the one that came first from the same address.

    An address that names a commit cannot change honestly: this finds what is cut short, replaced or of another server.
    """
    if published.sha256 is None and published.url is not None and record_of(path).is_file():
        first = read_json(record_of(path))
        if first["url"] == published.url and first["sha256"] != found:
            raise InputError(
                f"{path} has SHA-256 {found}; what came first from {published.url} had {first['sha256']} "
                f"({record_of(path)}). If it lies there, remove it to fetch it again; "
                f"if the new list is the one you mean, write `sha256: {found}` beside its url"
            )


def _fetch(published: PublishedList, path: Path) -> None:
    from cafa.common.download import download, new_client
    from cafa.common.http_settings import HttpSettings

    settings = HttpSettings()
    with new_client(settings) as client:
        try:
            found = download(client, str(published.url), path, settings=settings, sha256=published.sha256, media=True)
        except ClipError as error:
            raise InputError(f"list {path} cannot be fetched: {error}") from error
    if published.sha256 is None:
        try:
            _check_record(published, path, found)
        except InputError:
            path.unlink()
            raise
        write_json(record_of(path), {"url": published.url, "sha256": found, "bytes": path.stat().st_size})


@dataclass(frozen=True)
class ListedClip:
    """A row of a published list.

    Attributes
    ----------
    clip_id : str
        As ours where the row names a clip, else as it stands in the list.
    problem : ClipError or None
        Why the row is of no use.
    """

    line: int
    place: str
    clip_id: str
    video_id: str = ""
    start: int = 0
    label: str = ""
    split: str = ""
    row: dict[str, str] = field(default_factory=dict)
    problem: ClipError | None = None


def read_list(published: PublishedList, path: Path) -> Iterator[ListedClip]:
    """Rows of a list, each with what is wrong with it.

    Raises
    ------
    InputError
        If the file is not of its form.
    """
    form = FORMS[published.format]
    any_row = False
    rows = read_rows(
        path,
        None if form.header else form.columns,
        form.delimiter,
        required=form.columns if form.header else (),
        hint=f"it is not of the form {published.format!r}",
    )
    for line, row in rows:
        any_row = True
        place = f"line {line} of {published.title}"
        named = row[form.name] if form.name else row.get(form.video, "")
        try:
            if "" in row:
                raise ClipError("bad_row", row[""])
            video_id, start = _named(named) if form.name else _numbered(named, row[form.start])
            split: str = published.split or ""
            if form.split:
                split = SPLIT_NAMES.get(row[form.split], row[form.split])
        except ClipError as error:
            yield ListedClip(line, place, named, row=row, problem=error)
        else:
            clip_id = f"{video_id}_{start:06d}"
            yield ListedClip(line, place, clip_id, video_id, start, row.get(form.label or "", ""), split, row)
    if not any_row:
        raise InputError(f"{path} holds no row")


def read_classes(published: PublishedList, path: Path) -> frozenset[str]:
    """Classes that a list of the form ``classes`` marks with ``y``."""
    form = FORMS["classes"]
    names = read_rows(path, None, form.delimiter, required=form.columns)
    chosen = frozenset(row["class"] for _, row in names if row.get("is_sparse") == "y")
    if not chosen:
        raise InputError(f"{path} marks no class with 'y' in a column is_sparse")
    return chosen


def _named(name: str) -> tuple[str, int]:
    """Video and second of a clip's name."""
    if match := BY_SECOND.fullmatch(name):
        return match[1], int(match[2])
    if match := BY_MILLISECONDS.fullmatch(name):
        if int(match[2]) % 1000:
            raise ClipError("bad_row", f"{name!r} does not start at a whole second")
        return _checked(match[1], int(match[2]) // 1000)
    raise ClipError("bad_id", f"{name!r} is neither <id>_<six digits> nor <id>_<milliseconds>_<milliseconds>")


def _numbered(video_id: str, start: str) -> tuple[str, int]:
    if not VIDEO_ID.fullmatch(video_id):
        raise ClipError("bad_id", f"{video_id!r} is not an id of a YouTube video: 11 of A-Z a-z 0-9 _ -")
    try:
        seconds = float(start)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds.is_integer()):
        raise ClipError("bad_row", f"start must be a whole second, got {start!r}")
    return _checked(video_id, int(seconds))


def _checked(video_id: str, start: int) -> tuple[str, int]:
    if not 0 <= start < 10**6:
        raise ClipError("bad_row", f"start must be 0 to 999999 seconds, got {start}")
    return video_id, start
