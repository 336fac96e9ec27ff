"""Parts that the judges of the miniature share: a tower for sound, one for single frames, one for words.

Conventions: a log-mel spectrogram is float (clips, frames, bands), natural logarithm of magnitude as in
`cafa.media.mel`; pictures are uint8 RGB (clips, frames, height, width, 3). Every tower treats each clip by
itself, so an embedding does not depend on the clips beside it.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUPS = 8
WORD = re.compile(r"\w+")


def stages(channels: int, widths: tuple[int, int, int]) -> nn.Sequential:
    """Three convolutions that halve a map, each with a ReLU.

    The first map is the largest; leaving it without normalisation saves a fifth of the time.
    """
    first, second, third = widths
    return nn.Sequential(
        nn.Conv2d(channels, first, 5, 2, 2),
        nn.ReLU(),
        nn.Conv2d(first, second, 3, 2, 1),
        nn.GroupNorm(GROUPS, second),
        nn.ReLU(),
        nn.Conv2d(second, third, 3, 2, 1),
        nn.GroupNorm(GROUPS, third),
        nn.ReLU(),
    )


def mean_and_peak(features: Tensor) -> Tensor:
    """Mean and maximum over axis 1: (clips, steps, width) to (clips, 2 * width).

    The maximum holds short events that a mean over a mostly quiet clip would bury.
    """
    return torch.cat([features.mean(1), features.amax(1)], dim=-1)


class SoundTower(nn.Module):
    """Log-mel spectrogram to one vector.

    Parameters
    ----------
    outputs : int
        Width of the vector.
    bands : int
        Mel bands, a multiple of 8.
    silence : float
        Log-mel value of digital silence (logarithm of the spectrogram's floor); it becomes 0 here, so that
        padding is silence.
    """

    silence: Tensor

    def __init__(self, outputs: int, bands: int, silence: float) -> None:
        super().__init__()
        self.register_buffer("silence", torch.tensor(float(silence)))
        self.stages = stages(1, (16, 32, 64))
        self.bands = nn.Linear(64 * (bands // 8), 96)
        self.head = nn.Linear(2 * 96, outputs)

    def forward(self, mel: Tensor) -> Tensor:
        """Embed ``(clips, frames, bands)`` to ``(clips, outputs)``."""
        maps = self.stages((mel.float() - self.silence).unsqueeze(1) / 4)
        steps = functional.relu(self.bands(maps.transpose(1, 2).flatten(2)))
        return self.head(mean_and_peak(steps))


class FrameTower(nn.Module):
    """One small picture to one vector, frame by frame.

    Parameters
    ----------
    outputs : int
        Width of the vector.
    channels : int
        Channels of the picture.
    widths : tuple of int
        Channels after each of three stages that halve the picture, multiples of 8.
    size : int
        Side of the square picture, a multiple of 8.
    """

    def __init__(self, outputs: int, channels: int, widths: tuple[int, int, int], size: int) -> None:
        super().__init__()
        self.stages = stages(channels, widths)
        self.head = nn.Linear(widths[-1] * (size // 8) ** 2, outputs)

    def forward(self, pictures: Tensor) -> Tensor:
        """Embed ``(clips, frames, channels, size, size)`` to ``(clips, frames, outputs)``."""
        clips, frames = pictures.shape[:2]
        flat = pictures.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return self.head(self.stages(flat).flatten(1)).unflatten(0, (clips, frames))


def pictures_of(frames: Tensor) -> Tensor:
    """Bring uint8 frames (clips, frames, height, width, 3) to float (clips, frames, 3, height, width) in [-1, 1]."""
    return frames.movedim(-1, 2).float() / 127.5 - 1


def words_of(caption: str) -> list[str]:
    """Words of a caption, lower case; a caption without any has one empty word, so that it has an embedding."""
    return WORD.findall(unicodedata.normalize("NFKC", caption).lower()) or [""]


def word_slots(caption: str, slots: int) -> list[tuple[int, int]]:
    """Two slots of a table for each word, by hashing.

    Any text works, without a vocabulary; with two slots a word, two words practically never share both
    (Svenstrup et al. 2017, "Hash Embeddings").
    """
    pairs = []
    for word in words_of(caption):
        digest = hashlib.sha256(word.encode()).digest()
        pairs.append((int.from_bytes(digest[:8], "big") % slots, int.from_bytes(digest[8:16], "big") % slots))
    return pairs


class WordTower(nn.Module):
    """Caption to one vector: an average of its words, weighted by what each is worth. Word order is not seen.

    Parameters
    ----------
    outputs : int
        Width of the vector.
    slots : int
        Rows of the table of words.
    width : int
        Width of a word.
    """

    def __init__(self, outputs: int, slots: int = 2048, width: int = 48) -> None:
        super().__init__()
        self.slots = slots
        self.table = nn.Embedding(slots, width)
        self.worth = nn.Embedding(slots, 1)
        self.head = nn.Sequential(nn.Linear(width, 96), nn.ReLU(), nn.Linear(96, outputs))
        # Words never met in training stay near zero and add next to nothing.
        nn.init.normal_(self.table.weight, std=0.02)
        nn.init.zeros_(self.worth.weight)

    def tokens(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Slots ``(captions, words, 2)`` and the mask ``(captions, words)`` of words that are there."""
        rows = [word_slots(caption, self.slots) for caption in captions]
        slots = torch.zeros(len(rows), max(len(row) for row in rows), 2, dtype=torch.long)
        mask = torch.zeros(slots.shape[:2], dtype=torch.bool)
        for index, row in enumerate(rows):
            slots[index, : len(row)] = torch.tensor(row)
            mask[index, : len(row)] = True
        device = self.table.weight.device
        return slots.to(device), mask.to(device)

    def forward(self, slots: Tensor, mask: Tensor) -> Tensor:
        """Embed what :meth:`tokens` gives; ``(captions, outputs)``."""
        worth = self.worth(slots).sum(2).squeeze(-1).masked_fill(~mask, -torch.inf).softmax(-1)
        words = self.table(slots).sum(2)
        return self.head((worth.unsqueeze(-1) * words).sum(1))


def contrastive_loss(one: Tensor, other: Tensor, log_scale: Tensor) -> Tensor:
    """Symmetric InfoNCE over each group of pairs (Radford et al. 2021, "CLIP").

    Parameters
    ----------
    one, other : Tensor
        Normalised embeddings (groups, pairs, width); row i of one belongs to row i of the other, and no
        other row of the group may belong to it.
    log_scale : Tensor
        Logarithm of the inverse temperature; above log(20) it has no further effect.
    """
    scores = one @ other.mT * log_scale.clamp(max=3.0).exp()
    target = torch.arange(scores.shape[-1], device=scores.device).expand(scores.shape[:-1])
    both = [functional.cross_entropy(s.flatten(0, 1), target.flatten()) for s in (scores, scores.mT)]
    return (both[0] + both[1]) / 2
