"""Weights of the judges: found, checked and loaded without surprises.

A file is read by :mod:`cafa.models.checkpoint_reader`, which runs nothing that it holds; its SHA-256 is always
computed and returned, and compared with the row of the table of weights where that row has one.
Loading into a network is strict: names that are deliberately not used are listed by the caller, and any
other name, missing tensor or shape is an error.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from cafa.common.errors import WeightsError
from cafa.common.files import sha256_file
from cafa.common.weight_files import COLUMNS, WeightSource, packaged_table, read_weight_sources, require_size
from cafa.models.checkpoint_reader import read_tensors

__all__ = [
    "COLUMNS",
    "Checkpoint",
    "WeightSource",
    "load_checkpoint",
    "load_strict",
    "packaged_table",
    "read_weight_sources",
    "rename_prefixes",
    "require_file",
    "require_size",
]


@dataclass(frozen=True)
class Checkpoint:
    """Tensors of one file, and the SHA-256 of that file."""

    tensors: dict[str, torch.Tensor]
    sha256: str


def require_file(path: Path, source: WeightSource, *, unverified: bool = False) -> str:
    """Check that ``path`` is the file that ``source`` describes and return its SHA-256.

    Parameters
    ----------
    path
        Where the weights are expected.
    source
        The row describing them.
    unverified
        Accept a row without a SHA-256. A row with one is compared in either case.

    Raises
    ------
    WeightsError
        If the file is missing (the message says what to download, from where, under which licence and
        where to put it), if its size or SHA-256 differs, or if there is none to compare with and ``unverified``
        was not given.
    """
    if not path.is_file():
        raise WeightsError(
            f"weights {source.name} not found: download {source.url} (licence: {source.licence}) "
            f"and put the file at {path}, or run `cafa weights get {source.name}`"
        )
    if source.sha256 is None and not unverified:
        if path.name == f"{source.name}.safetensors":
            raise WeightsError(
                f"weights {source.name}: {path} is a converted file, and no row {path.name} of the table of weights "
                f"holds its own SHA-256: `cafa models convert PUBLISHED {path} --force --table TABLE` makes it again "
                f'and adds the row; or accept this one (--unverified; in settings "unverified": true)'
            )
        raise WeightsError(
            f"weights {source.name}: no SHA-256 is recorded to check {path} against. Record the SHA-256 of a "
            f'file you trust in a table of weights, or accept this one (--unverified; in settings "unverified": true)'
        )
    require_size(path, source)
    digest = sha256_file(path)
    if source.sha256 is not None and digest != source.sha256:
        again = "convert it" if "#" in source.url else f"download {source.url}"
        raise WeightsError(
            f"weights {source.name}: {path} has SHA-256 {digest}, expected {source.sha256}. Delete it and {again} again"
        )
    return digest


def load_checkpoint(
    path: Path, source: WeightSource, *, key: str | None = None, unverified: bool = False
) -> Checkpoint:
    """Read a state dict on the CPU, after `require_file`.

    Parameters
    ----------
    path, source, unverified
        As in `require_file`.
    key
        Entry that holds the state dict where the file is not flat, see
        :func:`cafa.models.checkpoint_reader.read_tensors`.
    """
    digest = require_file(path, source, unverified=unverified)
    return Checkpoint(read_tensors(path, key), digest)


def rename_prefixes(tensors: Mapping[str, torch.Tensor], renames: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Replace the first prefix of ``renames`` that a name begins with; other names stay as they are."""
    renamed: dict[str, torch.Tensor] = {}
    for name, value in tensors.items():
        old = next((prefix for prefix in renames if name.startswith(prefix)), "")
        renamed[renames.get(old, "") + name.removeprefix(old)] = value
    return renamed


def load_strict(
    network: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    *,
    unused: Iterable[str] = (),
    device: torch.device | str = "cpu",
    file: Path | None = None,
) -> nn.Module:
    """Put ``tensors`` into ``network``, frozen, float32, in evaluation mode, on ``device``.

    Parameters
    ----------
    network
        May be on the ``meta`` device: tensors are assigned, not copied.
    tensors
        Published names and values.
    unused
        Names that the network does without on purpose; an entry ending in ``.`` stands for every name
        that begins with it. Everything else must fit exactly.
    device
        Where the network goes.
    file
        Where the tensors are from, for the message.

    Raises
    ------
    WeightsError
        If a name is unknown, missing or has another shape.
    """
    unused = tuple(unused)
    prefixes = tuple(entry for entry in unused if entry.endswith("."))
    kept = {
        name: value.float() if value.is_floating_point() else value
        for name, value in tensors.items()
        if name not in unused and not name.startswith(prefixes)
    }
    expected = network.state_dict()
    problems = {
        "unknown": sorted(kept.keys() - expected.keys()),
        "missing": sorted(expected.keys() - kept.keys()),
        "of another shape": [
            f"{name} {tuple(kept[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in sorted(kept.keys() & expected.keys())
            if kept[name].shape != expected[name].shape
        ],
    }
    if any(problems.values()):
        found = "; ".join(f"{len(names)} {what}: {names[:4]}" for what, names in problems.items() if names)
        owner = "weights do" if file is None else f"{file} does"
        raise WeightsError(f"{owner} not fit {type(network).__name__}: {found}")
    network.load_state_dict(kept, strict=True, assign=True)
    return network.requires_grad_(False).eval().to(device)
