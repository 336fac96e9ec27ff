"""CLAP of the miniature: sound and words in one space (CLAP score, Acc)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from metrics.encoders.miniature.blocks import SoundTower, WordTower, contrastive_loss
from metrics.encoders.miniature.network import MiniatureNetwork

WIDTH = 64


class MicroClap(MiniatureNetwork):
    """Sound tower and word tower, trained contrastively.

    Parameters
    ----------
    bands : int
        Mel bands.
    silence : float
        Log-mel value of digital silence.
    """

    def __init__(self, bands: int, silence: float) -> None:
        super().__init__()
        self.sound = SoundTower(WIDTH, bands, silence)
        self.words = WordTower(WIDTH)
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def embed_audio(self, mel: Tensor) -> Tensor:
        """Unit vectors ``(clips, 64)`` of ``(clips, frames, bands)``."""
        return functional.normalize(self.sound(mel), dim=-1)

    def embed_text(self, slots: Tensor, mask: Tensor) -> Tensor:
        """Unit vectors ``(captions, 64)`` of tokens."""
        return functional.normalize(self.words(slots, mask), dim=-1)

    @torch.inference_mode()
    def judge_sound(self, mel: Tensor, frames: Tensor) -> dict[str, Tensor]:
        """Column that the metrics read: ``embedding`` (clips, 64), unit length."""
        return {"embedding": self.embed_audio(mel)}

    @torch.inference_mode()
    def judge_captions(self, captions: Sequence[str]) -> Tensor:
        """Unit vectors ``(captions, 64)``; any text works."""
        return self.embed_text(*self.words.tokens(captions))


def clap_loss(model: MicroClap, mel: Tensor, slots: Tensor, mask: Tensor, group: int) -> dict[str, Tensor]:
    """Contrastive loss over groups of `group` clips, one clip of each category in each group."""
    audio = model.embed_audio(mel).unflatten(0, (-1, group))
    text = model.embed_text(slots, mask).unflatten(0, (-1, group))
    return {"loss": contrastive_loss(audio, text, model.log_scale)}
