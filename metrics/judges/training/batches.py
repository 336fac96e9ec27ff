"""Batch and loss of each judge."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional

from cafa.common.errors import InputError
from metrics.encoders.miniature.clap import MicroClap, clap_loss
from metrics.encoders.miniature.classifier import classifier_loss
from metrics.encoders.miniature.imagebind import FRAME_STEP, MicroImageBind, imagebind_loss
from metrics.encoders.miniature.synchformer import GRID, LARGEST, MEL_STEP, STEP, WINDOW, MicroSynchformer
from metrics.judges.training.augmentation import vary_pictures, vary_sound
from metrics.judges.training.clips import Clips
from metrics.judges.training.settings import JudgeSettings

MakeBatch = Callable[[int, Generator], Any]
#: of the judge's own network
Loss = Callable[[Any, Any], dict[str, Tensor]]

#: Windows of sound compared with each window of pictures in a batch: sound is cheap, pictures are not.
SHIFTS = 6
CLASSES = len(GRID)


def _groups(settings: JudgeSettings, clips: Clips) -> int:
    groups, left = divmod(settings.loop.batch_size, len(clips.labels))
    if left or not groups:
        raise InputError(
            f"batch_size must be a multiple of the {len(clips.labels)} labels (one clip of each in a group), "
            f"got {settings.loop.batch_size}"
        )
    return groups


def classifier(clips: Clips, settings: JudgeSettings, silence: float) -> tuple[MakeBatch, Loss]:
    """Clips drawn at random, and their labels."""

    def make_batch(step: int, generator: Generator) -> tuple[Tensor, Tensor]:
        rows = clips.draw(settings.loop.batch_size, generator)
        sound = vary_sound(clips.sounds(rows), silence, settings.augmentation, generator)
        return sound, torch.from_numpy(clips.targets[rows])

    return make_batch, lambda model, batch: classifier_loss(model, *batch)


def clap(clips: Clips, settings: JudgeSettings, silence: float) -> tuple[MakeBatch, Loss]:
    """One clip of every label in a group, and their captions."""
    groups = _groups(settings, clips)

    def make_batch(step: int, generator: Generator) -> tuple[Tensor, list[str]]:
        rows = clips.draw_one_of_each(groups, generator)
        sound = vary_sound(clips.sounds(rows), silence, settings.augmentation, generator)
        return sound, [clips.captions[row] for row in rows]

    def loss(model: MicroClap, batch: tuple[Tensor, list[str]]) -> dict[str, Tensor]:
        sound, captions = batch
        words, lengths = model.words.tokens(captions)
        return clap_loss(model, sound, words, lengths, group=len(clips.labels))

    return make_batch, loss


def imagebind(clips: Clips, settings: JudgeSettings, silence: float) -> tuple[MakeBatch, Loss]:
    """One clip of every label in a group: some frames, and the sound."""
    groups = _groups(settings, clips)

    def make_batch(step: int, generator: Generator) -> tuple[Tensor, Tensor]:
        rows = clips.draw_one_of_each(groups, generator)
        # Half as many frames as are looked at afterwards: frames of a clip are much alike.
        stride = 2 * FRAME_STEP
        first = int(torch.randint(stride, (), generator=generator))
        pictures = clips.pictures(rows)[:, first::stride]
        sound = vary_sound(clips.sounds(rows), silence, settings.augmentation, generator)
        return vary_pictures(pictures, settings.augmentation, generator), sound

    def loss(model: MicroImageBind, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        pictures, sound = batch
        return imagebind_loss(model, pictures, sound, group=len(clips.labels))

    return make_batch, loss


def _starts_allowed(total: int) -> Tensor:
    """Which (video start, offset class) keep both windows inside a clip of `total` frames: (starts, classes) bool."""
    room = total - WINDOW
    sound = torch.arange(room + 1)[:, None] - (torch.arange(CLASSES) * STEP - LARGEST)
    return (sound >= 0) & (sound <= room)


def draw_pairs(total: int, pairs: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Windows of shifted pairs, every offset class equally likely, then every start that it allows.

    Parameters
    ----------
    total : int
        Video frames of a clip.
    pairs : int
    generator : Generator

    Returns
    -------
    video_start, sound_start, target : Tensor of int
        (pairs,) each: window starts in video frames, and offset classes. A sound that comes later than the
        pictures is one whose window starts earlier.
    """
    target = torch.randint(CLASSES, (pairs,), generator=generator)
    allowed = _starts_allowed(total).T.float()
    start = torch.multinomial(allowed[target], 1, generator=generator).squeeze(1)
    return start, start - (target * STEP - LARGEST), target


def draw_shifts(total: int, clips: int, shifts: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Windows of pictures, each with several shifted windows of sound.

    One window of pictures does not allow every offset: a clip is too short. So small offsets are drawn more often
    than large ones, and the weights undo that: under them every offset class is equally likely, as in
    :func:`draw_pairs`. Without them a judge would learn to answer 0 where it sees nothing.

    Parameters
    ----------
    total : int
        Video frames of a clip.
    clips, shifts : int
    generator : Generator

    Returns
    -------
    video_start, sound_start, target, weight : Tensor
        (clips,), then (clips, shifts): as in :func:`draw_pairs`; weights have mean 1.
    """
    allowed = _starts_allowed(total).float()
    law = allowed / allowed.sum(1, keepdim=True)
    start = torch.randint(len(law), (clips,), generator=generator)
    target = torch.multinomial(law[start], shifts, replacement=True, generator=generator)
    weight = 1 / (CLASSES * law.mean(0))
    return start, start[:, None] - (target * STEP - LARGEST), target, weight[target]


def synchformer(clips: Clips, settings: JudgeSettings, silence: float) -> tuple[MakeBatch, Loss]:
    """Windows of pictures, each with several shifted windows of the same clip's sound."""
    total = clips.frames.shape[0]
    if total < WINDOW + LARGEST or clips.mel.shape[0] != MEL_STEP * total:
        raise InputError(
            f"the offset judge needs clips of at least {WINDOW + LARGEST} frames with {MEL_STEP} log-mel frames "
            f"each, got {total} and {clips.mel.shape[0]}"
        )

    def make_batch(step: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        rows = clips.draw(settings.loop.batch_size, generator)
        video, sound, target, weight = draw_shifts(total, len(rows), SHIFTS, generator)
        frames = clips.pictures(rows)
        # Varied before the cut: once a clip, which costs less than once a window.
        mel = vary_sound(clips.sounds(rows), silence, settings.augmentation, generator)
        pictures = torch.stack([clip[at : at + WINDOW] for clip, at in zip(frames, video.tolist(), strict=True)])
        sounds = [
            clip[MEL_STEP * at : MEL_STEP * (at + WINDOW)]
            for clip, starts in zip(mel, sound.tolist(), strict=True)
            for at in starts
        ]
        pictures = vary_pictures(pictures, settings.augmentation, generator)
        return pictures, torch.stack(sounds), target.flatten(), weight.flatten()

    def loss(model: MicroSynchformer, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        pictures, sounds, target, weight = batch
        video = model.embed_video(pictures).repeat_interleave(SHIFTS, dim=0)
        logits = model.compare(video, model.embed_audio(sounds))
        grid = torch.tensor(GRID, device=logits.device)
        error = (weight * (grid[logits.argmax(-1)] - grid[target]).abs()).mean()
        losses = functional.cross_entropy(logits, target, reduction="none")
        return {"loss": (weight * losses).mean(), "error_seconds": error}

    return make_batch, loss
