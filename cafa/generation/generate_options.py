"""What `cafa generate` is asked for."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from cafa.common.errors import InputError
from cafa.generation.finish import Finish
from cafa.generation.systems import AdapterSystem, Sampling

Written = Literal["wav", "flac", "video"]
WRITTEN: tuple[Written, ...] = ("wav", "flac", "video")
#: Of what is written under one name, when its bytes change for the same request: 2: copied picture, loudness; 3: levels
#: after the codec.
FORM = 3
#: windows that a GPU samples together unless it is said
ON_GPU = 8


@dataclass(frozen=True)
class GenerateOptions:
    """How new sound is made: everything that takes part in the name of a result.

    Attributes
    ----------
    negative_prompt
        What it should not sound like.
    gamma
        Strength of the video: the lower, the stronger; 1 = plain guidance.
    guidance_scale
        Strength of the text; None: the backbone's own.
    encode
        Encode the normalised picture, instead of copying the video's.
    sampler
        Name of an entry of :data:`cafa.diffusion.samplers.SAMPLERS`; None: the backbone's own.
    steps
        Sampling steps; None: the backbone's own.
    preset
        See :class:`~cafa.generation.systems.Sampling`.
    half
        16 bits; None: on a GPU of CUDA, where it is faster and what the published code does, and nowhere else.
    overlap
        Seconds that windows of a long video share.
    batch_size
        Windows that are sampled together; None: 8 on a GPU of CUDA, or as many as its memory holds, and one elsewhere.
    video_track
        Picture track to take, from 1; None: the one that players take.
    backbone, adapter
        Names of the model folders.
    device
        Torch device.
    finish
        Rate, level and mix of the sound, and which track it becomes.
    """

    negative_prompt: str | None = None
    gamma: float = 0.5
    guidance_scale: float | None = None
    sampler: str | None = None
    encode: bool = False
    steps: int | None = None
    preset: Literal["ours", "official"] = "ours"
    half: bool | None = None
    overlap: float = 0.4
    batch_size: int | None = None
    video_track: int | None = None
    backbone: str = "backbone"
    adapter: str = "adapter"
    device: str = "cpu"
    finish: Finish = field(default_factory=Finish)

    def decided(self) -> "GenerateOptions":
        """The same, with what the device and the preset decide where nothing was asked for."""
        on_gpu = self.device.startswith("cuda")
        half = on_gpu if self.half is None else self.half
        together = self.batch_size or (ON_GPU if on_gpu else 1)
        return replace(self, half=half, batch_size=together, finish=self.finish.of_preset(self.preset))

    def in_name(self) -> dict[str, Any]:
        """What takes part in the name of a result: all options, so that a new one cannot be forgotten."""
        return asdict(self) | {"form": FORM}

    def system(self) -> AdapterSystem:
        """Settings of the system that makes the sound."""
        sampling = Sampling(
            preset=self.preset,
            sampler=self.sampler,
            steps=self.steps,
            guidance_scale=self.guidance_scale,
            half=bool(self.half),
        )
        return AdapterSystem(
            sampling=sampling, asymmetric_scale=self.gamma, backbone=self.backbone, adapter=self.adapter
        )


@dataclass(frozen=True)
class GenerateRequest:
    """New sounds that are asked for: one for each prompt and seed.

    Attributes
    ----------
    video
        Any length of at least 0.2 s; or a folder of videos, or a table (.csv, .tsv, .parquet) with the columns
        ``video``, ``prompt``, ``negative_prompt``, ``seed``, ``start`` and ``end``.
    prompts
        What it should sound like; of a table, for rows without a prompt.
    seeds
        One result each.
    models
        Folder of model folders.
    output_folder
        Where the files go.
    options
        How they are made.
    start, end
        Part of the video, in seconds; `end` None: to its end.
    takes, keep
        How many sounds are tried for each prompt, with the seeds from the one that is given on, and how many of them
        are written.
    write
        What is written: ``wav``, ``flac``, ``video``.
    """

    video: Path
    prompts: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    models: Path | None = None
    output_folder: Path = Path()
    options: GenerateOptions = field(default_factory=GenerateOptions)
    start: float = 0.0
    end: float | None = None
    takes: int = 1
    keep: int = 1
    write: tuple[Written, ...] = ("wav", "video")

    def __post_init__(self) -> None:
        if not 1 <= self.keep <= self.takes:
            raise InputError(f"of {self.takes} takes {self.keep} cannot be kept")
        if self.takes > 1 and len(self.seeds) > 1:
            raise InputError("several takes have the seeds from one on: give one seed, or no takes")
        if unknown := sorted(set(self.write) - set(WRITTEN)):
            raise InputError(f"what is written is some of {', '.join(WRITTEN)}, got {', '.join(unknown)}")
        if not self.write:
            raise InputError(f"nothing would be written: name some of {', '.join(WRITTEN)}")
