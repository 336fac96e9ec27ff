"""Video features of the miniature: a small encoder trained as Synchformer's segment-level AV-CLIP is.

Video and sound of the same short segment are pulled together, against segments of other clips and other times of the
same clip, so the features say what is seen and when it sounds. The adapter is given the frame-rate features before
segment pooling, as CAFA is given Synchformer's per-frame tokens.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from cafa.models.encoders.miniature_video import MiniatureVideoEncoder, contrastive_loss, open_towers

KIND = "av_clip"


class AVClipSettings(BaseModel):
    """Size of the encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dim: int = Field(64, gt=0, description="width of a feature")
    channels: tuple[int, int, int] = Field((16, 32, 48), description="channels of the frame network")
    segment_frames: int = Field(8, gt=0, description="frames of a contrasted segment")
    mel_bins: int = Field(64, gt=0, description="mel bands of the sound")
    mel_per_frame: int = Field(2, gt=0, description="mel frames per video frame")


class FrameNetwork(nn.Module):
    """Frames to frame-rate features: a small network per frame, then convolutions over time.

    Each frame is seen with its change since the frame before.
    """

    def __init__(self, settings: AVClipSettings) -> None:
        super().__init__()
        a, b, c = settings.channels
        self.space = nn.Sequential(
            nn.Conv2d(6, a, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(a, b, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(b, c, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.join = nn.Linear(c * 16, settings.dim)
        self.time = nn.Sequential(
            nn.Conv1d(settings.dim, settings.dim, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(settings.dim, settings.dim, 5, padding=2),
        )
        self.norm = nn.LayerNorm(settings.dim)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, F, H, W, 3) uint8, 32 x 32 -> (B, F, dim)."""
        x = frames.permute(0, 1, 4, 2, 3).float() / 127.5 - 1
        change = torch.cat([torch.zeros_like(x[:, :1]), (x[:, 1:] - x[:, :-1]) * 4], dim=1)
        batch, count = x.shape[:2]
        seen = self.space(torch.cat([x, change], dim=2).flatten(0, 1))
        joined = self.join(seen.flatten(1)).view(batch, count, -1)
        return self.norm(joined + self.time(joined.transpose(1, 2)).transpose(1, 2))


class SoundNetwork(nn.Module):
    """Log-mel to features at the video's frame rate; used only in training."""

    def __init__(self, settings: AVClipSettings) -> None:
        super().__init__()
        per = settings.mel_per_frame
        self.layers = nn.Sequential(
            nn.Conv1d(settings.mel_bins, 96, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(96, settings.dim, per, stride=per),
            nn.GELU(),
            nn.Conv1d(settings.dim, settings.dim, 3, padding=1),
        )

    def forward(self, mel: Tensor) -> Tensor:
        """(B, frames, bins) -> (B, frames // mel_per_frame, dim)."""
        return self.layers((mel.transpose(1, 2) + 5) / 3).transpose(1, 2)


class AVClip(nn.Module):
    """Both towers and the temperature."""

    def __init__(self, settings: AVClipSettings) -> None:
        super().__init__()
        self.settings = settings
        self.video = FrameNetwork(settings)
        self.sound = SoundNetwork(settings)
        self.video_head = nn.Linear(settings.dim, settings.dim)
        self.log_temperature = nn.Parameter(torch.tensor(2.3))

    def segments(self, frames: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors (B, segments, dim) of what is seen in each segment, and of what is heard."""
        length = self.settings.segment_frames
        video = self.video_head(self.video(frames)).unflatten(1, (-1, length)).mean(2)
        sound = self.sound(mel).unflatten(1, (-1, length)).mean(2)
        return functional.normalize(video, dim=-1), functional.normalize(sound, dim=-1)

    def contrastive_loss(self, frames: Tensor, mel: Tensor) -> Tensor:
        """InfoNCE over all segments of the batch, in both directions."""
        video, sound = (vectors.flatten(0, 1) for vectors in self.segments(frames, mel))
        return contrastive_loss(video, sound, self.log_temperature)


class AVClipEncoder:
    """The frozen video tower.

    Parameters
    ----------
    folder : path
        Model folder written by training.
    """

    kind = KIND

    def __init__(self, folder: str | Path) -> None:
        towers, card = open_towers(folder, KIND, AVClipSettings, AVClip)
        self.settings = towers.settings
        self.network = towers.video
        self.dim = self.settings.dim
        self.encoder: dict[str, Any] = {"name": KIND, "weights_sha256": card["weights_sha256"]}

    @torch.inference_mode()
    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Features of one clip: uint8 (F, 32, 32, 3) -> float32 (F, dim).

        One clip at a time, so that a clip's bits do not depend on its neighbours.
        """
        return self.network(torch.from_numpy(np.array(frames))[None])[0].numpy()


class AVClipCorrespondence:
    """How well a clip's sound fits its picture: both frozen towers.

    Parameters
    ----------
    folder : path
        Model folder written by training.

    Attributes
    ----------
    inputs : (str, str)
        Digests of the encoders of frames and of log-mels that it was trained on.
    """

    def __init__(self, folder: str | Path) -> None:
        self.network, card = open_towers(folder, KIND, AVClipSettings, AVClip)
        self.inputs = (card["inputs"]["frames"], card["inputs"]["mel"])

    @torch.inference_mode()
    def score(self, frames: np.ndarray, mel: np.ndarray) -> float:
        """Cosine of what is seen and heard, -1 to 1, mean over the segments of one clip.

        Frames are uint8 (F, 32, 32, 3); the log-mel (M, bins).
        """
        seen, heard = torch.from_numpy(np.array(frames))[None], torch.from_numpy(np.array(mel)).float()[None]
        video, sound = self.network.segments(seen, heard)
        return float((video * sound).sum(-1).mean())


class MiniatureAVClip(MiniatureVideoEncoder):
    """The miniature's tower as an encoder of windows of a video: one vector per frame."""

    kind = KIND
    tower_class = AVClipEncoder

    def encode(self, clips: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Features (B, F, dim), float32, of B clips of F frames, uint8 (F, 32, 32, 3)."""
        return np.stack([self._tower.encode(clip) for clip in clips])
