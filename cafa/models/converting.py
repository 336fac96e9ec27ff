"""Published checkpoints made into safetensors, with a note of what they were made from.

The note in the file says where it comes from; it proves nothing. What is compared at registration is the converted
file's own SHA-256, which the person who converted it records in a table of weights.
"""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from cafa.common.errors import InputError, WeightsError
from cafa.common.files import atomic_write, sha256_file
from cafa.models.checkpoint_reader import NOTE, read_entry
from cafa.models.weights import COLUMNS, WeightSource, read_weight_sources, require_file

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Origin:
    """What a converted file was made from.

    Parameters
    ----------
    file : str
        Name of the published file.
    sha256 : str
        Its digest.
    key : str
        Entry that held the state dict; empty where the file was flat.
    """

    file: str
    sha256: str
    key: str


@dataclass(frozen=True)
class Converted:
    """A converted file.

    Parameters
    ----------
    file : Path
    sha256 : str
    bytes : int
        Its size.
    tensors : int
        How many it holds.
    origin : Origin
    """

    file: Path
    sha256: str
    bytes: int
    tensors: int
    origin: Origin


def convert(source: Path, output: Path, key: str | None = None, *, force: bool = False) -> Converted:
    """Take the tensors out of a checkpoint, running nothing that it holds, and write them as safetensors.

    Parameters
    ----------
    source : Path
        Any form that :func:`cafa.models.checkpoint_reader.read_tensors` reads.
    output : Path
        Must end in ``.safetensors``. Equal tensors make equal bytes.
    key : str, optional
        Entry that holds the state dict; None: the usual one that is there.
    force : bool
        Replace a file that is there.

    Raises
    ------
    InputError
        If there is no such source, or `output` has another ending or is there.
    WeightsError
        If the source cannot be read, or a wanted entry is not a plain tensor.
    """
    if not source.is_file():
        raise InputError(f"there is no file {source}")
    if output.suffix != SUFFIX:
        raise InputError(f"{output} does not end in {SUFFIX}: the ending says how it is read")
    if output.exists() and (not force or output.samefile(source)):
        raise InputError(f"{output} is there: name another file, or give --force to replace it")
    entry, tensors = read_entry(source, key)
    if not tensors:
        raise WeightsError(f"{source} holds no tensors{f' in {entry!r}' if entry else ''}")
    origin = Origin(source.name, sha256_file(source), entry)
    with atomic_write(output, source.stat().st_size) as temporary:
        try:
            # "format" is what transformers asks for
            save_file(_apart(tensors), temporary, {"format": "pt", NOTE: json.dumps(asdict(origin), sort_keys=True)})
        except (SafetensorError, KeyError, ValueError) as error:
            raise WeightsError(f"{source} holds tensors that safetensors cannot: {error}") from error
        _in_one_order(temporary)
    return Converted(output, sha256_file(output), output.stat().st_size, len(tensors), origin)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of which no two share a storage, as safetensors asks; a tied one is written under each of its names."""
    seen: set[int] = set()
    apart: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone().contiguous() if place in seen else tensor.contiguous()
        seen.add(place)
    return apart


def _in_one_order(file: Path) -> None:
    """Sort the notes of a safetensors file, which the library writes in any order."""
    with file.open("r+b") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(length)
        if len(text) != length:
            raise WeightsError(f"{file} has a header of another form than expected: the version of safetensors changed")
        stream.seek(8)
        stream.write(text)


def published_row(source: Path, table: Path | None = None) -> WeightSource | None:
    """The row whose published file has the name of `source`; None where no row has, or several have.

    Of `table`, or of the package's own.
    """
    rows = [row for row in read_weight_sources(table).values() if _published_name(row) == source.name]
    return rows[0] if len(rows) == 1 else None


def require_published(source: Path, table: Path) -> WeightSource:
    """The row of a published file, which must be what the row says.

    Raises
    ------
    InputError
        If no row, or several, are of a file with this name.
    WeightsError
        If the file is missing, or its size or SHA-256 is another.
    """
    row = published_row(source, table)
    if row is None:
        raise InputError(
            f"{table} has no row, or several, of a published file {source.name}: give the file its published name, or "
            "convert it without --table and write the row by hand"
        )
    require_file(source, row, unverified=True)
    return row


def converted_row(converted: Converted, row: WeightSource) -> WeightSource:
    """The row of a converted file: that of the published one, `row`, with the name, size and digest of the new file."""
    origin = converted.origin
    known = "as listed" if row.sha256 else "not known beforehand"
    entry = f", entry {origin.key!r}" if origin.key else ""
    return WeightSource(
        converted.file.name,
        f"{row.url}#{converted.file.name}",
        converted.sha256,
        row.licence,
        row.used_by,
        f"converted by `cafa models convert` from {origin.file} (SHA-256 {origin.sha256}, {known}{entry})",
        converted.bytes,
    )


def _published_name(row: WeightSource) -> str:
    parts = urlsplit(row.url)
    return "" if parts.fragment else unquote(PurePosixPath(parts.path).name)


def line_of(row: WeightSource, columns: tuple[str, ...] = COLUMNS) -> str:
    """A row as a line of a table of weights."""
    line = io.StringIO()
    values = {name: "" if value is None else str(value) for name, value in asdict(row).items()}
    csv.writer(line, delimiter="\t", lineterminator="\n").writerow([values[name] for name in columns])
    return line.getvalue()


def add_row(row: WeightSource, table: Path) -> None:
    """Add a row to a table of weights, in place of one of the same name; other lines stay as they are."""
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    columns = tuple(lines[0].rstrip("\r\n").split("\t"))
    kept = [line for line in lines if line.split("\t")[0] != row.name]
    if not kept[-1].endswith("\n"):
        kept[-1] += "\n"
    with atomic_write(table) as temporary:
        temporary.write_text("".join([*kept, line_of(row, columns)]), encoding="utf-8")
