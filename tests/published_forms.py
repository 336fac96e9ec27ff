"""Checkpoints in the form in which publishers' training scripts save them: entries, types, pickle and layout.

The classes of configuration objects are importable only while a file is written, as omegaconf is no dependency.
"""

import io
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


def numpy_1(data: bytes) -> bytes:
    """A protocol 2 pickle as numpy before 2.0 writes it: its functions lie in ``numpy.core``."""
    return data.replace(b"cnumpy._core.", b"cnumpy.core.")


def save_panns(file: Path, tensors: Mapping[str, Tensor], clips_per_class: int = 5) -> None:
    """As audioset_tagging_cnn saves it: the layout before torch 1.6, with the sampler's arrays of indexes."""
    clips = np.random.default_rng(0)
    sampler = {
        "indexes_per_class": [clips.integers(0, 2_000_000, clips_per_class) for _ in range(527)],
        "queue": list(range(20)),
        "pointers_of_classes": [0] * 527,
    }
    content = {"iteration": 600000, "model": dict(tensors), "sampler": sampler}
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    file.write_bytes(numpy_1(buffer.getvalue()))


def save_clap(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """As LAION-CLAP's training saves it: epoch, name, optimizer and scaler beside data-parallel names."""
    published = {f"module.{name}": tensor for name, tensor in tensors.items()}
    published["module.text_branch.embeddings.position_ids"] = torch.arange(514).expand((1, -1))
    weight = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()
    optimizer.step()
    content = {
        "epoch": 15,
        "name": "HTSAT-base",
        "state_dict": published,
        "optimizer": optimizer.state_dict(),
        "scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 0},
        "metrics": {"mAP@10": np.float64(0.5)},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    file.write_bytes(numpy_1(buffer.getvalue()))


@contextmanager
def _module(name: str, *classes: str) -> Iterator[list[type]]:
    module = types.ModuleType(name)
    made = [type(cls, (dict,) if cls == "ContainerMetadata" else (), {"__module__": name}) for cls in classes]
    for cls in made:
        setattr(module, cls.__name__, cls)
    before = {part: sys.modules.get(part) for part in ("omegaconf", name)}
    sys.modules |= {"omegaconf": types.ModuleType("omegaconf"), name: module}
    try:
        yield made
    finally:
        for part, old in before.items():
            if old is None:
                del sys.modules[part]
            else:
                sys.modules[part] = old


def save_synchformer(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """As Synchformer's logger saves it: the run's OmegaConf object, optimizer, scaler and schedule beside the model."""
    with _module("omegaconf.dictconfig", "DictConfig", "ContainerMetadata") as (config, metadata):
        args: Any = config()
        args.__dict__ |= {"_metadata": metadata(ref_type=dict), "_content": {"logging": config()}, "_parent": None}
        content = {
            "args": args,
            "loss": 1.5,
            "metrics": {"accuracy": np.float64(0.4), "ids": np.arange(3)},
            "epoch": 25,
            "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4, "params": [0]}]},
            "model": {f"module.{name}": tensor for name, tensor in tensors.items()},
            "scaler": {"scale": 65536.0},
            "lr_scheduler": {"last_epoch": 25, "base_lrs": [1e-4]},
            "model_type": "DistributedDataParallel",
        }
        torch.save(content, file)
