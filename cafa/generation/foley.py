"""Sound for one video of any length: the library behind `cafa generate`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cafa.common.errors import InputError
from cafa.common.seeds import seed_for
from cafa.common.shards import batches_of_shard
from cafa.common.work import Work, here
from cafa.common.writing_errors import explained
from cafa.generation.foley_encoders import (
    Encoders,
    frames_of_windows,
    require_models,
)
from cafa.generation.interface import Request
from cafa.generation.model_choice import backbone_of, choose_models
from cafa.generation.opening import open_generator
from cafa.generation.overlapping_windows import join_windows, window_starts
from cafa.generation.prepared_video import AskedPart, PreparedVideo, damage_of
from cafa.generation.steps import OnProgress, counted
from cafa.generation.systems import AdapterSystem, Sampling
from cafa.media import FRAME_RATE, frame_count
from cafa.media.mux import put_sound_under_video
from cafa.media.normalise import NormaliseSettings, normalise_clip
from cafa.media.official_frames import SIZE, read_official_frames
from cafa.media.sound import write_sound

#: Words before the place where a prompt is cut that are said.
LAST_WORDS = 4


@dataclass(frozen=True, eq=False)
class FoleyResult:
    """A new sound of a video.

    Attributes
    ----------
    prompt : str
    seed : int
    waveform : ndarray, float32 (samples,) or (channels, samples)
        As long as the video; full scale is 1.
    sample_rate : int
        Samples per second.
    video : bytes
        The normalised picture (mp4, 25 frames per second).
    damage : str
        How much of the video could not be decoded, and what is there instead; empty if nothing is damaged.
    start : float
        Second of the video that the sound begins with.
    """

    prompt: str
    seed: int
    waveform: np.ndarray
    sample_rate: int
    video: bytes
    damage: str = ""
    start: float = 0.0

    def save(self, path: str | Path) -> Path:
        """Write the video with the new sound (``.mp4``), or the sound alone (``.wav`` or ``.flac``).

        Parameters
        ----------
        path : path
            Its suffix says which.

        Returns
        -------
        Path
            What was written.

        Raises
        ------
        InputError
            If the suffix is another.
        WriteError
            If the disk is full or the place takes no files.
        """
        path = Path(path)
        kind = path.suffix.lower()
        if kind == ".mp4":
            self.save_video(path)
        elif kind in (".wav", ".flac"):
            self.save_sound(path)
        else:
            raise InputError(
                f"{path}: a result is written as .mp4 (the video with the new sound), .wav or .flac (the sound), "
                f"not as {path.suffix or 'a file without suffix'}"
            )
        return path

    def save_sound(self, path: str | Path) -> None:
        """Write the sound (.wav or .flac)."""
        write_sound(path, self.waveform, self.sample_rate)

    def save_video(self, path: str | Path) -> None:
        """Write the video with the new sound (.mp4)."""
        self.save_picture_with(path, self.waveform, self.sample_rate)

    def save_picture_with(self, path: str | Path, waveform: np.ndarray, sample_rate: int) -> None:
        """Write the normalised picture (.mp4) with a sound of its length, such as a finished one."""
        with TemporaryDirectory() as folder:
            picture = Path(folder) / "picture.mp4"
            with explained(picture, len(self.video)):
                picture.write_bytes(self.video)
            put_sound_under_video(picture, waveform, sample_rate, path)


class FoleyPipeline:
    """A backbone with its adapter and encoders, loaded once: new sound for any number of videos.

    :meth:`from_pretrained` is the short way to one.

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

    Attributes
    ----------
    work : callable
        Runs what reads videos (:data:`cafa.common.work.Work`).

    Examples
    --------
    >>> from cafa.generation.foley import FoleyPipeline
    >>> pipeline = FoleyPipeline.from_pretrained("models")
    >>> results = pipeline.generate("video.mp4", ["a dog barks", "music"])
    >>> [(result.prompt, result.seed) for result in results]
    [('a dog barks', 0), ('music', 0)]
    >>> results[0].save("new_sound.mp4")
    PosixPath('new_sound.mp4')
    """

    def __init__(
        self, models: str | Path = "results/models", system: AdapterSystem | None = None, device: str = "cpu"
    ) -> None:
        models, system = Path(models), system or AdapterSystem()
        require_models(models, [system.backbone, system.adapter, "av_clip"])
        self.generator = open_generator(system, models, device)
        self._official = system.sampling.preset == "official"
        self.encoders = Encoders(models, self.generator, device)
        if self._official and self.encoders.sizes != (SIZE,):
            raise InputError("the official preset is that of an adapter of AV-CLIP alone, as the published one is")
        self.window = round(self.generator.seconds * FRAME_RATE)
        self.work: Work = here

    @classmethod
    def from_pretrained(
        cls,
        folder_or_name: str | Path,
        *,
        device: str = "cpu",
        adapter: str | None = None,
        backbone: str | None = None,
        models: str | Path = "results/models",
        sampling: Sampling | None = None,
        asymmetric_scale: float = 0.5,
    ) -> "FoleyPipeline":
        """Load the models of a folder, or an adapter by its name.

        Parameters
        ----------
        folder_or_name : path
            A folder of model folders, as `cafa generate --models` takes it; or the name of an adapter below `models`,
            whose backbone is then found by its card.
        device : str
            Torch device.
        adapter, backbone : str, optional
            Names of the folders of adapter and backbone; by default those called ``adapter`` and ``backbone`` or, of an
            adapter that is named, the one that it belongs to.
        models : path
            Folder of model folders, where a name is given.
        sampling : Sampling, optional
            Steps, guidance and preset; by default the backbone's own.
        asymmetric_scale : float
            Strength of the video (gamma): the lower, the stronger; 1 = plain guidance.

        Raises
        ------
        WeightsError
            If there is no such folder and no such model; lists the adapters that there are.
        InputError
            If the models do not belong together.

        Examples
        --------
        >>> FoleyPipeline.from_pretrained("adapter_c", models="models").generator.video_kinds
        ('av_clip', 'clip')
        """
        folder, name = choose_models(folder_or_name, Path(models))
        adapter = adapter or name or "adapter"
        backbone = backbone or (backbone_of(folder, adapter) if name else "backbone")
        system = AdapterSystem(
            sampling=sampling or Sampling(), asymmetric_scale=asymmetric_scale, adapter=adapter, backbone=backbone
        )
        return cls(folder, system, device)

    @property
    def identity(self) -> dict[str, Any]:
        """What sounds depend on beside video, prompt and seed: models, encoders and sampling, as JSON has it."""
        frames = {"frames": "official"} if self._official else {}
        return {"generator": self.generator.identity, "encoders": self.generator.inputs, **frames}

    def unread(self, prompt: str) -> str:
        """What of a prompt the model does not read, in words; empty where it reads all.

        Raises
        ------
        InputError
            If the prompt has no word, or too many for a model that refuses these.
        """
        read = self.generator.part_read(prompt)
        rest = prompt[len(read) :].split()
        if not rest:
            return ""
        last = " ".join(read.split()[-LAST_WORDS:])
        return f"the prompt is cut after {last!r}: the model does not read the rest ({len(rest)} words)"

    def generate(
        self,
        video: str | Path,
        prompts: str | Sequence[str],
        *,
        seeds: Sequence[int] = (0,),
        negative_prompt: str | None = None,
        overlap_seconds: float = 0.4,
        batch_size: int = 1,
        video_track: int | None = None,
        start: float = 0.0,
        end: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[FoleyResult]:
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
            Windows, of any prompt and seed, that are sampled together: more is faster on a GPU. Those that memory does
            not hold are made in halves. The sound is the same to rounding.
        start, end : float
            Part of the video that gets a sound, in seconds; `end` None: to its end.
        on_progress : callable, optional
            Told of each :class:`~cafa.generation.steps.Step`, in this thread; what it raises, such as
            :class:`~cafa.generation.steps.Cancelled`, ends the call.

        Returns
        -------
        list of FoleyResult
            Ordered by prompt, then seed.

        Raises
        ------
        ClipError
            If the video cannot be used.
        InputError
            If a prompt has no word or too many.
        """
        prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        return self.generate_pairs(
            video,
            [(prompt, seed) for prompt in prompts for seed in seeds],
            negative_prompt=negative_prompt,
            overlap_seconds=overlap_seconds,
            batch_size=batch_size,
            video_track=video_track,
            start=start,
            end=end,
            on_progress=on_progress,
        )

    def generate_pairs(
        self,
        video: str | Path,
        pairs: Sequence[tuple[str, int]],
        *,
        negative_prompt: str | None = None,
        overlap_seconds: float = 0.4,
        batch_size: int = 1,
        video_track: int | None = None,
        start: float = 0.0,
        end: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[FoleyResult]:
        """As :meth:`generate`, for these pairs of prompt and seed and in their order."""
        overlap = round(overlap_seconds * FRAME_RATE)
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size}")
        if not 0 < overlap <= self.window // 2:
            raise InputError(f"overlap must be above 0 and at most half a window, got {overlap_seconds} s")
        texts = {prompt: self.encoders.text(prompt) for prompt, _ in pairs}
        negative = None if negative_prompt is None else self.encoders.text(negative_prompt)
        asked = AskedPart(video, start, end, video_track, self._official)
        prepared = self._prepare(asked, overlap, on_progress)
        requests = [
            Request(texts[prompt], features, seed_for(seed, prompt, number), negative)
            for prompt, seed in pairs
            for number, features in enumerate(prepared.features)
        ]
        batches = batches_of_shard(requests, batch_size, 0, 1)
        sounds = [
            sound
            for batch in counted(batches, "generate", len(batches), on_progress)
            for sound in self.generator.pieces(batch)
        ]
        count = len(prepared.starts)
        return [
            FoleyResult(
                prompt,
                seed,
                self._join(sounds[k * count : (k + 1) * count], prepared),
                self.generator.sample_rate,
                prepared.picture,
                prepared.damage,
                start,
            )
            for k, (prompt, seed) in enumerate(pairs)
        ]

    def _prepare(self, asked: AskedPart, overlap: int, told: OnProgress | None) -> PreparedVideo:
        """Normalise a video, and encode its windows."""
        settings = NormaliseSettings(minimum_seconds=0.2, short_side=720, video_track=asked.track)
        seconds = asked.seconds
        with TemporaryDirectory() as folder:
            path = Path(folder) / "picture.mp4"
            for video in counted([asked.video], "read video", 1, told):
                facts = self.work(
                    normalise_clip,
                    video,
                    start=asked.start,
                    duration=seconds,
                    settings=settings,
                    video_output=path,
                    sound_output=None,
                )
            frames = frame_count(facts["seconds"])
            starts = window_starts(frames, self.window, overlap)
            if asked.official and len(starts) > 1:
                raise InputError(
                    f"the official preset makes {self.generator.seconds:g} s at most, the video has "
                    f"{frames / FRAME_RATE:.2f} s: use ours, or a part of the video"
                )
            windows = (
                iter([[read_official_frames(asked.video, frames=self.window, track=asked.track)]])
                if asked.official
                else frames_of_windows(path, starts, self.window, self.encoders.sizes)
            )
            features = [
                self.encoders.video(window, self.window)
                for window in counted(windows, "encode video", len(starts), told)
            ]
            return PreparedVideo(path.read_bytes(), frames, starts, features, damage_of(facts))

    def _join(self, sounds: Sequence[np.ndarray], prepared: PreparedVideo) -> np.ndarray:
        rate = self.generator.sample_rate
        samples = [round(start * rate / FRAME_RATE) for start in prepared.starts]
        length = round(prepared.frames * rate / FRAME_RATE)
        return self.generator.level(join_windows(sounds, samples, length))
