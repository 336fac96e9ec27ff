"""What a training cost and on what, for its card and for the table of training costs (paper, Table 5)."""

from collections.abc import Mapping, Sequence
from typing import Any


def hardware(sessions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Entries of the card: ``hardware`` (one per kind of machine that the run was on) and GPU time.

    Parameters
    ----------
    stretches : sequence of dict
        See :class:`cafa.training.loop.Trained`.
    """
    gpu = sum(entry["seconds"] * entry["count"] for entry in sessions if entry["kind"] != "cpu")
    return {"hardware": [dict(entry) for entry in sessions], "gpu_seconds": gpu, "gpu_hours": gpu / 3600}


def phase(card: Mapping[str, Any]) -> dict[str, Any]:
    """One phase of a model's history: the run that a card tells of."""
    loop = card["settings"]["loop"]
    return {
        "data": card["data"]["name"],
        "data_sha256": card["data"]["sha256"],
        "clips": card["clips"],
        "steps": loop["steps"],
        "batch": loop["batch_size"] * loop["accumulation"],
        "seed": card["seed"],
        "seconds": card["seconds"],
        "gpu_hours": card["gpu_hours"],
        "hardware": card["hardware"],
    }
