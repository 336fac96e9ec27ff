"""The sounds of a job, by a pipeline that was loaded once."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cafa.common.files import atomic_write
from cafa.generation.foley import FoleyPipeline, FoleyResult
from cafa.generation.generate_files import GenerateOptions
from cafa.generation.interface import Request
from cafa.generation.model_choice import default_models
from cafa.generation.overlapping_windows import window_starts
from cafa.media import FRAME_RATE, frame_count
from cafa.media.new_sound import suffix_for, write_with_new_sound
from cafa.models.folders import CARD
from cafa.service.engine import Report
from cafa.service.jobs import Job, Take
from cafa.service.models_in_use import InUse, models_in_use
from cafa.service.strengths import with_strengths
from cafa.service.timeline import strip, timeline_svg
from cafa.service.videos import Video

#: Share of a job that is over once the video is encoded, and once the sounds are there.
ENCODED, SAMPLED = 0.1, 0.9


class FoleyMaker:
    """Makes sounds with the models of a folder (:class:`cafa.service.engine.Maker`).

    Parameters
    ----------
    models : path, optional
        Folder of model folders; None: those that `cafa generate` takes.
    options : GenerateOptions
        Names of the folders, device, steps; a job's own strengths take the place of those here.
    say : callable
        Gets lines for a person.

    Raises
    ------
    WeightsError
        If the models are not there; says how to get them.
    """

    def __init__(
        self, models: Path | None, options: GenerateOptions, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self.options = options
        self.models = models or default_models(options.backbone, options.adapter, say)
        self.pipeline = FoleyPipeline(self.models, options.system(), options.device)

    def in_use(self) -> InUse:
        """See :class:`cafa.service.engine.Maker`."""
        generator: Any = self.pipeline.generator
        roles = [self.options.backbone, self.options.adapter, *generator.video_kinds]
        if (self.models / "autoencoder" / CARD).is_file():
            roles.append("autoencoder")
        return models_in_use(self.models, roles, generator.how.guidance_scale)

    def make(self, job: Job, video: Video, file: Path, folder: Path, report: Report) -> list[Take]:
        """See :class:`cafa.service.engine.Maker`."""
        asked = job.request
        pipeline = with_strengths(self.pipeline, asked.gamma, asked.guidance_scale)
        windows = len(window_starts(frame_count(video.seconds), pipeline.window, round(0.4 * FRAME_RATE)))
        _watch(pipeline, windows, asked.takes, report)
        report(0.0, "reading the video")
        results = pipeline.generate(
            file,
            asked.prompt,
            seeds=[(asked.seed + number) % 2**31 for number in range(asked.takes)],
            negative_prompt=asked.negative_prompt,
            overlap_seconds=0.4,
        )
        job.note = results[0].damage
        suffix = None if job.note else suffix_for(file)
        takes = []
        for number, result in enumerate(results):
            report(SAMPLED + (1 - SAMPLED) * number / len(results), f"writing take {number + 1} of {len(results)}")
            takes.append(_write(result, file, suffix, folder, number))
        return takes


def _write(result: FoleyResult, video: Path, suffix: str | None, folder: Path, number: int) -> Take:
    """Write the files of a take."""
    files = {
        "wav": f"{number}.wav",
        "flac": f"{number}.flac",
        "video": f"{number}.video{suffix or '.mp4'}",
        "preview": f"{number}.preview.mp4",
        "timeline": f"{number}.timeline.svg",
    }
    paths = {kind: folder / name for kind, name in files.items()}
    result.save_sound(paths["wav"])
    result.save_sound(paths["flac"])
    result.save_video(paths["preview"])
    if suffix is None:
        result.save_video(paths["video"])
    else:
        write_with_new_sound(video, result.waveform, result.sample_rate, paths["video"])
    seconds = result.waveform.shape[-1] / result.sample_rate
    picture = timeline_svg(
        result.waveform, seconds, strip(paths["preview"], seconds), f"waveform of {seconds:.2f} s below the pictures"
    )
    with atomic_write(paths["timeline"]) as temporary:
        temporary.write_text(picture)
    return Take(seed=result.seed, seconds=seconds, sample_rate=result.sample_rate, files=files)


def _watch(pipeline: FoleyPipeline, windows: int, takes: int, report: Report) -> None:
    """Have a pipeline of one job report each window."""
    pipeline.encoders = copy.copy(pipeline.encoders)
    encode, pieces, total = pipeline.encoders.video, pipeline.generator.pieces, windows * takes
    done = {"encoded": 0, "made": 0}

    def video(frames: Sequence[np.ndarray], window: int) -> np.ndarray:
        report(ENCODED * done["encoded"] / windows, f"looking at the video, part {done['encoded'] + 1} of {windows}")
        done["encoded"] += 1
        return encode(frames, window)

    def made(requests: Sequence[Request]) -> list[np.ndarray]:
        share = ENCODED + (SAMPLED - ENCODED) * done["made"] / total
        report(share, f"making sound, part {done['made'] + 1} of {total}")
        done["made"] += len(requests)
        return pieces(requests)

    watched: dict[str, Any] = {"video": video}
    vars(pipeline.encoders).update(watched)
    vars(pipeline.generator).update({"pieces": made})
