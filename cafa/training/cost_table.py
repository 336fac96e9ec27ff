"""The table of training costs (paper, Table 5), computed from the cards of trained models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cafa.common.errors import InputError
from cafa.common.files import atomic_write, read_json
from cafa.common.tables import records

COLUMNS = ("model", "source", "steps_or_epochs", "hardware", "batch", "gpu_hours", "hours", "parameters_trained")
ABSENT = "-"
PAPER = "paper"


def training_row(name: str, card: Mapping[str, Any]) -> dict[str, Any]:
    """One row from a card: the sum over the phases of the model's history.

    Parameters
    ----------
    name : str
    card : mapping
        Of a model that was trained here, with or without phases before.

    Returns
    -------
    dict
        Strings where the columns are for people; ``gpu_hours`` and ``hours`` (wall clock) are numbers of hours, 0 GPU
        hours on a CPU. A start from published weights is named in ``steps_or_epochs``: its own cost is not known.

    Raises
    ------
    InputError
        If the card is not one of training.
    """
    if not card.get("phases"):
        raise InputError(f"the card of {name} tells of no training: it is of kind {card.get('kind')!r}")
    known = [phase for phase in card["phases"] if phase["steps"] is not None]
    steps = " + ".join(f"{phase['steps']} steps" if phase["steps"] else str(phase["data"]) for phase in card["phases"])
    if len(known) == len(card["phases"]):
        steps = f"{sum(phase['steps'] for phase in known)} steps"
    return {
        "model": name,
        "source": "cafa",
        "steps_or_epochs": steps,
        "hardware": " + ".join(_different(machine(entry) for phase in known for entry in phase["hardware"])),
        "batch": " + ".join(_different(str(phase["batch"]) for phase in known)),
        "gpu_hours": sum(phase["gpu_hours"] for phase in known),
        "hours": sum(phase["seconds"] for phase in known) / 3600,
        "parameters_trained": card["parameters_trained"],
    }


def machine(entry: Mapping[str, Any]) -> str:
    """Devices of a session, as `2x NVIDIA A100`."""
    return f"{entry['count']}x {entry['device']}" if entry["count"] > 1 else str(entry["device"])


def _different(values: Any) -> list[str]:
    return list(dict.fromkeys(values))


def training_table(cards: Mapping[str, Mapping[str, Any]], published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Rows of the cards, by name, then those of the paper; columns :data:`COLUMNS`."""
    rows = [training_row(name, card) for name, card in cards.items()]
    if published is not None:
        rows += [{**row, "source": PAPER} for row in records(published)]
    return pd.DataFrame([[row.get(column, ABSENT) for column in COLUMNS] for row in rows], columns=list(COLUMNS))


def write_training_table(cards: Sequence[str | Path], published: Path | None, output: Path) -> None:
    """Write the table as csv, and as Markdown beside it.

    Parameters
    ----------
    cards : sequence of path
        ``<model folder>/card.json``; the folder is the name of the row.
    published : path, optional
        Values of the paper, csv.
    output : path
        Ends in ``.csv``.

    Raises
    ------
    InputError
        If two cards have one name, or the output has another suffix.
    """
    if output.suffix != ".csv":
        raise InputError(f"the table is written to a .csv file, got {output}")
    named = {Path(path).resolve().parent.name: path for path in cards}
    if len(named) < len(cards):
        raise InputError("two cards are of model folders of one name: rename one")
    paper = pd.read_csv(published, dtype=str, keep_default_na=False) if published else None
    table = training_table({name: read_json(path) for name, path in named.items()}, paper)
    with atomic_write(output) as temporary:
        table.to_csv(temporary, index=False)
    with atomic_write(output.with_suffix(".md")) as temporary:
        temporary.write_text(markdown(table))


def markdown(table: pd.DataFrame) -> str:
    """The table for people, and what it means."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in table.itertuples(index=False)]
    notes = (
        "GPU hours: seconds of all steps times GPUs, of all phases; 0 on a CPU. hours: the same by the clock. "
        "Time that a killed job spent after its last saved state is not counted. `-`: not given."
    )
    return "\n".join([*lines, "", notes, ""])


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
