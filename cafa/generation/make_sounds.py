"""The sounds of one video, from what is asked for to files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cafa.common.judged_takes import TakeJudges
from cafa.common.writing_errors import explained
from cafa.generation.estimate import Estimate
from cafa.generation.finish import finish_sound
from cafa.generation.foley import FoleyPipeline, FoleyResult
from cafa.generation.foley_files import ResultFiles
from cafa.generation.generate_options import GenerateRequest
from cafa.generation.miniature import Generator
from cafa.generation.new_video import NewVideo
from cafa.generation.steps import OnProgress
from cafa.generation.takes import Chosen, TakesRecord, choose_takes
from cafa.media.parts import Part, find_part

#: prompt and seed
Pair = tuple[str, int]


@dataclass(frozen=True)
class SoundMaker:
    """Makes the sounds of one video after the other, with one pipeline.

    Attributes
    ----------
    pipeline : FoleyPipeline
    say : callable
        Gets lines for a person.
    judges : callable, optional
        Of takes.
    on_progress : callable, optional
        See :meth:`FoleyPipeline.generate`.
    """

    pipeline: FoleyPipeline
    say: Callable[[str], None]
    judges: TakeJudges | None = None
    on_progress: OnProgress | None = None

    def make(self, request: GenerateRequest) -> list[Path]:
        """Make what is asked for of one video, but for what is there already; returns all files.

        Raises
        ------
        ClipError
            If the video cannot be used.
        InputError
            If a prompt has no word or too many, or a file is that of another request.
        """
        options = request.options
        part = {"start": request.start, "end": request.end}
        settings = {"options": options.in_name(), "models": self.pipeline.identity, "part": part}
        files = ResultFiles(request.output_folder, request.video, settings)
        record = TakesRecord(request.output_folder)
        missing = {
            prompt: seeds
            for prompt in dict.fromkeys(request.prompts)
            if (seeds := self._missing(request, files, record, prompt))
        }
        if missing:
            self._make(request, files, record, missing)
        written = []
        for prompt in dict.fromkeys(request.prompts):
            for seed in _kept(request, files, record, prompt):
                there = files.there(prompt, seed, request.write) or []
                for path in there:
                    self.say(str(path) if prompt in missing else f"{path} (there already)")
                written += there
        return written

    def _missing(
        self, request: GenerateRequest, files: ResultFiles, record: TakesRecord, prompt: str
    ) -> tuple[int, ...]:
        """Seeds that have to be made for a prompt."""
        if request.takes > 1:
            kept = record.kept(_asked(request, files, prompt))
            if kept is None:
                return _seeds(request)
            return tuple(seed for seed in kept if files.there(prompt, seed, request.write) is None)
        return tuple(seed for seed in _seeds(request) if files.there(prompt, seed, request.write) is None)

    def _make(
        self, request: GenerateRequest, files: ResultFiles, record: TakesRecord, missing: dict[str, tuple[int, ...]]
    ) -> None:
        options = request.options
        part = self._part(request)
        generator = self.pipeline.generator
        size = round(generator.seconds * generator.sample_rate) * 2 * 4
        for prompt in [*missing, *([options.negative_prompt] if options.negative_prompt else [])]:
            if unread := self.pipeline.unread(prompt):
                self.say(f"note: {unread}")
        told = Estimate(request.video.name, generator.seconds, size, self.say, self.on_progress)
        results = self.pipeline.generate_pairs(
            request.video,
            [(prompt, seed) for prompt, seeds in missing.items() for seed in seeds],
            negative_prompt=options.negative_prompt,
            overlap_seconds=options.overlap,
            batch_size=options.batch_size or 1,
            video_track=options.video_track,
            start=0.0 if part is None else part.start,
            end=None if part is None or request.end is None else part.end,
            on_progress=told,
        )
        if results and results[0].damage:
            self.say(f"note: {request.video.name} is damaged: {results[0].damage}")
        by_pair = {(result.prompt, result.seed): result for result in results}
        with NewVideo(request.video, part, options.video_track, options.encode) as new:
            self._write(request, files, record, missing, by_pair, new)

    def _write(
        self,
        request: GenerateRequest,
        files: ResultFiles,
        record: TakesRecord,
        missing: dict[str, tuple[int, ...]],
        by_pair: dict[Pair, FoleyResult],
        new: NewVideo,
    ) -> None:
        for prompt, seeds in missing.items():
            chosen = self._chosen(request, files, record, prompt, [by_pair[prompt, seed] for seed in seeds])
            for seed in seeds if chosen is None else chosen.seeds:
                facts: dict[str, Any] = {} if chosen is None else {"take": chosen.facts(seed, request.takes)}
                if new.part is not None:
                    facts["written_part"] = {"start": new.part.start, "end": new.part.end}
                self._save(request, files, new, by_pair[prompt, seed], facts)

    def _part(self, request: GenerateRequest) -> Part | None:
        """The part that is written, and said where it is another than was asked for."""
        options = request.options
        part = find_part(
            request.video, request.start, request.end, video_track=options.video_track, encode=options.encode
        )
        if part is not None and part.note:
            self.say(f"note: {request.video.name}: {part.note}")
        return part

    def _chosen(
        self,
        request: GenerateRequest,
        files: ResultFiles,
        record: TakesRecord,
        prompt: str,
        results: Sequence[FoleyResult],
    ) -> Chosen | None:
        """The takes that are kept; None where all that were made are wanted."""
        if request.takes == 1 or len(results) < request.takes:
            return None
        alone = replace(request.options.finish, mix=None)  # the old sound is not what is judged
        finished = {result.seed: finish_sound(result, request.video, alone) for result in results}
        sounds = {seed: (one.waveform, one.sample_rate) for seed, one in finished.items()}
        self.say(f"{len(results)} takes for {prompt!r}:")
        whole = request.start == 0 and request.options.video_track is None and not results[0].damage
        with TemporaryDirectory() as folder:
            picture = request.video
            if not whole:
                picture = Path(folder) / "picture.mp4"
                with explained(picture, len(results[0].video)):
                    picture.write_bytes(results[0].video)
            chosen = choose_takes(
                sounds,
                request.keep,
                self.judges,
                picture,
                prompt,
                miniature=isinstance(self.pipeline.generator, Generator),
                say=self.say,
            )
        record.add(_asked(request, files, prompt), chosen)
        return chosen

    def _save(
        self, request: GenerateRequest, files: ResultFiles, new: NewVideo, result: FoleyResult, facts: dict[str, Any]
    ) -> None:
        finish = request.options.finish
        finished = finish_sound(result, request.video, finish)
        for note in finished.notes:
            self.say(f"note: {note}")
        files.save(result, finished, new, finish, request.write, facts)


def _seeds(request: GenerateRequest) -> tuple[int, ...]:
    if request.takes > 1:
        return tuple(range(request.seeds[0], request.seeds[0] + request.takes))
    return tuple(dict.fromkeys(request.seeds))


def _asked(request: GenerateRequest, files: ResultFiles, prompt: str) -> dict[str, Any]:
    """What a choice among takes depends on, but for the judges."""
    return files.request(prompt, request.seeds[0]) | {"takes": request.takes, "keep": request.keep}


def _kept(request: GenerateRequest, files: ResultFiles, record: TakesRecord, prompt: str) -> tuple[int, ...]:
    if request.takes == 1:
        return _seeds(request)
    return record.last(_asked(request, files, prompt))
