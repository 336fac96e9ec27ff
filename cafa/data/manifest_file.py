"""`cafa manifest`: a table of clips, validated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cafa.common.errors import InputError
from cafa.common.ledger import copy_for_message, why
from cafa.data.manifest import RowRules, build_manifest


@dataclass(frozen=True)
class ClipTable:
    """A table of clips as somebody has it.

    Parameters
    ----------
    source : path
        ``.csv``, ``.tsv``, ``.txt`` or ``.parquet``.
    root : path
        Folder that the uri of each clip is relative to.
    columns : mapping of str to str
        Name in the source -> name in the manifest.
    defaults : mapping of str to str
        Value of an absent or empty field; ``{name}`` stands for another field of the row.
    encoding, separator : str, optional
        Of the source, where they have to be named.
    """

    source: str | Path
    root: str | Path
    columns: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    separator: str | None = None


def make_manifest(table: ClipTable, output: str | Path, refused: str | Path, rules: RowRules | None = None) -> str:
    """Validate a table of clips; see :func:`cafa.data.manifest.build_manifest`.

    Parameters
    ----------
    table : ClipTable
    output, refused : path
        Manifest, and ledger of refused rows, to write.
    rules : RowRules, optional
        What a row may be.

    Returns
    -------
    str
        How many clips were accepted and refused.

    Raises
    ------
    InputError
        If the table cannot be read, lacks a column, or no clip of it can be used.
    """
    accepted, rejected = build_manifest(
        table.source,
        table.root,
        output,
        refused,
        columns=table.columns,
        defaults=table.defaults,
        encoding=table.encoding,
        separator=table.separator,
        rules=rules,
    )
    if not accepted:
        reasons = f": {why(refused)} (cafa ledger {copy_for_message(refused)})" if rejected else ": it has no row"
        raise InputError(f"no clip of {table.source} can be used{reasons}")
    reasons = f": {why(refused)} (cafa ledger {refused})" if rejected else ""
    return f"{accepted} clips accepted, {rejected} refused{reasons}"
