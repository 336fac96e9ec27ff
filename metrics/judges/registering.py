"""`cafa judges register`: a pretrained judge, checked and put on record."""

from pathlib import Path

from metrics.judges.registry import PretrainedSettings, register


def register_judge(name: str, settings: PretrainedSettings, output: str | Path) -> str:
    """Check a judge's files and write its card; see :func:`metrics.judges.registry.register`.

    Parameters
    ----------
    name : str
        Of the judge.
    settings : PretrainedSettings
    output : path
        Model folder to write.

    Returns
    -------
    str
        What was registered.
    """
    card = register(name, settings, output)
    if not card["files"]:
        return f"{name}: measures the sound itself, {card['weights_sha256']}"
    return f"{name}: {card['model']}, {len(card['files'])} files, SHA-256 {card['weights_sha256']}"
