"""`cafa generate`: new sound for one video, as files."""

import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from cafa.generation.foley import FoleyPipeline
from cafa.generation.foley_files import ResultFiles
from cafa.generation.model_choice import default_models
from cafa.generation.systems import AdapterSystem, Sampling


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
        16 bits.
    overlap
        Seconds that windows of a long video share.
    batch_size
        Windows that are sampled together.
    video_track
        Picture track to take, from 1; None: the one that players take.
    backbone, adapter
        Names of the model folders.
    device
        Torch device.
    """

    negative_prompt: str | None = None
    gamma: float = 0.5
    guidance_scale: float | None = None
    sampler: str | None = None
    encode: bool = False
    steps: int | None = None
    preset: Literal["ours", "official"] = "ours"
    half: bool = False
    overlap: float = 0.4
    batch_size: int = 1
    video_track: int | None = None
    backbone: str = "backbone"
    adapter: str = "adapter"
    device: str = "cpu"

    def in_name(self) -> dict[str, Any]:
        """What takes part in the name of a result: all options, so that a new one cannot be forgotten.

        Without a sampler, and with a copied picture, the name is that of before there was a choice.
        """
        options = asdict(self)
        if self.sampler is None:
            del options["sampler"]
        if not self.encode:
            del options["encode"]
        return options

    def system(self) -> AdapterSystem:
        """Settings of the system that makes the sound."""
        sampling = Sampling(
            preset=self.preset,
            sampler=self.sampler,
            steps=self.steps,
            guidance_scale=self.guidance_scale,
            half=self.half,
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
        Any length of at least 0.2 s.
    prompts
        What it should sound like.
    seeds
        One result each.
    models
        Folder of model folders.
    output_folder
        Where the files go.
    options
        How they are made.
    """

    video: Path
    prompts: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    models: Path | None = None
    output_folder: Path = Path()
    options: GenerateOptions = field(default_factory=GenerateOptions)


def generate_files(request: GenerateRequest, say: Callable[[str], None] = print) -> list[Path]:
    """Make new sound for a video; write a .wav, and the video with the new sound, for each prompt and seed.

    Parameters
    ----------
    request : GenerateRequest
    say : callable
        Gets lines for a person: each file as it is written, and what of the video is damaged.

    Returns
    -------
    list of Path
        The videos with new sound, ordered by prompt, then seed.

    Raises
    ------
    ClipError
        If the video cannot be used.
    InputError
        If a prompt has no word or too many, or a file is that of another request.
    WeightsError
        If the models are not there; says how to get them.
    """
    options = request.options
    pipeline = FoleyPipeline(
        request.models or default_models(options.backbone, options.adapter, say), options.system(), options.device
    )
    settings = {"options": options.in_name(), "models": pipeline.identity}
    files = ResultFiles(request.output_folder, request.video, settings)
    for prompt, seed in itertools.product(request.prompts, request.seeds):
        files.check(prompt, seed)
    results = pipeline.generate(
        request.video,
        request.prompts,
        seeds=request.seeds,
        negative_prompt=options.negative_prompt,
        overlap_seconds=options.overlap,
        batch_size=options.batch_size,
        video_track=options.video_track,
    )
    if results and results[0].damage:
        say(f"note: {request.video.name} is damaged: {results[0].damage}")
    written = []
    for result in results:
        written.append(files.save(result, video_track=options.video_track, encode=options.encode))
        say(str(written[-1]))
    return written
