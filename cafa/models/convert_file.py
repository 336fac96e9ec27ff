"""`cafa models convert`: a published checkpoint as safetensors, and its row in a table of weights."""

from pathlib import Path

from cafa.models.converting import add_row, convert, converted_row, line_of, published_row, require_published


def convert_checkpoint(
    source: Path, output: Path, *, key: str | None = None, force: bool = False, table: Path | None = None
) -> str:
    """Make safetensors of a published checkpoint of any form; nothing that it holds is run.

    Parameters
    ----------
    source, output : Path
        `output` ends in ``.safetensors``.
    key : str, optional
        Entry that holds the state dict; None: the usual one.
    force : bool
        Replace `output`, and its row in the table.
    table : Path, optional
        Table of weights that knows `source`, and gets the row of `output`.

    Returns
    -------
    str
        What was made, its SHA-256, and without `table` its line for a table of weights.

    Raises
    ------
    InputError, WeightsError
        See :func:`cafa.models.converting.convert` and :func:`cafa.models.converting.require_published`.
    """
    listed = require_published(source, table) if table is not None else None
    made = convert(source, output, key, force=force)
    entry = f" (entry {made.origin.key!r})" if made.origin.key else ""
    said = f"{made.file}: {made.tensors} tensors of {source}{entry}, {made.bytes:,} bytes, SHA-256 {made.sha256}"
    if table is not None and listed is not None:
        add_row(converted_row(made, listed), table)
        return f"{said}\n{table} has a row for it now: {made.file.name}"
    known = published_row(source)
    if known is None or known.sha256 not in (None, made.origin.sha256):
        return (
            f"{said}\n{source.name} is no file of the package's table of weights: name the SHA-256 above where "
            f"{made.file} is used"
        )
    line = line_of(converted_row(made, known)).removesuffix("\n")
    return f"{said}\nits line for a table of weights (--table adds it):\n{line}"
