"""Driver of MMAudio (commit 974010a): `mmaudio.eval_utils.generate` in batches. Runs in MMAudio's environment.

Batches of `generate` share one random generator. Here each sound gets the noise of its own seed, which is what the
demo of MMAudio draws for a single clip with that seed: through the argument `fm`, whose `to_data` is given the noise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaudio.eval_utils import all_model_cfg, generate, load_video, setup_eval_logging
from mmaudio.model.flow_matching import FlowMatching
from mmaudio.model.networks import get_my_mmaudio
from mmaudio.model.utils.features_utils import FeaturesUtils

#: pictures a second that its two encoders of pictures see
CLIP_FPS, SYNC_FPS = 8, 25


class OwnNoise:
    """A solver that begins each sound of a batch with the noise of its own seed."""

    def __init__(self, flow: FlowMatching, seeds: list[int]) -> None:
        self.flow, self.seeds = flow, seeds

    def to_data(self, velocity: Any, noise: torch.Tensor) -> torch.Tensor:
        """As the method of `FlowMatching`, from other noise of the same shape."""
        own = []
        for seed in self.seeds:
            generator = torch.Generator(device=noise.device)
            generator.manual_seed(seed)
            shape = (1, *noise.shape[1:])
            own.append(torch.randn(shape, device=noise.device, dtype=noise.dtype, generator=generator))
        made: torch.Tensor = self.flow.to_data(velocity, torch.cat(own))
        return made


def load_whole(path: str, seconds: float) -> Any:
    """Pictures of a clip, as many as the seconds that are asked for hold where its last one alone is missing.

    MMAudio adds up the times at which it takes pictures, and by rounding takes one too few of a clip that ends where it
    stops reading: 7.96 s of 8 s at 25 fps. Of a longer clip the next one would be taken; here the last one is repeated.
    """
    seen = load_video(Path(path), seconds, load_all_frames=False)
    if 0 < seconds - seen.duration_sec < 1.5 / SYNC_FPS:
        seen.duration_sec = seconds
        seen.clip_frames = lengthened(seen.clip_frames, int(CLIP_FPS * seconds))
        seen.sync_frames = lengthened(seen.sync_frames, int(SYNC_FPS * seconds))
    return seen


def lengthened(frames: torch.Tensor, count: int) -> torch.Tensor:
    """Pictures, of which the last one is repeated until there are `count`."""
    more = max(0, count - len(frames))
    return torch.cat([frames, frames[-1:].expand(more, *frames.shape[1:])])


class MMAudioPeer:
    """The models of MMAudio, loaded once."""

    def __init__(self, settings: dict[str, Any], device: str) -> None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True  # as its demo has it
        setup_eval_logging()
        model = all_model_cfg[settings["variant"]]
        model.download_if_needed()
        dtype = torch.float32 if settings["full_precision"] else torch.bfloat16
        self.net = get_my_mmaudio(model.model_name).to(device, dtype).eval()
        self.net.load_weights(torch.load(model.model_path, map_location=device, weights_only=True))
        self.features = FeaturesUtils(
            tod_vae_ckpt=model.vae_path,
            synchformer_ckpt=model.synchformer_ckpt,
            enable_conditions=True,
            mode=model.mode,
            bigvgan_vocoder_ckpt=model.bigvgan_16k_path,
            need_vae_encoder=False,
        )
        self.features = self.features.to(device, dtype).eval()
        self.flow = FlowMatching(min_sigma=0, inference_mode="euler", num_steps=settings["steps"])
        self.sequence, self.strength, self.device = model.seq_cfg, settings["cfg_strength"], device

    def generate(self, rows: list[dict[str, Any]]) -> list[tuple[Path, int]]:
        """A NumPy file for each row, and its rate. Clips that are shorter than what was asked for go by themselves."""
        with torch.inference_mode():
            seen = {row["video"]: load_whole(row["video"], row["seconds"]) for row in rows}
            groups: dict[float, list[dict[str, Any]]] = {}
            for row in rows:
                groups.setdefault(seen[row["video"]].duration_sec, []).append(row)
            files: dict[str, Path] = {}
            for seconds, group in groups.items():
                files.update(self.of_one_length(group, seen, seconds))
        return [(files[row["id"]], self.sequence.sampling_rate) for row in rows]

    def of_one_length(self, rows: list[dict[str, Any]], seen: dict[str, Any], seconds: float) -> dict[str, Path]:
        """Files of rows whose clips are equally long, by id."""
        length = self.sequence
        length.duration = seconds
        self.net.update_seq_lengths(length.latent_seq_len, length.clip_seq_len, length.sync_seq_len)
        sounds = generate(
            torch.stack([seen[row["video"]].clip_frames for row in rows]),
            torch.stack([seen[row["video"]].sync_frames for row in rows]),
            [row["prompt"] for row in rows],
            negative_text=[row["negative"] or "" for row in rows],
            feature_utils=self.features,
            net=self.net,
            fm=OwnNoise(self.flow, [row["seed"] for row in rows]),
            rng=torch.Generator(device=self.device),
            cfg_strength=self.strength,
        )
        files = {}
        for row, sound in zip(rows, sounds.float().cpu().numpy()):  # noqa: B905 - Python 3.9
            files[row["id"]] = Path(row["folder"], "sound.npy")
            np.save(files[row["id"]], sound.astype(np.float32))
        return files


def open_peer(settings: dict[str, Any], device: str) -> MMAudioPeer:
    """See `serve.py`."""
    return MMAudioPeer(settings, device)
