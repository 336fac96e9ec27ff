"""Variations of sound and pictures under which a judge's answer should not move.

Generated sound reaches a judge through a vocoder, so a judge must not mind its traces: a little noise, blur,
another level, missing treble. All randomness comes from the generator that is passed.
"""

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Generator, Tensor
from torch.nn import functional


class Augmentation(BaseModel):
    """Strength of each variation; ranges are drawn uniformly per clip, 0 switches one off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gain: float = Field(0.7, ge=0, description="largest change of level, nats either way")
    tilt: float = Field(0.5, ge=0, description="largest slope of the spectrum, nats at its ends")
    noise: float = Field(1.5, ge=0, description="highest floor of broadband noise, nats above silence")
    grain: float = Field(0.3, ge=0, description="largest standard deviation per cell, nats (phase artefacts)")
    blur: float = Field(0.7, ge=0, le=1, description="largest share of a 3 x 3 mean")
    band_limit: float = Field(0.3, ge=0, le=1, description="chance that treble is cut")
    mirror_bands: float = Field(0.0, ge=0, le=1, description="chance that bass and treble change places")
    brightness: float = Field(0.15, ge=0, description="largest change of the pictures' level, of full scale")
    contrast: float = Field(0.3, ge=0, lt=1, description="largest change of the pictures' contrast, as a fraction")
    shift_picture: int = Field(2, ge=0, description="largest displacement of the pictures, pixels")
    mirror_picture: float = Field(0.5, ge=0, le=1, description="chance that pictures are mirrored")


def _uniform(clips: int, low: float, high: float, generator: Generator, axes: int) -> Tensor:
    values = torch.rand(clips, generator=generator) * (high - low) + low
    return values.view(clips, *([1] * axes))


def vary_sound(mel: Tensor, silence: float, settings: Augmentation, generator: Generator) -> Tensor:
    """Vary log-mel spectrograms.

    Parameters
    ----------
    mel : Tensor
        (clips, frames, bands).
    silence : float
        Log-mel value of digital silence; no value falls below it.
    settings : Augmentation
    generator : Generator

    Returns
    -------
    Tensor
        float32, the same shape.
    """
    clips, _, bands = mel.shape
    mel = mel.float()
    place = torch.linspace(-1, 1, bands)
    if settings.blur:
        share = _uniform(clips, 0, settings.blur, generator, 2)
        blurred = functional.avg_pool2d(mel.unsqueeze(1), 3, 1, 1, count_include_pad=False).squeeze(1)
        mel = mel + share * (blurred - mel)
    if settings.grain:
        scale = _uniform(clips, 0, settings.grain, generator, 2)
        mel = mel + scale * torch.randn(mel.shape, generator=generator)
    mel = mel + _uniform(clips, -settings.gain, settings.gain, generator, 2)
    mel = mel + _uniform(clips, -settings.tilt, settings.tilt, generator, 2) * place
    if settings.band_limit:
        cut = torch.rand(clips, generator=generator).view(-1, 1, 1) < settings.band_limit
        edge = _uniform(clips, 0.2, 1.0, generator, 2)
        depth = _uniform(clips, 1.0, 4.0, generator, 2)
        mel = mel - cut * depth * torch.sigmoid((place - edge) * 20)
    if settings.noise:
        floor = silence + _uniform(clips, -3.0, settings.noise, generator, 2)
        mel = torch.logaddexp(mel, floor + 0.2 * torch.randn(mel.shape, generator=generator))
    if settings.mirror_bands:
        turned = torch.rand(clips, generator=generator).view(-1, 1, 1) < settings.mirror_bands
        mel = torch.where(turned, mel.flip(-1), mel)
    return mel.clamp(min=silence)


def vary_pictures(frames: Tensor, settings: Augmentation, generator: Generator) -> Tensor:
    """Vary uint8 frames (clips, frames, height, width, 3), each clip as a whole: light, place, mirroring."""
    clips = len(frames)
    level = 127.5 + 255 * _uniform(clips, -settings.brightness, settings.brightness, generator, 4)
    contrast = 1 + _uniform(clips, -settings.contrast, settings.contrast, generator, 4)
    frames = torch.addcmul(level, contrast, frames.float() - 127.5).clamp_(0, 255).to(torch.uint8)
    reach = settings.shift_picture
    moves = torch.randint(-reach, reach + 1, (clips, 2), generator=generator).tolist()
    turned = (torch.rand(clips, generator=generator) < settings.mirror_picture).tolist()
    # What leaves on one side comes in on the other: two pixels of background.
    return torch.stack(
        [
            clip.roll(move, (1, 2)).flip(2) if turn else clip.roll(move, (1, 2))
            for clip, move, turn in zip(frames, moves, turned, strict=True)
        ]
    )
