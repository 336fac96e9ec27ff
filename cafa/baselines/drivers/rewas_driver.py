"""Driver of ReWaS (commit 4e09954): `audioldm.pipeline.rewas_generation`, one clip at a time.

The function takes seeds of one call, so each row is a call. It measures the sound of a clip to cut the pictures, and
fails without one: clips are given to it with silence. The film that it would write beside each sound is left out.
Its code names the first GPU in many places: what is sent there goes to the device that was asked for.
"""

from __future__ import annotations

import multiprocessing.pool
import os
import subprocess
import types
from pathlib import Path
from typing import Any

import torch
from audioldm import pipeline
from encoder.encoder_utils import get_pretrained, patch_config
from encoder.phi import Phi
from omegaconf import OmegaConf
from torch.overrides import TorchFunctionMode

CONTROL = "energy_video"


def write_no_film(sound: str, clip: str) -> None:
    """Stands for the function that writes a film; it is called in a process for each core."""


class Redirected(TorchFunctionMode):
    """Sends to a device what is sent to a GPU by name: a CPU has none, and of several GPUs it is the first one."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = torch.device(device)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called in place of each function of torch."""
        where = args[1] if func is torch.Tensor.to and len(args) > 1 else None
        if isinstance(where, (str, torch.device)) and torch.device(where).type == "cuda":
            args = (args[0], self.device, *args[2:])
        return func(*args, **(kwargs or {}))


class ReWaSPeer:
    """The models of ReWaS, loaded once."""

    def __init__(self, settings: dict[str, Any], device: str) -> None:
        self.here = Redirected(device)
        with self.here:
            self.load(settings, device)

    def load(self, settings: dict[str, Any], device: str) -> None:
        """Load the models."""
        pipeline.save_video = write_no_film
        pipeline.multiprocessing = types.SimpleNamespace(cpu_count=lambda: 1, Pool=multiprocessing.pool.ThreadPool)
        self.experiment, self.settings = settings["synchformer_exp"], settings
        self.model = pipeline.build_control_model(
            control_type=CONTROL,
            ckpt_path=settings["checkpoint"],
            config=settings["config"],
            model_name="audioldm-m-full",
            device=device,
        )
        self.config = patch_config(OmegaConf.load(f"./configs/cfg-{self.experiment}.yaml"))
        self.encoder = get_pretrained(self.experiment, 0)
        phi = Phi()
        weights = torch.load(settings["phi_checkpoint"])
        phi.load_state_dict({key.replace("module.", ""): value for key, value in weights.items()})
        # Its script spreads this over all GPUs, which fails on more than one, as it never moves it to the first.
        self.phi = phi.eval().to(device)

    def generate(self, rows: list[dict[str, Any]]) -> list[Path]:
        """The file that ReWaS writes for each row."""
        return [self.of_row(row) for row in rows]

    def of_row(self, row: dict[str, Any]) -> Path:
        """Its file for one row: 16 kHz, one channel."""
        folder = Path(row["folder"])
        os.chdir(folder)  # it re-encodes clips into a folder of the present one; its checkpoints are loaded
        clip, out = folder / "clip.mp4", folder / "out"
        silent = ["-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-shortest", "-c:v", "copy", "-c:a", "aac"]
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", row["video"], *silent, str(clip)], check=True)
        with self.here:
            self.ask(row, clip, out)
        files = sorted(out.rglob("*.wav"))
        return files[0] if files else out / "none.wav"

    def ask(self, row: dict[str, Any], clip: Path, out: Path) -> None:
        """Have it write files of one row below a folder."""
        pipeline.rewas_generation(
            self.model,
            row["prompt"],
            str(clip),
            CONTROL,
            self.experiment,
            self.config,
            self.encoder,
            self.phi,
            None,
            row["seed"] % 2**32,  # NumPy takes no larger one
            duration=row["seconds"],
            guidance_scale=self.settings["guidance_scale"],
            ddim_steps=self.settings["ddim_steps"],
            n_candidate_gen_per_text=1,
            batchsize=1,
            save_path=str(out),
            re_encode=True,
            local_rank=0,
        )


def open_peer(settings: dict[str, Any], device: str) -> ReWaSPeer:
    """See `serve.py`."""
    return ReWaSPeer(settings, device)
