"""Classifier of the miniature: stands where PANNs stands (FAD, KL, IS)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from metrics.encoders.miniature.blocks import SoundTower
from metrics.encoders.miniature.network import MiniatureNetwork

WIDTH = 64


class MicroClassifier(MiniatureNetwork):
    """Log-mel spectrogram to an embedding and class logits.

    Parameters
    ----------
    classes : int
        Number of labels.
    bands : int
        Mel bands.
    silence : float
        Log-mel value of digital silence.
    dropout : float
        On the embedding, in training.
    """

    def __init__(self, classes: int, bands: int, silence: float, dropout: float = 0.2) -> None:
        super().__init__()
        self.sound = SoundTower(WIDTH, bands, silence)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(WIDTH, classes)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding ``(clips, 64)``, not negative, and logits ``(clips, classes)`` of ``(clips, frames, bands)``."""
        # After the ReLU, as the embedding of PANNs is.
        embedding = functional.relu(self.sound(mel))
        return embedding, self.output(self.dropout(embedding))

    @torch.inference_mode()
    def judge_sound(self, mel: Tensor, frames: Tensor) -> dict[str, Tensor]:
        """Columns that the metrics read: ``embedding`` (clips, 64) and ``logits`` (clips, classes)."""
        embedding, logits = self(mel)
        return {"embedding": embedding, "logits": logits}


def classifier_loss(model: MicroClassifier, mel: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Cross-entropy and accuracy of a batch; `target` holds class indices."""
    logits = model(mel)[1]
    right = (logits.argmax(-1) == target).float().mean()
    return {"loss": functional.cross_entropy(logits, target), "accuracy": right}
