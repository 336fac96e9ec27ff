"""CLIP features at 5 frames per second, laid along the latents, for CAFA-C (paper, appendix A).

What the paper leaves open is settled here and stored with the features: the model (ViT-L/14, whose projected width
768 is that of AV-CLIP, as the sum requires), frames 0, 5, 10... of the 25 per second, squashed to 224 x 224 like
AV-CLIP's, 50 embeddings interpolated to 200, and 8 zeros on either side of them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from cafa.common.devices import sent
from cafa.common.errors import InputError
from cafa.models.checkpoint_reader import read_tensors
from cafa.models.encoders.clip_network import ClipVision, ClipVisionSettings, tower_tensors
from cafa.models.encoders.single_pictures import EVERY, along_latents
from cafa.models.encoders.synchformer import FRAMES, SECONDS, TOKENS
from cafa.models.encoders.video_encoder import FRAME_RATE, VideoEncoder
from cafa.models.pretrained import HUB, HubSettings, InspectedFiles, PretrainedSettings
from cafa.models.releases import CLIP_LARGE, checked_sha256, locate, require
from cafa.models.weights import load_strict

INTERPOLATED = 200
FILES = ("config.json", "model.safetensors")
# Mean and standard deviation of the pictures CLIP was trained with, per colour.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class ClipModel(HubSettings):
    """CLIP's image tower: the second features of CAFA-C."""

    kind: Literal["clip"] = "clip"
    source: str = Field(CLIP_LARGE.name, description="folder, or hub:owner/name")
    half: bool = Field(False, description="run in 16 bits; part of the features' identity")


class ClipFeatures(VideoEncoder):
    """The frozen image tower of CLIP.

    Parameters
    ----------
    network : ClipVision
    sha256 : str
        Of the weights.
    device : torch.device or str
    half : bool
        Run in 16 bits (bfloat16 on a CPU, float16 elsewhere); part of the features' identity.
    """

    kind = "clip"
    settings: ClassVar[type[PretrainedSettings] | None] = ClipModel
    seconds, every = SECONDS, EVERY

    def __init__(
        self,
        network: ClipVision,
        sha256: str,
        *,
        device: torch.device | str = "cpu",
        half: bool = False,
    ) -> None:
        self.device, self.half = torch.device(device), half
        self.network = network.requires_grad_(False).eval().to(self.device)
        self.size = network.settings.image_size
        self.shape = (TOKENS, network.settings.projection_dim)
        self.encoder = identity(sha256, half)

    @classmethod
    def inspect(cls, settings: ClipModel) -> InspectedFiles:
        """Find the files of the model that `settings` describe; raises WeightsError with what to do."""
        folder = locate(settings.source, CLIP_LARGE, settings.download)
        files = dict(zip(FILES, require(folder, FILES, CLIP_LARGE), strict=True))

        def encoders(digests: Mapping[str, str]) -> dict[str, dict[str, Any]]:
            return {cls.kind: identity(digests["model.safetensors"], settings.half)}

        def facts() -> dict[str, Any]:
            return {"feature_shape": [TOKENS, ClipVisionSettings.from_file(files["config.json"]).projection_dim]}

        addresses = {name: HUB.format(name=CLIP_LARGE.name, file=name) for name in FILES}
        return InspectedFiles({"source": folder}, files, encoders, facts, addresses)

    @classmethod
    def load(cls, folder: str | Path, card: Mapping[str, Any], device: str) -> "ClipFeatures":
        """The image tower of a registered CLIP, in transformers' layout."""
        place = Path(card["places"]["source"])
        files = dict(zip(FILES, require(place, FILES, CLIP_LARGE), strict=True))
        digests = checked_sha256(files, card["files"])
        with torch.device("meta"):
            network = ClipVision(ClipVisionSettings.from_file(files["config.json"]))
        weights = files["model.safetensors"]
        load_strict(network, tower_tensors(read_tensors(weights)), file=weights)
        return cls(network, digests["model.safetensors"], device=device, half=card["settings"]["half"])

    def encode(self, clips: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Features (B, 216, D), float32, of B clips of frames, uint8 (50, size, size, 3)."""
        frames = torch.from_numpy(np.stack(list(clips)))
        if frames.shape[1:] != (FRAMES // EVERY, self.size, self.size, 3):
            raise InputError(
                f"clips have shape {tuple(frames.shape[1:])}, expected {(FRAMES // EVERY, self.size, self.size, 3)}"
            )
        mean, deviation = (torch.tensor(values, device=self.device).view(3, 1, 1) for values in (MEAN, DEVIATION))
        kind = torch.bfloat16 if self.device.type == "cpu" else torch.float16
        embeddings: list[Tensor] = []
        with torch.inference_mode(), torch.autocast(self.device.type, kind, enabled=self.half):
            for clip in frames:  # 50 pictures make a batch
                pictures = (sent(clip, self.device).permute(0, 3, 1, 2) / 255 - mean) / deviation
                embeddings.append(self.network(pictures).float())
        return along_latents(torch.stack(embeddings).cpu(), INTERPOLATED, TOKENS).numpy()


def identity(sha256: str, half: bool) -> dict[str, Any]:
    """What features of the tower are stamped with."""
    about = {"frames_per_second": FRAME_RATE / EVERY, "interpolated": INTERPOLATED, "half": half}
    return {"name": "clip_image", "weights_sha256": sha256, **about}
