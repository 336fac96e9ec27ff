"""`cafa ledger retry`: clips that the next fetch asks for again."""

from collections.abc import Sequence
from pathlib import Path

from cafa.data.fetch.fetch_journal import ask_again


def retry_clips(ledgers: Sequence[str | Path], classes: Sequence[str]) -> str:
    """Let the next fetch ask again for the clips of some classes; clips that are ok stay.

    Parameters
    ----------
    ledgers : sequence of path
        Of `cafa fetch`.
    classes : sequence of str
        Of :data:`cafa.common.ledger_classes.CLASSES`.

    Returns
    -------
    str
        Clips by ledger, as lines.
    """
    counts = ask_again(ledgers, classes)
    lines = [f"{path}: {count} clips" for path, count in counts.items()]
    return "\n".join([*lines, f"{sum(counts.values())} clips are asked for again by the next fetch of these shards"])
