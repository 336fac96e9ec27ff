"""Sound for one video of any length: the library behind `cafa generate`.

>>> from cafa.generation.foley import FoleyArtist
>>> artist = FoleyArtist("results/models")  # doctest: +SKIP
>>> artist.generate("my_video.mp4", "dog barking")[0].save_video("dubbed.mp4")  # doctest: +SKIP
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cafa.common.errors import InputError
from cafa.common.progress import progress
from cafa.common.seeds import seed_for
from cafa.common.shards import batches_of_shard
from cafa.common.writing_errors import explained
from cafa.generation.foley_encoders import (
    Encoders,
    MiniatureEncoders,
    PretrainedEncoders,
    frames_of_windows,
    require_models,
)
from cafa.generation.interface import Request
from cafa.generation.miniature import Generator
from cafa.generation.opening import open_generator
from cafa.generation.systems import AdapterSystem
from cafa.media import FRAME_RATE, frame_count
from cafa.media.mux import put_sound_under_video
from cafa.media.normalise import NormaliseSettings, normalise_clip
from cafa.media.official_frames import SIZE, read_official_frames
from cafa.media.sound import write_sound


@dataclass(frozen=True, eq=False)
class Dub:
    """A new sound of a video.

    Attributes
    ----------
    prompt : str
    seed : int
    waveform : ndarray, float32 (samples,) or (channels, samples)
        As long as the video.
    sample_rate : int
    video : bytes
        The normalised picture (mp4, 25 frames per second).
    """

    prompt: str
    seed: int
    waveform: np.ndarray
    sample_rate: int
    video: bytes

    def save_sound(self, path: str | Path) -> None:
        """Write the sound (.wav or .flac)."""
        write_sound(path, self.waveform, self.sample_rate)

    def save_video(self, path: str | Path) -> None:
        """Write the video with the new sound (.mp4)."""
        with TemporaryDirectory() as folder:
            picture = Path(folder) / "picture.mp4"
            with explained(picture, len(self.video)):
                picture.write_bytes(self.video)
            put_sound_under_video(picture, self.waveform, self.sample_rate, path)


def window_starts(frames: int, window: int, overlap: int) -> list[int]:
    """First frames of windows that cover a video.

    Windows follow each other with at least `overlap` common frames; the last one ends with the video. A video shorter
    than a window has one, at 0.
    """
    if frames <= window:
        return [0]
    hop = window - overlap
    starts = list(range(0, frames - window, hop))
    return [*starts, frames - window]


def join_windows(sounds: Sequence[np.ndarray], starts: Sequence[int], length: int) -> np.ndarray:
    """Join overlapping sounds with equal-power fades.

    Parameters
    ----------
    sounds : sequence of ndarray, (..., samples)
        Of equal length.
    starts : sequence of int
        First sample of each, ascending.
    length : int
        Samples of the result; what lies beyond is cut.
    """
    size = sounds[0].shape[-1]
    joined = np.zeros((*sounds[0].shape[:-1], max(length, starts[-1] + size)), np.float32)
    end = 0
    for sound, start in zip(sounds, starts, strict=True):
        common = max(0, end - start)
        # Two independent sounds add in power: sine and cosine keep the level through the fade.
        phase = (np.arange(common, dtype=np.float32) + 0.5) / max(common, 1) * (np.pi / 2)
        joined[..., start : start + common] *= np.cos(phase)
        joined[..., start : start + common] += sound[..., :common] * np.sin(phase)
        joined[..., start + common : start + size] = sound[..., common:]
        end = start + size
    return joined[..., :length]


class FoleyArtist:
    """A backbone with its adapter and encoders, loaded once.

    Parameters
    ----------
    models : path
        Folder of model folders: ``backbone``, ``adapter``, ``av_clip`` and, for CAFA-C, ``clip``; those of the
        miniature, which has an ``autoencoder`` besides, or registered ones (:mod:`cafa.models.registry`).
    system : AdapterSystem, optional
        Guidance, sampler and names of the folders; see :class:`cafa.generation.systems.AdapterSystem`.
    device : str

    Raises
    ------
    WeightsError
        If the models are not there; says how to get them.
    InputError
        If they do not belong together.
    """

    def __init__(
        self, models: str | Path = "results/models", system: AdapterSystem | None = None, device: str = "cpu"
    ) -> None:
        models, system = Path(models), system or AdapterSystem()
        require_models(models, [system.backbone, system.adapter, "av_clip"])
        self.generator = open_generator(system, models, device)
        self._official = system.sampling.preset == "official"
        self.encoders: Encoders
        if isinstance(self.generator, Generator):
            self.encoders = MiniatureEncoders(models, self.generator)
        else:
            self.encoders = PretrainedEncoders(models, self.generator, device)
        if self._official and self.encoders.sizes != (SIZE,):
            raise InputError("the official preset is that of an adapter of AV-CLIP alone, as the published one is")
        self.window = round(self.generator.seconds * FRAME_RATE)

    @property
    def identity(self) -> dict[str, Any]:
        """What sounds depend on beside video, prompt and seed: models, encoders and sampling, as JSON has it."""
        frames = {"frames": "official"} if self._official else {}
        return {"generator": self.generator.identity, "encoders": self.generator.inputs, **frames}

    def generate(
        self, video: str | Path, prompts: str | Sequence[str], *, seeds: Sequence[int] = (0,),
        negative_prompt: str | None = None, overlap_seconds: float = 0.4, batch_size: int = 1,
        video_track: int | None = None,
    ) -> list[Dub]:  # fmt: skip
        """New sounds for a video: one for each prompt and seed.

        Parameters
        ----------
        video : path
            Any length of at least 0.2 s, any frame rate; its own sound, if any, is not used.
        prompts : str or sequence of str
        seeds : sequence of int
        negative_prompt : str, optional
            What it should not sound like.
        overlap_seconds : float
            Overlap of windows where the video is longer than one.
        video_track : int, optional
            Picture track to take, from 1, where the video has several; by default the one that players take.
        batch_size : int
            Windows, of any prompt and seed, that are sampled together: more is faster on a GPU. The sound is the same
            to rounding.

        Returns
        -------
        list of Dub
            Ordered by prompt, then seed.

        Raises
        ------
        ClipError
            If the video cannot be used.
        InputError
            If a prompt has no word or too many.
        """
        prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        overlap = round(overlap_seconds * FRAME_RATE)
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size}")
        if not 0 < overlap <= self.window // 2:
            raise InputError(f"overlap must be above 0 and at most half a window, got {overlap_seconds} s")
        texts = [self.encoders.text(prompt) for prompt in prompts]
        negative = None if negative_prompt is None else self.encoders.text(negative_prompt)
        picture, frames, starts, features = self._see(video, overlap, video_track)
        wanted = [(prompt, text, seed) for prompt, text in zip(prompts, texts, strict=True) for seed in seeds]
        requests = [
            Request(text, seen, seed_for(seed, prompt, number), negative)
            for prompt, text, seed in wanted
            for number, seen in enumerate(features)
        ]
        batches = batches_of_shard(requests, batch_size, 0, 1)
        pieces = [
            piece for batch in progress(batches, "generate", len(batches)) for piece in self.generator.pieces(batch)
        ]
        rate, windows = self.generator.sample_rate, len(starts)
        return [
            Dub(prompt, seed, self._join(pieces[k * windows : (k + 1) * windows], starts, frames), rate, picture)
            for k, (prompt, _, seed) in enumerate(wanted)
        ]

    def _see(
        self, video: str | Path, overlap: int, track: int | None = None
    ) -> tuple[bytes, int, list[int], list[np.ndarray]]:
        """The normalised picture, its number of frames, first frames of its windows, and their features."""
        settings = NormaliseSettings(minimum_seconds=0.2, short_side=720, video_track=track)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "picture.mp4"
            facts = normalise_clip(
                video, start=0.0, duration=None, settings=settings, video_output=path, sound_output=None
            )
            frames = frame_count(facts["seconds"])
            starts = window_starts(frames, self.window, overlap)
            if self._official and len(starts) > 1:
                raise InputError(
                    f"the official preset makes {self.generator.seconds:g} s at most, the video has "
                    f"{frames / FRAME_RATE:.2f} s: use ours, or a part of the video"
                )
            windows = (
                iter([[read_official_frames(video, frames=self.window, track=track)]])
                if self._official
                else frames_of_windows(path, starts, self.window, self.encoders.sizes)
            )
            features = [self.encoders.video(window, self.window) for window in progress(windows, "see", len(starts))]
            return path.read_bytes(), frames, starts, features

    def _join(self, sounds: Sequence[np.ndarray], starts: Sequence[int], frames: int) -> np.ndarray:
        rate = self.generator.sample_rate
        samples = [round(start * rate / FRAME_RATE) for start in starts]
        return self.generator.level(join_windows(sounds, samples, round(frames * rate / FRAME_RATE)))
