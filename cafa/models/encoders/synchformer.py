"""AV-CLIP features of Synchformer at full size, in the geometry that the published adapter was trained with.

10 s at 25 frames per second, squashed to 256 x 256, the middle 224 x 224, segments of 16 frames every 9 frames from
frame 0: 27 segments of 8 vectors, flattened segment by segment to (216, 768), after the projection into the
synchronisation space. Vector i goes to latent i; that is only roughly its time (off by up to 0.28 s, because the
segments overlap), and has to stay so for adapters that were trained with it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from cafa.common.devices import sent
from cafa.common.errors import InputError, WeightsError
from cafa.media.crops import centre_crop
from cafa.models.encoders.synchformer_network import (
    CONDITIONING_STRIDE,
    FRAME_SIZE,
    SynchformerVisual,
    normalise_frames,
    take_segments,
)
from cafa.models.encoders.video_encoder import VideoEncoder
from cafa.models.pretrained import InspectedFiles, PretrainedSettings
from cafa.models.releases import SYNCHFORMER, require_published
from cafa.models.weights import WeightSource, load_checkpoint

SECONDS = 10.0
SQUASHED = (256, 256)
FRAMES = 250
SEGMENTS = 27
TOKENS = 216


class SynchformerModel(PretrainedSettings):
    """Synchformer's visual tower: AV-CLIP features."""

    kind: Literal["synchformer"] = "synchformer"
    file: str = Field(description="path of synchformer_state_dict.pth or 24-01-04T16-39-21.pt, or of safetensors")
    half: bool = Field(False, description="run in 16 bits; part of the features' identity")
    segments_per_pass: int = Field(9, gt=0, description="segments in the network at once; bounds memory")


class SynchformerFeatures(VideoEncoder):
    """The frozen visual tower.

    Parameters
    ----------
    network : SynchformerVisual
    sha256 : str
        Of the weights.
    device : torch.device or str
    half : bool
        Run the network in 16 bits (bfloat16 on a CPU, float16 elsewhere); part of the features' identity.
    segments_per_pass : int
        Segments in the network at once; bounds memory (0.15 GB each in float32). A divisor of 27: every pass has the
        same shape and belongs to one clip, so a clip's bits do not depend on its batch. Or a multiple of 27: several
        clips per pass, equal to rounding.
    """

    kind = "av_clip"
    settings: ClassVar[type[PretrainedSettings] | None] = SynchformerModel
    seconds = SECONDS
    size = SQUASHED[0]

    def __init__(
        self,
        network: SynchformerVisual,
        sha256: str,
        *,
        device: torch.device | str = "cpu",
        half: bool = False,
        segments_per_pass: int = 9,
    ) -> None:
        self.device = torch.device(device)
        self.network = network.requires_grad_(False).eval().to(self.device)
        if segments_per_pass < 1 or (SEGMENTS % segments_per_pass and segments_per_pass % SEGMENTS):
            raise InputError(
                f"segments_per_pass must divide {SEGMENTS} or be a multiple of it, got {segments_per_pass}"
            )
        self.half, self.segments_per_pass = half, segments_per_pass
        self.shape = (TOKENS, network.vproj.out_features)
        self.encoder = identity(sha256, half)

    @classmethod
    def inspect(cls, settings: SynchformerModel) -> InspectedFiles:
        """Find the file of the model that `settings` describe; raises WeightsError with what to do."""
        file = require_published(settings.file, SYNCHFORMER)

        def encoders(digests: Mapping[str, str]) -> dict[str, dict[str, Any]]:
            return {cls.kind: identity(digests[file.name], settings.half)}

        def facts() -> dict[str, Any]:
            return {"feature_shape": [TOKENS, len(tower(file, None)["vproj.bias"])]}

        return InspectedFiles({"file": file}, {file.name: file}, encoders, facts)

    @classmethod
    def load(cls, folder: str | Path, card: Mapping[str, Any], device: str) -> "SynchformerFeatures":
        """The visual tower of a registered Synchformer: ``24-01-04T16-39-21.pt`` or MMAudio's state dict."""
        file, settings = Path(card["places"]["file"]), card["settings"]
        tensors = tower(require_published(file, SYNCHFORMER), card["files"][file.name])
        network = SynchformerVisual.from_tensors(tensors, device="cpu", **tower_sizes(tensors))
        options = {"half": settings["half"], "segments_per_pass": settings["segments_per_pass"]}
        return cls(network, card["files"][file.name], device=device, **options)

    def encode(self, clips: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Features (B, 216, 768), float32, of B clips of frames, uint8 (250, 256, 256, 3).

        Only the frames of all clips, and the segments of one pass, are in memory.
        """
        frames = torch.from_numpy(np.stack(list(clips)))
        if frames.shape[1:] != (FRAMES, *SQUASHED, 3):
            raise InputError(f"clips have shape {tuple(frames.shape[1:])}, expected {(FRAMES, *SQUASHED, 3)}")
        cropped = centre_crop(frames.movedim(-1, 2).flatten(0, 1), FRAME_SIZE).unflatten(0, (len(clips), FRAMES))
        segments = take_segments(cropped, CONDITIONING_STRIDE)  # a view: copied pass by pass
        places = [divmod(number, SEGMENTS) for number in range(len(clips) * SEGMENTS)]
        found: list[Tensor] = []
        kind = torch.bfloat16 if self.device.type == "cpu" else torch.float16
        with torch.inference_mode(), torch.autocast(self.device.type, kind, enabled=self.half):
            for first in range(0, len(places), self.segments_per_pass):
                batch = [segments[place] for place in places[first : first + self.segments_per_pass]]
                normalised = normalise_frames(sent(torch.stack(batch), self.device))[None]
                found.append(self.network.project(self.network(normalised, segments_per_pass=len(batch))[0]).float())
        # Read once: a GPU has the frames of the next pass while it works on this one.
        return torch.cat(found).cpu().view(len(clips), TOKENS, -1).numpy()


def identity(sha256: str, half: bool) -> dict[str, Any]:
    """What features of the tower are stamped with."""
    about = {"stride": CONDITIONING_STRIDE, "frames": FRAMES, "half": half}
    return {"name": "synchformer_av_clip", "weights_sha256": sha256, **about}


def tower(file: Path, sha256: str | None) -> dict[str, Tensor]:
    """State dict of Synchformer; checked where a digest is given."""
    source = WeightSource("synchformer", SYNCHFORMER.url, sha256, SYNCHFORMER.licence, "")
    tensors = load_checkpoint(file, source, unverified=sha256 is None).tensors
    if "vproj.bias" not in tensors:
        raise WeightsError(f"{file} is not Synchformer's checkpoint: it has no vproj.bias")
    return tensors


def tower_sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Arguments of ``SynchformerVisual`` from its weights; heads are 64 wide, as in the published one."""
    prefix = "vfeat_extractor."
    width = tensors[f"{prefix}cls_token"].shape[-1]
    blocks = {name.split(".")[2] for name in tensors if name.startswith(f"{prefix}blocks.")}
    patch = tensors[f"{prefix}patch_embed_3d.proj.weight"].shape[-1]
    return {"width": width, "depth": len(blocks), "heads": max(1, width // 64), "patch": patch}
