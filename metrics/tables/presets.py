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


#: Columns of the sound itself, that no judge is needed for.
SOUND_LEVELS = ("LUFS", "True_peak", "Silence", "Clipping")
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
    ),
    "reference-free": ("PQ", "PC", "CE", "CU", "IB", "CLAP", "MS_CLAP", "DeSync", "Speech", "Music", *SOUND_LEVELS),
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
    "fadtk": {name: Alias("FAD-inf") for name in ("FAD_inf", "FAD_CLAP_inf", "FD_VGG_inf")},
    "some papers, in hundredths": {"IB": Alias("IB-score", 100.0)},
    "FFmpeg's ebur128": {"LUFS": Alias("I"), "True_peak": Alias("Peak, of peak=true")},
}


def names_elsewhere(column: str) -> str:
    """What others call a column, and by how much theirs is multiplied; empty if nothing is known.

    Examples
    --------
    >>> names_elsewhere("FD_VGG")
    'FD-VGG (av-benchmark)'
    >>> names_elsewhere("FAD_inf"), names_elsewhere("Silence")
    ('FAD-inf (fadtk)', '')
    """
    said = []
    for source, names in ALIASES.items():
        if column in names:
            factor = names[column].factor
            said.append(f"{names[column].name} ({source})" + (f", {factor:g} x this" if factor != 1 else ""))
    return "; ".join(said)


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
        if JUDGES[METRICS[name].judge].miniature is None and JUDGES[METRICS[name].judge].weights
    }
