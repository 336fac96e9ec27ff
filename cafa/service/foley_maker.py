"""The sounds of a job, by a pipeline that was loaded once."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cafa.common.files import atomic_write
from cafa.common.judged_takes import TakeJudges
from cafa.generation.finish import Finish, Finished, finish_sound
from cafa.generation.foley import FoleyPipeline, FoleyResult
from cafa.generation.generate_options import GenerateOptions
from cafa.generation.model_choice import default_models
from cafa.generation.new_video import NewVideo
from cafa.generation.steps import Step, watched
from cafa.generation.takes import choose_takes
from cafa.media.parts import Part, find_part
from cafa.media.sound import write_sound
from cafa.models.folders import CARD
from cafa.service.apart import Apart
from cafa.service.engine import Report
from cafa.service.jobs import Job, JobRequest, Take
from cafa.service.models_in_use import InUse, models_in_use
from cafa.service.strengths import with_strengths
from cafa.service.timeline import strip, timeline_svg
from cafa.service.videos import Video

#: Step of the pipeline -> share of a job that is over when it begins and when it ends, and what is said.
STEPS = {
    "read video": (0.0, 0.05, "reading the video"),
    "encode video": (0.05, 0.15, "looking at the video"),
    "generate": (0.15, 0.85, "making sound"),
}
JUDGED = 0.9


class FoleyMaker:
    """Makes sounds with the models of a folder (:class:`cafa.service.engine.Maker`).

    Parameters
    ----------
    models : path, optional
        Folder of model folders; None: those that `cafa generate` takes.
    options : GenerateOptions
        Names of the folders, device, steps, loudness; a job's own strengths and mix take the place of those here.
    say : callable
        Gets lines for a person.
    judges : callable, optional
        Who puts takes into an order; None: they stay in that of their seeds.
    reading_seconds : float
        After which the reading or writing of a video is given up.

    Raises
    ------
    WeightsError
        If the models are not there; says how to get them.
    """

    def __init__(
        self,
        models: Path | None,
        options: GenerateOptions,
        say: Callable[[str], None] = lambda line: None,
        judges: TakeJudges | None = None,
        reading_seconds: float = 600.0,
    ) -> None:
        self.options, self.judges, self._say = options.decided(), judges, say
        self.reading_seconds = reading_seconds
        self.models = models or default_models(options.backbone, options.adapter, say)
        self.pipeline = FoleyPipeline(self.models, self.options.system(), options.device)

    def in_use(self) -> InUse:
        """See :class:`cafa.service.engine.Maker`."""
        generator: Any = self.pipeline.generator
        roles = [self.options.backbone, self.options.adapter, *generator.video_kinds]
        if (self.models / "autoencoder" / CARD).is_file():
            roles.append("autoencoder")
        return models_in_use(self.models, roles, generator.how.guidance_scale)

    def unread(self, request: JobRequest) -> str:
        """See :class:`cafa.service.engine.Maker`."""
        asked = {"": request.prompt, "what it should not sound like: ": request.negative_prompt or ""}
        found = {what: self.pipeline.unread(text) for what, text in asked.items() if text}
        return "; ".join(f"{what}{unread}" for what, unread in found.items() if unread)

    def make(self, job: Job, video: Video, file: Path, folder: Path, report: Report) -> list[Take]:
        """See :class:`cafa.service.engine.Maker`."""
        asked, told = job.request, _Told(report)
        work = Apart(self.reading_seconds, told.again)
        pipeline = with_strengths(self.pipeline, asked.gamma, asked.guidance_scale)
        pipeline.work = work
        part: Part | None = work(find_part, file, asked.start, asked.end)
        with watched(told.again):
            results = pipeline.generate(
                file,
                asked.prompt,
                seeds=[(asked.seed + number) % 2**31 for number in range(asked.takes)],
                negative_prompt=asked.negative_prompt,
                overlap_seconds=self.options.overlap,
                start=0.0 if part is None else part.start,
                end=None if part is None or asked.end is None else part.end,
                on_progress=told,
            )
        finish = replace(self.options.finish, mix=asked.mix)
        sounds = {result.seed: finish_sound(result, file, finish, work) for result in results}
        notes = [
            job.note,
            results[0].damage,
            part.note if part else "",
            *(note for sound in sounds.values() for note in sound.notes),
        ]
        job.note = "; ".join(dict.fromkeys(note.replace(file.name, "the video") for note in notes if note))
        compared = self.judges is not None and len(results) > 1
        report(STEPS["generate"][1], "comparing takes" if compared else "writing")
        judged = sounds
        if compared and asked.mix is not None:  # the old sound is not what is judged
            alone = replace(finish, mix=None)
            judged = {result.seed: finish_sound(result, file, alone, work) for result in results}
        order, scores = self._ordered(asked.prompt, results[0].video, judged)
        by_seed, takes = {result.seed: result for result in results}, []
        with NewVideo(file, part, work=work) as new_video:
            for number, seed in enumerate(order):
                report(JUDGED + (1 - JUDGED) * number / len(order), f"writing take {number + 1} of {len(order)}")
                written = _write(by_seed[seed], sounds[seed], new_video, finish, folder, number)
                takes.append(written.model_copy(update={"scores": scores.get(seed, {})}))
        return takes

    def _ordered(
        self, prompt: str, picture: bytes, sounds: dict[int, Finished]
    ) -> tuple[tuple[int, ...], dict[int, dict[str, float]]]:
        """Seeds, best first, and scores, where there are judges and something to judge.

        They look at the normalised picture, which was written here: what a visitor sent is read apart.
        """
        if self.judges is None or len(sounds) == 1:
            return tuple(sounds), {}
        with TemporaryDirectory() as held:
            file = Path(held) / "picture.mp4"
            file.write_bytes(picture)
            chosen = choose_takes(
                {seed: (sound.waveform, sound.sample_rate) for seed, sound in sounds.items()},
                len(sounds),
                self.judges,
                file,
                prompt,
                miniature=self.in_use().miniature,
                say=self._say,
            )
        return chosen.seeds, {seed: dict(values) for seed, values in chosen.scores.items()}


class _Told:
    """Reports the steps of the pipeline, and how long the windows that are left will take."""

    def __init__(self, report: Report) -> None:
        self._report, self._begun = report, time.monotonic()
        self._last: tuple[float, str, float | None] = (0.0, "reading the video", None)

    def __call__(self, step: Step) -> None:
        begin, end, text = STEPS[step.name]
        if step.done == 0:
            self._begun = time.monotonic()
        left = None
        if step.name == "generate" and step.done:
            left = (time.monotonic() - self._begun) / step.done * (step.total - step.done)
        part = f", window {min(step.done + 1, step.total)} of {step.total}" if step.total > 1 else ""
        self._last = (begin + (end - begin) * step.done / step.total, text + part, left)
        self.again()

    def again(self) -> None:
        """Report the same once more: ends the job here where it is wanted no more."""
        self._report(*self._last)


def _write(
    result: FoleyResult, sound: Finished, new_video: NewVideo, finish: Finish, folder: Path, number: int
) -> Take:
    """Write the files of a take."""
    names = {"wav": f"{number}.wav", "flac": f"{number}.flac", "preview": f"{number}.preview.mp4"}
    for kind in ("wav", "flac"):
        write_sound(folder / names[kind], sound.waveform, sound.sample_rate)
    result.save_picture_with(folder / names["preview"], sound.waveform, sound.sample_rate)
    path, _ = new_video.write(result, sound, finish, folder / f"{number}.video")
    seconds = sound.waveform.shape[-1] / sound.sample_rate
    pictures = strip(folder / names["preview"], seconds)
    names |= {"video": path.name, "timeline": f"{number}.timeline.svg"}
    with atomic_write(folder / names["timeline"]) as temporary:
        temporary.write_text(
            timeline_svg(sound.waveform, seconds, pictures, f"waveform of {seconds:.2f} s below the pictures")
        )
    return Take(seed=result.seed, seconds=seconds, sample_rate=sound.sample_rate, files=names)
