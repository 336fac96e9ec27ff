"""ImageBind of the miniature: pictures and sound in one space (IB score); meaning, not timing."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from metrics.encoders.miniature.blocks import (
    FrameTower,
    SoundTower,
    contrastive_loss,
    mean_and_peak,
    pictures_of,
)
from metrics.encoders.miniature.network import MiniatureNetwork

WIDTH = 64
#: Every so many frames of a clip one is looked at.
FRAME_STEP = 5


class MicroImageBind(MiniatureNetwork):
    """Frame tower and sound tower, trained contrastively.

    Parameters
    ----------
    bands : int
        Mel bands.
    silence : float
        Log-mel value of digital silence.
    size : int
        Side of the square frames.
    """

    def __init__(self, bands: int, silence: float, size: int) -> None:
        super().__init__()
        self.frames = FrameTower(96, 3, (24, 48, 64), size)
        self.video = nn.Linear(2 * 96, WIDTH)
        self.sound = SoundTower(WIDTH, bands, silence)
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def embed_video(self, frames: Tensor) -> Tensor:
        """Unit vectors ``(clips, 64)`` of ``(clips, frames, size, size, 3)`` uint8 (any number of frames)."""
        steps = functional.relu(self.frames(pictures_of(frames)))
        return functional.normalize(self.video(mean_and_peak(steps)), dim=-1)

    def embed_audio(self, mel: Tensor) -> Tensor:
        """Unit vectors ``(clips, 64)`` of ``(clips, frames, bands)``."""
        return functional.normalize(self.sound(mel), dim=-1)

    @torch.inference_mode()
    def judge_sound(self, mel: Tensor, frames: Tensor) -> dict[str, Tensor]:
        """Column that the metrics read: ``embedding`` (clips, 64), unit length."""
        return {"embedding": self.embed_audio(mel)}

    @torch.inference_mode()
    def judge_pictures(self, frames: Tensor) -> Tensor:
        """Unit vectors ``(clips, 64)`` of whole clips, from one frame in `FRAME_STEP`."""
        return self.embed_video(frames[:, FRAME_STEP // 2 :: FRAME_STEP])


def imagebind_loss(model: MicroImageBind, frames: Tensor, mel: Tensor, group: int) -> dict[str, Tensor]:
    """Contrastive loss over groups of `group` clips, one clip of each category in each group."""
    video = model.embed_video(frames).unflatten(0, (-1, group))
    audio = model.embed_audio(mel).unflatten(0, (-1, group))
    return {"loss": contrastive_loss(video, audio, model.log_scale)}
