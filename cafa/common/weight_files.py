"""Published weights: the table that says where they come from, and what a file is that is not the published one."""

import csv
import shlex
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from cafa.common.errors import InputError, WeightsError

COLUMNS = ("name", "url", "sha256", "bytes", "licence", "used_by", "note")
#: columns that say how `cafa weights` fetches a file
FETCHING = ("md5", "git", "model", "path", "purposes", "terms", "page")
#: a table may do without
OPTIONAL = ("bytes", *FETCHING)
#: what files may be fetched for merged_message
PURPOSES = ("generate", "evaluate", "train", "baselines")
#: what must be accepted before a file is fetched
TERMS = ("gated", "non-commercial", "unstated")


@dataclass(frozen=True)
class WeightSource:
    """One row of a table of weights: where a weights file comes from and under which terms.

    ``sha256`` is None where the publisher gives none and nobody has recorded one yet; ``bytes``, the size of the file,
    is None where it is not known. The row of a file that `cafa models convert` made is named after that file, which the
    fragment of its ``url`` repeats.

    The rest is for `cafa weights`: the ``md5`` that a publisher states, the name that a ``git`` repository has for the
    file's object, the ``model`` that the file is a part of (its own name where that is empty), its ``path`` below the
    folder of weights (its published name where that is empty), words of `PURPOSES` and of `TERMS`, and the ``page``
    where the licence is read and, if need be, accepted.
    """

    name: str
    url: str
    sha256: str | None
    licence: str
    used_by: str
    note: str = ""
    bytes: int | None = None
    md5: str = ""
    git: str = ""
    model: str = ""
    path: str = ""
    purposes: str = ""
    terms: str = ""
    page: str = ""

    @property
    def relative_path(self) -> str:
        """Where the file lies below the folder of weights."""
        return self.path or unquote(PurePosixPath(urlsplit(self.url).path).name)

    @property
    def model_name(self) -> str:
        """Name of the model that the file belongs to."""
        return self.model or self.name


def packaged_table() -> Path:
    """The table of weights that comes with the package: every published file that models and judges are made of."""
    return Path(str(resources.files("cafa.models").joinpath("weights.tsv")))


def fetching_command(address: str, wanted: str | Path) -> str:
    """The `cafa weights get` that fetches the file of an address, or those below it; empty if the table has none.

    Parameters
    ----------
    address : str
        Beginning of the address of the file or of the repository.
    wanted : str or Path
        Where the file or the folder is looked for. If its name is the published one, the command fetches to there.
    """
    models = {row.model_name: row for row in read_weight_sources().values() if row.url.startswith(address)}
    # A repository may hold a model in several forms: the one that a purpose needs.
    names = [name for name, row in models.items() if row.purposes] or list(models)
    if not names:
        return ""
    row = models[names[0]]
    accept = f" --accept {names[0]}" if row.terms else ""
    place = Path(wanted)
    to = f" --to {shlex.quote(str(place.parent))}" if place.name == PurePosixPath(row.relative_path).parts[0] else ""
    return f"cafa weights get {names[0]}{accept}{to}"


def read_weight_sources(table: Path | None = None) -> dict[str, WeightSource]:
    """Read a table of weights into rows by name.

    Parameters
    ----------
    table : Path, optional
        Tab-separated, with the columns `COLUMNS`, of which it may lack those of `OPTIONAL`, and any of `FETCHING`;
        None: :func:`packaged_table`.

    Raises
    ------
    InputError
        If there is no such file, columns differ from these, a name occurs twice, a SHA-256 is not 64 hexadecimal
        digits, a size is no number, or a place leads out of the folder of weights.
    """
    table = packaged_table() if table is None else table
    sources: dict[str, WeightSource] = {}
    if not table.is_file():
        raise InputError(f"there is no table of weights at {table}")
    with table.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        found = set(reader.fieldnames or ())
        if not set(COLUMNS) - set(OPTIONAL) <= found <= {*COLUMNS, *FETCHING}:
            raise InputError(f"{table}: columns are {reader.fieldnames}, expected {list(COLUMNS)}")
        for row in reader:
            source = _source(row, table)
            if source.name in sources:
                raise InputError(f"{table}: {source.name} is listed twice")
            sources[source.name] = source
    return sources


def _source(row: dict[str, str | None], table: Path) -> WeightSource:
    """A row of a table, validated."""
    values = {name: value or "" for name, value in row.items()}
    what = f"{table}: {values['name']}"
    digest = values.pop("sha256").lower()
    for text, digits, kind in (
        (digest, 64, "SHA-256"),
        (values.get("md5", ""), 32, "MD5"),
        (values.get("git", ""), 40, "SHA-1"),
    ):
        if text and (len(text) != digits or set(text) - set("0123456789abcdef")):
            raise InputError(f"{what}: {text!r} is not a {kind} ({digits} hexadecimal digits)")
    size = values.pop("bytes", "")
    if size and not size.isdecimal():
        raise InputError(f"{what}: {size!r} is not a number of bytes")
    for column, known in (("purposes", PURPOSES), ("terms", TERMS)):
        if unknown := set(values.get(column, "").split()) - set(known):
            raise InputError(f"{what}: {column} are {sorted(unknown)}, known are {list(known)}")
    source = WeightSource(**values, sha256=digest or None, bytes=int(size) if size else None)
    if PurePosixPath(source.relative_path).is_absolute() or ".." in PurePosixPath(source.relative_path).parts:
        raise InputError(f"{what}: {source.relative_path!r} is not a place below the folder of weights")
    return source


def no_download(path: str | Path) -> str:
    """What a file is instead of the published one, with what to do; empty where its beginning does not say.

    A clone of a repository without Git LFS holds pointers to its large files, and a page that asks to log in is saved
    under the name of the file.
    """
    with Path(path).open("rb") as stream:
        head = stream.read(64).lstrip()
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, not the file: run `git lfs pull` there, or download the file"
    if head[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page, not the file: the address may ask to log in, or to accept a licence"
    return ""


def require_size(path: Path, source: WeightSource) -> None:
    """Check that a file is as large as the one that `source` describes; nothing of a large file is read.

    Raises
    ------
    WeightsError
        If it is not, with what it seems to be.
    """
    size = path.stat().st_size
    if source.bytes is None or size == source.bytes:
        return
    again = "convert it" if "#" in source.url else f"download {source.url}"
    short = "it may be a download that was cut short" if size < source.bytes else "it is another file"
    raise WeightsError(
        f"weights {source.name}: {path} has {size:,} bytes, the published file has {source.bytes:,}: "
        f"{no_download(path) or short}. Delete it and {again} again"
    )
