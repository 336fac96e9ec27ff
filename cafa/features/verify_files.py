"""`cafa features verify`: feature files checked against ledgers, a manifest and clips."""

from collections.abc import Sequence
from pathlib import Path

from cafa.common.errors import InputError
from cafa.data.manifest import read_manifest
from cafa.features.verify import verify_features

#: faults that are named
NAMED = 50


def check_features(
    files: Sequence[str | Path],
    *,
    ledgers: Sequence[str | Path] = (),
    manifest: str | Path | None = None,
    shard: tuple[int, int] = (0, 1),
    clips: Path | None = None,
) -> str:
    """Check feature files; see :func:`cafa.features.verify.verify_features`.

    Parameters
    ----------
    files : sequence of path
        Of one kind.
    ledgers : sequence of path
        Of the stage that made them.
    manifest : path, optional
        Every clip of its shard is in the ledgers.
    shard : (int, int)
        Number and count.
    clips : Path, optional
        Folder of normalised clips that the arrays were made from.

    Returns
    -------
    str
        What was found, as lines.

    Raises
    ------
    InputError
        If something is wrong: what was found, and the faults.
    """
    asked = None if manifest is None else read_manifest(manifest)["clip_id"]
    report = verify_features(files, ledgers=ledgers, asked=asked, shard=shard, clips=clips)
    if report.faults:
        lines = [*report.lines, *(f"fault: {fault}" for fault in report.faults[:NAMED])]
        count = f"{len(report.faults)} faults in {len(files)} files: make the files named here again"
        raise InputError("\n  ".join([count, *lines]))
    return "\n".join(report.lines)
