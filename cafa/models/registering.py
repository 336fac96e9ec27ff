"""`cafa models register`: a pretrained model, checked and put on record."""

from pathlib import Path

from cafa.models.registry import parse_pretrained, register
from cafa.models.weights import packaged_table


def register_pretrained(settings: str, output: str | Path, weights_table: Path | None = None) -> str:
    """Check a pretrained model's files and write its card; see :func:`cafa.models.registry.register`.

    Parameters
    ----------
    settings : str
        JSON object; ``kind`` says of which model.
    output : path
        Model folder to write.
    weights_table : Path, optional
        Files whose published address it lists with a size or a SHA-256 must have these; None: the package's own table.

    Returns
    -------
    str
        What was registered, and which SHA-256 were known.

    Raises
    ------
    WeightsError
        If a file is missing, is another than it must be, or does not fit the model.
    """
    card = register(parse_pretrained(settings), output, weights_table or packaged_table())
    unknown = sorted(set(card["files"]) - set(card["checked"]))
    return (
        f"{card['model']}: {len(card['files'])} files, weights {card['weights_sha256'][:12]}; the SHA-256 of "
        f"{len(card['checked'])} was known, that of {len(unknown)} is recorded as found: {', '.join(unknown)}"
    )
