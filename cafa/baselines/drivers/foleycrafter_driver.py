"""Driver of FoleyCrafter (commit c2399fa): `inference.run_inference`, a folder of one clip at a time.

Its function has one prompt and one seed for all mp4 files of a folder, so each row has a folder of its own. It loads
the image encoder again at each call, and writes a film beside each sound: the encoder is kept, and no film is written.
It sends some tensors to "cuda" by name, whatever `device` says: they are sent to the device that was asked for.
"""

from __future__ import annotations

import argparse
import functools
import os
from pathlib import Path
from typing import Any

import inference
import torch
from torch.overrides import TorchFunctionMode

#: the class that its script loads the image encoder with
IMAGE_ENCODER = inference.CLIPVisionModelWithProjection
#: the function that its script builds the text-to-audio model with
BUILD_FOLEYCRAFTER = inference.build_foleycrafter


class KeptEncoder:
    """Stands for the class of the image encoder: what was loaded once is given again."""

    loaded: Any = None

    @classmethod
    def from_pretrained(cls, *names: Any, **settings: Any) -> Any:
        """As the method of transformers."""
        if cls.loaded is None:
            cls.loaded = IMAGE_ENCODER.from_pretrained(*names, **settings)
        return cls.loaded


class NoFilm:
    """Stands for the clips of moviepy with which a film would be written."""

    audio: Any = None

    def __init__(self, path: str) -> None:
        self.path = path

    def subclip(self, *times: float) -> NoFilm:
        """The same."""
        return self

    def write_videofile(self, path: str, *more: Any, **settings: Any) -> None:
        """Nothing is written."""


class Redirected(TorchFunctionMode):
    """Sends to a device what is sent to "cuda" by name: a CPU has none, and of several GPUs it is the first one."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = torch.device(device)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called in place of each function of torch."""
        if func is torch.Tensor.to and len(args) > 1 and args[1] == "cuda":
            args = (args[0], self.device, *args[2:])
        return func(*args, **(kwargs or {}))


class FoleyCrafterPeer:
    """The models of FoleyCrafter, loaded once."""

    def __init__(self, settings: dict[str, Any], device: str) -> None:
        inference.CLIPVisionModelWithProjection = KeptEncoder
        inference.AudioFileClip = inference.VideoFileClip = NoFilm
        self.config = argparse.Namespace(
            prompt="",
            nprompt="",
            seed=0,
            semantic_scale=settings["semantic_scale"],
            temporal_scale=settings["temporal_scale"],
            input="",
            ckpt=settings["checkpoints"],
            save_dir="",
            pretrain=settings["pretrain"],
            device=device,
        )
        # Its script fetches what `pretrain` names, but builds the model of a fixed name.
        inference.build_foleycrafter = functools.partial(BUILD_FOLEYCRAFTER, settings["pretrain"])
        self.models = inference.build_models(self.config)

    def generate(self, rows: list[dict[str, Any]]) -> list[Path]:
        """The file that FoleyCrafter writes for each row."""
        return [self.of_row(row) for row in rows]

    def of_row(self, row: dict[str, Any]) -> Path:
        """Its file for one row: 16 kHz, one channel, as long as the clip."""
        clips, out = Path(row["folder"], "clips"), Path(row["folder"], "out")
        clips.mkdir(exist_ok=True)
        link = clips / "clip.mp4"  # a plain name: it replaces "+" in names of files by a space
        if not link.is_symlink():
            os.symlink(row["video"], link)
        given = vars(self.config)
        changed = {"prompt": row["prompt"], "nprompt": row["negative"] or "", "seed": row["seed"]}
        config = argparse.Namespace(**{**given, **changed, "input": str(clips), "save_dir": str(out)})
        with Redirected(self.config.device):
            inference.run_inference(config, *self.models)
        return out / "audio" / "clip.wav"


def open_peer(settings: dict[str, Any], device: str) -> FoleyCrafterPeer:
    """See `serve.py`."""
    return FoleyCrafterPeer(settings, device)
