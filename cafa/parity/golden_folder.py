"""Where the golden arrays are, and the clips of others that two of them were made from."""

import os
from pathlib import Path

from cafa.common.errors import InputError

#: names a folder of golden arrays, with ``generator/`` and ``evaluators/`` in it
VARIABLE = "CAFA_GOLDEN"
#: names a folder with ``clips/``: recordings of other publishers, which are not part of the repository
CLIPS_VARIABLE = "CAFA_SHARED"
_BESIDE = Path(__file__).resolve().parents[2]


def golden_folder(part: str, given: str | Path | None = None) -> Path:
    """Folder of the golden arrays of one part: the one given, of the environment, or of the checkout.

    Parameters
    ----------
    part : {'generator', 'evaluators'}
        Which arrays.
    given : path, optional
        Used as it is.

    Raises
    ------
    InputError
        If there is no such folder. A wheel carries no arrays.
    """
    if given is not None:
        return Path(given)
    if named := os.environ.get(VARIABLE):
        folder = Path(named) / part
        if not folder.is_dir():
            raise InputError(f"{VARIABLE} is {named}, where there is no folder {part!r} of golden arrays")
        return folder
    folder = _BESIDE / "tests" / "golden" / part
    if not folder.is_dir():
        raise InputError(
            f"no golden arrays at {folder}: an installed package does not carry them. Take the folder tests/golden of "
            f"the repository and name it with {VARIABLE}, or its folder {part} with --golden"
        )
    return folder


def published_clip(golden_file: Path, name: str) -> Path | None:
    """A clip that golden arrays were made from; None where it is not on this machine.

    Parameters
    ----------
    golden_file : Path
        File of the arrays; ``../../clips`` is one of the places.
    name : str
        ``drum.mp4``; the other place is ``$CAFA_SHARED/clips``, or ``clips`` in a folder ``shared`` beside this.
    """
    roots = [golden_file.resolve().parents[2], Path(os.environ.get(CLIPS_VARIABLE, _BESIDE.parent / "shared"))]
    paths = (root / "clips" / "groundtruth" / name for root in roots)
    return next((path for path in paths if path.is_file()), None)
