"""Picture features of the miniature: a small encoder of single frames, trained with captions as CLIP is.

A frame and the caption of its clip are pulled together, against the captions and frames of other clips, so the features
say what is seen and nothing of when it sounds. CAFA-C's adapter is given them beside those of AV-CLIP, as at full size:
five frames per second, whose projected embeddings are laid along the latents.
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
from cafa.models.encoders.single_pictures import EVERY, along_latents
from cafa.models.encoders.video_encoder import FRAME_RATE

KIND = "clip"


class CLIPSettings(BaseModel):
    """Size of the encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dim: int = Field(64, gt=0, description="width of a feature; that of AV-CLIP's, which it is summed with")
    channels: tuple[int, int, int] = Field((16, 32, 48), description="channels of the picture network")
    text_dim: int = Field(48, gt=0, description="width of a text state")


class PictureNetwork(nn.Module):
    """A picture to its projected embedding."""

    def __init__(self, settings: CLIPSettings) -> None:
        super().__init__()
        a, b, c = settings.channels
        self.space = nn.Sequential(
            nn.Conv2d(3, a, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(a, b, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(b, c, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.projection = nn.Linear(c * 16, settings.dim)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, H, W, 3) uint8, 32 x 32 -> (N, dim), of any length."""
        seen = self.space(pictures.permute(0, 3, 1, 2).float() / 127.5 - 1)
        return self.projection(seen.flatten(1))


class CaptionNetwork(nn.Module):
    """Text states to one embedding, a mean of the words weighted by what each is worth; used only in training."""

    def __init__(self, settings: CLIPSettings) -> None:
        super().__init__()
        self.worth = nn.Linear(settings.text_dim, 1)
        self.projection = nn.Sequential(
            nn.Linear(settings.text_dim, settings.dim), nn.GELU(), nn.Linear(settings.dim, settings.dim)
        )

    def forward(self, states: Tensor) -> Tensor:
        """(N, L, text_dim), zeros after the last word -> (N, dim), of any length."""
        padding = ~states.any(-1, keepdim=True)
        # Not -inf: the weights of the empty text, which is padding alone, are finite so.
        worth = self.worth(states).masked_fill(padding, torch.finfo(states.dtype).min).softmax(1)
        return self.projection((worth * states).sum(1))


class CLIP(nn.Module):
    """Both towers and the temperature."""

    def __init__(self, settings: CLIPSettings) -> None:
        super().__init__()
        self.settings = settings
        self.pictures = PictureNetwork(settings)
        self.captions = CaptionNetwork(settings)
        self.log_temperature = nn.Parameter(torch.tensor(2.3))

    def contrastive_loss(self, pictures: Tensor, states: Tensor) -> Tensor:
        """InfoNCE over the pairs of the batch, in both directions.

        Parameters
        ----------
        pictures : Tensor, uint8 (N, 32, 32, 3)
        states : Tensor, float32 (N, L, text_dim)

        Returns
        -------
        Tensor, ()
        """
        seen = functional.normalize(self.pictures(pictures), dim=-1)
        told = functional.normalize(self.captions(states), dim=-1)
        return contrastive_loss(seen, told, self.log_temperature)


class CLIPEncoder:
    """The frozen picture tower.

    Parameters
    ----------
    folder : path
        Model folder written by training.
    """

    kind = KIND

    def __init__(self, folder: str | Path) -> None:
        towers, card = open_towers(folder, KIND, CLIPSettings, CLIP)
        self.settings = towers.settings
        self.network = towers.pictures
        self.dim = self.settings.dim
        self.encoder: dict[str, Any] = {
            "name": "miniature_clip",
            "weights_sha256": card["weights_sha256"],
            "frames_per_second": FRAME_RATE / EVERY,
        }

    @torch.inference_mode()
    def lay(self, pictures: np.ndarray, latents: int) -> np.ndarray:
        """Embeddings of uint8 pictures (P, 32, 32, 3) of one clip along its latents: float32 (latents, dim).

        One clip at a time, so that a clip's bits do not depend on its neighbours.
        """
        embeddings = self.network(torch.from_numpy(np.array(pictures)))
        return along_latents(embeddings[None], latents, latents)[0].numpy()

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Features of one clip: uint8 (F, 32, 32, 3), all 25 frames per second -> float32 (F, dim).

        The miniature's latents have the rate of the frames.
        """
        return self.lay(frames[::EVERY], len(frames))


class MiniatureCLIP(MiniatureVideoEncoder):
    """The miniature's picture tower as an encoder of windows of a video: one vector per latent."""

    kind = KIND
    every = EVERY
    tower_class = CLIPEncoder
    _tower: CLIPEncoder

    def encode(self, clips: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Features (B, 5 P, dim), float32, of B clips of P pictures, uint8 (P, 32, 32, 3), five per second."""
        return np.stack([self._tower.lay(clip, len(clip) * EVERY) for clip in clips])
