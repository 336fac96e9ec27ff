"""Columns that belong together: those of a paper, of a toolkit, or those that need no reference; and their other names.

The numbers of a column are printed here as computed. Papers print some of them under other names or times 100; what
they call a column, and by how much theirs is multiplied, is in `ALIASES`.
"""

from collections.abc import Collection
from dataclasses import dataclass

from metrics.judges.kinds import JUDGES
from metrics.tables.catalogue import METRICS


@dataclass(frozen=True)
class Alias:
    """What others call a column.

    Attributes
    ----------
    name
        There.
    factor
        Theirs = factor x ours.
    """

    name: str
    factor: float = 1.0


#: preset -> columns, in their order; ``all`` is every metric there is.
PRESETS: dict[str, tuple[str, ...]] = {
    "cafa": ("FAD", "KL", "IS", "IB", "CLAP", "Acc", "DeSync"),
    "av-benchmark": (
        "FD_VGG",
        "FAD",
        "FD_PaSST",
        "KL",
        "KL_PaSST",
        "IS",
        "IS_PaSST",
        "IB",
        "DeSync",
        "CLAP",
        "MS_CLAP",
    ),  # fmt: skip
    "reference-free": ("PQ", "PC", "CE", "CU", "IB", "CLAP", "MS_CLAP", "DeSync", "Speech", "Music"),
}
NAMES = (*PRESETS, "all")

#: preset -> column -> what it is called there
ALIASES: dict[str, dict[str, Alias]] = {
    "av-benchmark": {
        "FD_VGG": Alias("FD-VGG"),
        "FAD": Alias("FD-PANN"),
        "FD_PaSST": Alias("FD-PASST"),
        "KL": Alias("KL-PANNS-softmax"),
        "KL_PaSST": Alias("KL-PASST-softmax"),
        "IS": Alias("ISC-PANNS-mean"),
        "IS_PaSST": Alias("ISC-PASST-mean"),
        "IB": Alias("IB-Score"),
        "DeSync": Alias("DeSync"),
        "CLAP": Alias("LAION-CLAP-Score"),
        "MS_CLAP": Alias("MS-CLAP-Score"),
    },
}


def columns_of(preset: str) -> tuple[str, ...]:
    """Columns of a preset, in order.

    Raises
    ------
    KeyError
        If there is no such preset.
    """
    return tuple(METRICS) if preset == "all" else PRESETS[preset]


def without_published_judges(columns: Collection[str]) -> dict[str, str]:
    """Of `columns`, those whose judge has only a published form, which the miniature cannot compute; and why."""
    return {
        name: f"the judge {METRICS[name].judge} has no miniature form"
        for name in columns
        if JUDGES[METRICS[name].judge].miniature is None
    }
