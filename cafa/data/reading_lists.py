"""Reading lists that people write: manifests, prompts, published lists. One reader, so that all are read by one rule.

Encoding: UTF-8, with or without a byte order mark; UTF-16 and UTF-32 with one; anything else has to be named. No byte
is ever replaced: a row with a byte that is not of the encoding says so. Separator: the one under which the first line
holds the wanted columns. Names of columns may differ in case, spaces and signs.
"""

import codecs
import csv
import io
import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cafa.common.errors import InputError
from cafa.common.tables import refuse_folder

LOGGER = logging.getLogger(__name__)
#: Separators that are looked for, with what a message calls them.
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
USUAL = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": ","}
#: Byte order marks, the longer first: UTF-32's begins with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LOST = "\N{REPLACEMENT CHARACTER}"
NAME_ENCODING = "save the list as UTF-8, or name its encoding (--encoding cp1252, `encoding: cp1252`)"


def read_rows(
    source: str | Path,
    columns: Sequence[str] | None = None,
    delimiter: str | None = None,
    *,
    required: Sequence[str] = (),
    known: Sequence[str] = (),
    encoding: str | None = None,
    separator: str | None = None,
    hint: str = "",
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a csv, tsv or parquet table as text without outer spaces, each with its line (1 is the header).

    A row that cannot be read has the key ``""``, which holds what is wrong with it. Rows without any text are left out.

    Parameters
    ----------
    source : str or Path
        The table.
    columns : sequence of str, optional
        Names of the columns of a csv or tsv that has no header.
    delimiter : str, optional
        The usual one of a text table; by default that of its suffix.
    required, known : sequence of str, optional
        Columns that must be there, and others that have a meaning. A column whose name differs from one of them in
        case, spaces or signs only has that name in the rows.
    encoding, separator : str, optional
        Of a text table, where the rules of this module do not find them; `separator` is a character, or ``tab``.
    hint : str, optional
        What to do about a missing column.

    Raises
    ------
    InputError
        If the file is missing, of another type, empty, lacks a required column, cannot be decoded, or has a quote that
        is never closed.
    """
    source = Path(source)
    refuse_folder(source, "a table")
    if not source.is_file():
        raise InputError(f"no table at {source}")
    if source.suffix.lower() == ".parquet":
        yield from _parquet_rows(source, required, known, hint)
        return
    usual = delimiter or USUAL.get(source.suffix.lower())
    if usual is None:
        raise InputError(f"{source}: a table must be .csv, .tsv, .txt or .parquet; a spreadsheet can be saved as .csv")
    text, first_line = _without_separator_line(decoded(source, encoding)), 1
    if isinstance(text, tuple):
        text, announced = text
        first_line, separator = 2, separator or announced
    used = _one_character(separator) if separator else _found_separator(source, text, columns, usual, required, known)
    if used != usual and separator is None:
        LOGGER.warning("%s: fields are separated by %s", source, SEPARATORS[used])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=used, strict=True, skipinitialspace=True)
    line = first_line
    try:
        header = list(columns) if columns else _header(source, next(reader, []), required, known, used, hint)
        line = reader.line_num + first_line
        for fields in reader:
            values = [value.strip() for value in fields]
            if any(values):
                yield line, _row(header, values, bool(columns), used)
            line = reader.line_num + first_line
    except csv.Error as error:
        raise InputError(f"{source}, row that begins in line {line}: {error}") from error


def decoded(source: Path, encoding: str | None = None) -> str:
    """Text of a file; bytes that are not UTF-8 become single surrogates, which rows are checked for.

    Raises
    ------
    InputError
        If the encoding is not known, or is not that of the file.
    """
    data = source.read_bytes()
    marked = next(((mark, name) for mark, name in MARKS if data.startswith(mark)), None)
    if data.startswith(b"PK\x03\x04"):
        raise InputError(f"{source} is a spreadsheet or a zip file, whatever its name says: save it as .csv")
    if encoding is None and marked is None:
        if data[:4096].count(0) > len(data[:4096]) // 4:
            raise InputError(
                f"{source} looks like UTF-16 without a byte order mark (every other byte is zero): save it as UTF-8, "
                "or name its encoding (--encoding utf-16-le, `encoding: utf-16-le`)"
            )
        return data.decode("utf-8", "surrogateescape")
    if encoding is None and marked and marked[1] == "utf-8":
        return data[3:].decode("utf-8", "surrogateescape")
    name = encoding or (marked[1] if marked else "utf-8")
    try:
        return data.decode(name).removeprefix("\ufeff")
    except LookupError:
        raise InputError(f"no encoding is called {name!r}; cp1252, latin-1, utf-16 and shift_jis are some") from None
    except UnicodeDecodeError as error:
        line = data[: error.start].decode(name, "replace").count("\n") + 1
        raise InputError(
            f"{source}, line {line}: byte 0x{data[error.start]:02x} is not {name}: {NAME_ENCODING}"
        ) from error


def _without_separator_line(text: str) -> str | tuple[str, str]:
    """The text; where a spreadsheet wrote a line ``sep=;`` before the header, the rest and that separator."""
    match = re.match(r"sep=(.)\r?\n", text, re.IGNORECASE)
    return (text[match.end() :], match[1]) if match else text


def _one_character(separator: str) -> str:
    character = {"tab": "\t", r"\t": "\t"}.get(separator.lower(), separator)
    if len(character) != 1:
        raise InputError(f"a separator is one character or the word tab, got {separator!r}")
    return character


def _found_separator(
    source: Path, text: str, columns: Sequence[str] | None, usual: str, required: Sequence[str], known: Sequence[str]
) -> str:
    """The separator under which the first line fits best; the usual one where another is not better."""
    scores: dict[str, tuple[int, int]] = {}
    for separator in dict.fromkeys([usual, *SEPARATORS]):
        try:
            fields = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True), [])
        except csv.Error:
            fields = []
        if columns:
            scores[separator] = (int(len(fields) == len(columns)), 0)
        else:
            names = {_plain(field) for field in fields}
            scores[separator] = (
                sum(_plain(name) in names for name in required),
                sum(_plain(name) in names for name in known),
            )
    best = [separator for separator, score in scores.items() if score == max(scores.values())]
    if usual in best:
        return usual
    if len(best) > 1:
        choices = " and ".join(SEPARATORS[separator] for separator in best)
        raise InputError(f"{source}: the first line can be read with {choices}: name one (--separator, `separator`)")
    return best[0]


def _plain(name: str) -> str:
    """A column's name without case, spaces and signs."""
    return re.sub(r"[\W_]+", "", name.casefold())


def _renamed(source: Path, header: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Header with the wanted names where one differs in case, spaces and signs only."""
    names = list(header)
    for name in wanted:
        alike = [k for k, found in enumerate(names) if _plain(found) == _plain(name)]
        if name in names or not alike:
            continue
        if len(alike) > 1:
            both = " and ".join(repr(names[k]) for k in alike)
            raise InputError(f"{source}: columns {both} could both be {name!r}: rename one")
        names[alike[0]] = name
    return names


def _header(
    source: Path, fields: Sequence[str], required: Sequence[str], known: Sequence[str], separator: str, hint: str
) -> list[str]:
    header = [name.strip() for name in fields]
    while header and not header[-1]:  # spreadsheets write separators after the last column
        header.pop()
    if any(mark in name for name in header for mark in (LOST, "\0")) or not _encodable(header):
        raise InputError(f"{source}, line 1: a column's name has a character that is not UTF-8: {NAME_ENCODING}")
    if not header:
        wanted = ", ".join([*required, *known][:4])
        raise InputError(f"{source} is empty: the first line must name each column once, such as {wanted}")
    if len(set(header)) < len(header) or "" in header:
        raise InputError(f"{source}: the first line must name each column once, got {header}")
    names = _renamed(source, header, [*required, *known])
    _require(source, names, header, required, f" (separated by {SEPARATORS.get(separator, repr(separator))})", hint)
    return names


def _require(
    source: Path, names: Sequence[str], header: Sequence[str], required: Sequence[str], how: str, hint: str
) -> None:
    missing = [name for name in required if name not in names]
    if missing:
        bare = "" if set(required) & set(names) else f"; is the first line a row? It must be {','.join(required)}"
        raise InputError(
            f"{source} has no column {', '.join(map(repr, missing))}; it has {', '.join(header)}{how}{bare}"
            + (f": {hint}" if hint else "")
        )


def _encodable(values: Sequence[str]) -> bool:
    return not any("\ud800" <= mark <= "\udfff" for value in values for mark in value)


def _row(header: Sequence[str], values: list[str], without_header: bool, separator: str) -> dict[str, str]:
    """A row by column; the key ``""`` says what is wrong."""
    while len(values) > len(header) and not values[-1]:
        values.pop()
    row = dict(zip(header, values + [""] * len(header), strict=False))
    problem = ""
    if len(values) != len(header):
        expected = f"{len(header)} are expected" if without_header else f"the header has {len(header)}"
        problem = f"{len(values)} fields, {expected}"
        if len(values) > len(header):
            problem += f": text that holds {SEPARATORS.get(separator, repr(separator))} must be in double quotes"
    for name, value in row.items():
        if not _encodable([value]):
            byte = next(ord(mark) - 0xDC00 for mark in value if "\udc80" <= mark <= "\udcff")
            problem = f"{name}: byte 0x{byte:02x} is not UTF-8: {NAME_ENCODING}"
            row[name] = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        elif LOST in value:
            problem = f"{name} holds U+FFFD, the mark of a character that an earlier conversion lost: write it again"
        elif "\0" in value:
            problem = f"{name} holds a zero byte: write it again"
    return row | ({"": problem} if problem else {})


def _parquet_rows(
    source: Path, required: Sequence[str], known: Sequence[str], hint: str
) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        table = pq.read_table(source, partitioning=None)
    except pa.ArrowInvalid as error:
        raise InputError(f"{source} is not a parquet table: {error}") from error
    names = _renamed(source, table.schema.names, [*required, *known])
    _require(source, names, table.schema.names, required, "", hint)
    for index, row in enumerate(table.rename_columns(names).to_pylist()):
        yield index + 2, _text_of(row)


def _text_of(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: "" if _is_null(value) else str(value).strip() for name, value in row.items()}


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
