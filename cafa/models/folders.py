"""Model folders: ``model.safetensors``, ``card.json`` (what it is and what made it), ``loss.parquet``."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from cafa.common.errors import WeightsError
from cafa.common.files import atomic_write, read_json, sha256_file, write_json
from cafa.common.provenance import versions
from cafa.common.resume import ChangedError, goes_on, same_key

WEIGHTS, CARD, LOSSES, RESUME = "model.safetensors", "card.json", "loss.parquet", ".resume"


def save_model(
    folder: str | Path,
    weights: Mapping[str, torch.Tensor],
    card: Mapping[str, Any],
    losses: pd.DataFrame | None = None,
) -> None:
    """Write a model folder; the card, which names the weights' sha256, comes last.

    Parameters
    ----------
    folder : path
    weights : mapping of str to Tensor
    card : mapping
        Kind, settings, seed, digests of the inputs, seconds...; versions and sha256 are added.
    losses : DataFrame, optional
        One row per step.
    """
    folder = Path(folder)
    with atomic_write(folder / WEIGHTS) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary)
    with atomic_write(folder / LOSSES) as temporary:
        (pd.DataFrame({"step": []}) if losses is None else losses).to_parquet(temporary, index=False)
    sha256 = sha256_file(folder / WEIGHTS)
    write_json(folder / CARD, {**card, "weights_sha256": sha256, "versions": versions()})
    shutil.rmtree(folder / RESUME, ignore_errors=True)


def check_overwrites(folder: str | Path, wanted: Mapping[str, Any]) -> None:
    """Refuse to train anew, unasked, where a finished model of other settings, inputs, seed or version is.

    Parameters
    ----------
    folder : path
        Of the model that is to be trained.
    wanted : mapping
        What its card will say; only this is compared with the card that is there.

    Raises
    ------
    ChangedError
        If there is such a model and ``--restart`` was not given.
    """
    folder = Path(folder)
    if not (folder / CARD).is_file() or (folder / RESUME).exists():
        return
    card = read_json(folder / CARD)
    before, now = _within(card, wanted), json.loads(json.dumps(wanted))
    hours = f"{card.get('seconds', 0) / 3600:.2f} hours"
    if not same_key(before, now) and goes_on(folder / CARD, before, now, f"a finished model, {hours}"):
        raise ChangedError(f"{folder} holds a finished model, which cannot be gone on with: give --restart")


def _within(card: Any, wanted: Mapping[str, Any]) -> Any:
    """The part of a card that `wanted` speaks of."""
    known = card if isinstance(card, dict) else {}
    return {
        name: _within(known[name], value) if isinstance(value, Mapping) and value else known[name]
        for name, value in wanted.items()
        if name in known
    }


def load_model(folder: str | Path, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and card of a model folder.

    Raises
    ------
    WeightsError
        If a file is missing, the folder holds another kind, or the weights are not those of the card.
    """
    folder = Path(folder)
    for name in (WEIGHTS, CARD):
        if not (folder / name).is_file():
            raise WeightsError(f"{folder} is not a model folder ({name} is missing): train it, or name another")
    card = read_json(folder / CARD)
    if card["kind"] != kind:
        raise WeightsError(f"{folder} holds a model of kind {card['kind']!r}, wanted {kind!r}")
    found = sha256_file(folder / WEIGHTS)
    if found != card["weights_sha256"]:
        raise WeightsError(
            f"{folder / WEIGHTS} is not what its card says: sha256 {found[:12]}, wanted "
            f"{card['weights_sha256'][:12]}: delete the folder and make it again"
        )
    return load_file(folder / WEIGHTS), card
