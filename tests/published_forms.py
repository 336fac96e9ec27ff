"""Checkpoints in the form in which publishers' training scripts save them: entries, types, pickle and layout.

The classes of configuration objects are importable only while a file is written, as omegaconf is no dependency.
"""

import io
import json
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPVisionModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
)

FORMAT = {"format": "pt"}


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


def save_flat(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """As ImageBind, and MMAudio for Synchformer, save ``module.state_dict()``: flat, with the versions of modules."""
    state = OrderedDict(tensors)
    folders = {name.rpartition(".")[0] for name in tensors}
    state._metadata = OrderedDict((folder, {"version": 1}) for folder in sorted({"", *folders}))  # type: ignore[attr-defined]
    torch.save(state, file)


def publish_t5(folder: Path, tied: bool) -> None:
    """Make a T5 encoder's folder one of the whole model: with decoder, and with an output layer where it is not tied.

    Embeddings are stored once, as ``shared.weight``. t5-base is tied; flan-T5 says ``tie_word_embeddings: false``,
    which is about the output layer alone.
    """
    encoder = T5EncoderModel.from_pretrained(folder)
    config = T5Config.from_pretrained(folder, tie_word_embeddings=tied, architectures=None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        whole = T5ForConditionalGeneration(config)
    tensors = {name: value for name, value in whole.state_dict().items() if not name.endswith("embed_tokens.weight")}
    tensors |= {name: value for name, value in encoder.state_dict().items() if name in tensors}
    if tied:
        del tensors["lm_head.weight"]
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors", FORMAT)
    named = {**json.loads((folder / "config.json").read_text()), "architectures": ["T5ForConditionalGeneration"]}
    (folder / "config.json").write_text(json.dumps({**named, "tie_word_embeddings": tied}))


def publish_clip(folder: Path, pickled: bool) -> None:
    """Make the folder of CLIP's image tower one of the whole CLIP, of old: position ids are stored with the weights."""
    tower = CLIPVisionModelWithProjection.from_pretrained(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": 20, "max_position_embeddings": 8, "projection_dim": tower.config.projection_dim}
    config = CLIPConfig(
        text_config=text, vision_config=tower.config.to_dict(), projection_dim=tower.config.projection_dim
    )
    tensors = dict(CLIPModel(config).state_dict()) | dict(tower.state_dict())
    tensors["text_model.embeddings.position_ids"] = torch.arange(8)[None]
    patches = (tower.config.image_size // tower.config.patch_size) ** 2
    tensors["vision_model.embeddings.position_ids"] = torch.arange(patches + 1)[None]
    (folder / "model.safetensors").unlink()
    if pickled:
        save_flat(folder / "pytorch_model.bin", tensors)
    else:
        save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors", FORMAT)
    config.save_pretrained(folder)


def add_what_a_repository_holds(folder: Path) -> None:
    """Files that lie beside a model on the hub and are none of it."""
    (folder / "README.md").write_text("---\nlicense: other\n---\n")
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "CosineDPMSolverMultistepScheduler"}')
    (folder / "model.ckpt").write_bytes(b"version https://git-lfs.github.com/spec/v1\nsize 4853071231\n")
