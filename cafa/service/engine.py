"""One queue before one worker: jobs are made one after the other, by models that were loaded once."""

import shutil
import threading
import time
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from cafa.common.errors import CafaError, ClipError, InputError
from cafa.common.files import read_json
from cafa.common.folder_lock import only_writer_in
from cafa.service.errors import NotReadyError, QueueFullError, RefusedError, UnknownError
from cafa.service.jobs import ENDED, RECORD, Job, JobRequest, JobState, Take
from cafa.service.limits import Limits
from cafa.service.looking import plain_fault
from cafa.service.models_in_use import InUse
from cafa.service.videos import ID, Video, VideoStore, new_id
from cafa.service.wanted_part import check_part

#: Seconds between two looks for what is too old.
CLEANING = 60.0
#: Seconds that the job which runs gets to end.
PATIENCE = 20.0
ENDED_BY_SERVER = "the service was stopped before this was done: ask again"


class CancelledError(Exception):
    """The visitor does not want the job any more."""


class Report(Protocol):
    """Takes note of how far a job has come."""

    def __call__(self, share: float, step: str, left: float | None = None) -> None:
        """Note the share that is done, what is done now, and about how many seconds are left.

        Raises
        ------
        CancelledError
            Where the job is to end.
        """
        ...


class Maker(Protocol):
    """What makes the sounds of a job."""

    def make(self, job: Job, video: Video, file: Path, folder: Path, report: Report) -> list[Take]:
        """Write the files of every take into a folder; adds to the job's `note` where the video is damaged."""
        ...

    def unread(self, request: JobRequest) -> str:
        """What of its prompts the model would not read, in words; empty where it reads all.

        Raises
        ------
        InputError
            If it refuses a prompt.
        """
        ...

    def in_use(self) -> InUse:
        """Models, their licences, and what they know."""
        ...


class Engine:
    """The queue, the worker and the files of a service.

    Parameters
    ----------
    maker : Maker
    folder : path
        Uploads and results; those of a service that ended before are known again. One service at a time.
    limits : Limits

    Raises
    ------
    FolderInUseError
        If another service uses the folder.
    """

    def __init__(self, maker: Maker, folder: str | Path, limits: Limits | None = None) -> None:
        self.maker, self.limits, self.folder = maker, limits or Limits(), Path(folder)
        self._closing = ExitStack()
        self._closing.enter_context(only_writer_in(self.folder))
        self.videos = VideoStore(self.folder / "videos", self.limits)
        self._jobs_folder = self.folder / "jobs"
        self._jobs_folder.mkdir(exist_ok=True)
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[str] = deque()
        self._unwanted: set[str] = set()
        self._changed = threading.Condition()
        self._ending = False
        self._remember()
        self._worker = threading.Thread(target=self._work, name="cafa-worker", daemon=True)
        self._worker.start()

    def _remember(self) -> None:
        """Jobs of a service that ended: what was whole is there still, what was not is said to have failed."""
        for folder in self._jobs_folder.iterdir():
            if ID.fullmatch(folder.name) is None:
                continue  # not ours
            try:
                job = Job.model_validate(read_json(folder / RECORD))
            except (OSError, ValueError):  # without a record, or with one of another version
                shutil.rmtree(folder)
                continue
            if job.state not in ENDED:
                self._end(job, JobState.FAILED, error=ENDED_BY_SERVER)
            self._tidy(job)
            self._jobs[job.id] = job

    def submit(self, request: JobRequest) -> Job:
        """Put a job at the end of the queue.

        Raises
        ------
        RefusedError
            If there is no such video or part of it, the model refuses a prompt, too much is wanted, or the queue or the
            folder is full.
        """
        check_part(self.videos.get(request.video), request, self.limits)
        self.videos.require_room(0)
        if request.takes > self.limits.most_takes:
            raise RefusedError(f"{request.takes} takes are wanted, at most {self.limits.most_takes} are made at once")
        try:
            unread = self.maker.unread(request)
        except InputError as error:
            raise RefusedError(str(error)) from error
        with self._changed:
            if len(self._waiting) >= self.limits.queue_length or self._ending:
                raise QueueFullError(f"{len(self._waiting)} jobs wait already: try again in a while")
            job = Job(id=new_id(), request=request, note=unread)
            job.write(self._jobs_folder / job.id)
            self._jobs[job.id] = job
            self._waiting.append(job.id)
            self._changed.notify_all()
            return self._seen(job)

    def job(self, name: str) -> Job:
        """A job as it is now.

        Raises
        ------
        UnknownError
            If there is none of this id.
        """
        with self._changed:
            return self._seen(self._known(name))

    def cancel(self, name: str) -> Job:
        """End a job that waits at once, and one that runs at its next step; one that ended stays as it is."""
        with self._changed:
            job = self._known(name)
            if job.state is JobState.QUEUED:
                self._waiting.remove(job.id)
                self._end(job, JobState.CANCELLED)
            elif job.state is JobState.RUNNING:
                self._unwanted.add(job.id)
            return self._seen(job)

    def file(self, name: str, take: int, kind: str) -> Path:
        """A file of a result.

        Parameters
        ----------
        name : str
            Id of the job.
        take : int
            From 0.
        kind : str
            A key of :attr:`cafa.service.jobs.Take.files`.

        Raises
        ------
        RefusedError
            If there is no such job, take or file, or not yet.
        """
        job = self.job(name)
        if job.state is not JobState.DONE:
            raise NotReadyError(f"the job is {job.state.value}: it has no files")
        if not 0 <= take < len(job.takes) or kind not in job.takes[take].files:
            raise UnknownError("there is no such file in this job")
        return self._jobs_folder / job.id / job.takes[take].files[kind]

    def folder_of(self, name: str) -> Path:
        """Folder with the files of a job."""
        return self._jobs_folder / self.job(name).id

    def load(self) -> tuple[int, bool]:
        """How many jobs wait, and whether one runs."""
        with self._changed:
            return len(self._waiting), any(job.state is JobState.RUNNING for job in self._jobs.values())

    def close(self) -> None:
        """End: the job that runs stops at its next step, those that wait have failed."""
        with self._changed:
            if self._ending:
                return
            self._ending = True
            self._changed.notify_all()
        self._worker.join(PATIENCE)
        with self._changed:
            for job in [job for job in self._jobs.values() if job.state is JobState.RUNNING]:
                self._end(job, JobState.FAILED, error=ENDED_BY_SERVER)  # what it wrote is removed at the next start
            while self._waiting:
                self._end(self._jobs[self._waiting.popleft()], JobState.FAILED, error=ENDED_BY_SERVER)
        self._closing.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def _known(self, name: str) -> Job:
        if ID.fullmatch(name) is None or name not in self._jobs:
            raise UnknownError("there is no such job: it never was, or was deleted since")
        return self._jobs[name]

    def _seen(self, job: Job) -> Job:
        running = any(other.state is JobState.RUNNING for other in self._jobs.values())
        if job.state is JobState.QUEUED:
            job.position = self._waiting.index(job.id) + running
        return job.model_copy(deep=True)

    def _end(self, job: Job, state: JobState, **more: Any) -> None:
        job.end(state, **more)
        job.write(self._jobs_folder / job.id)

    def _work(self) -> None:
        cleaned = 0.0
        while (job := self._next()) is not None or not self._ending:
            if job is not None:
                self._run(job)
            elif time.monotonic() - cleaned > CLEANING:
                cleaned = time.monotonic()
                self.clean()

    def _next(self) -> Job | None:
        """The job that is first in the queue, which now runs; None after a second without one, and at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ending, timeout=1.0)
            if self._ending or not self._waiting:
                return None
            job = self._jobs[self._waiting.popleft()]
            job.state, job.position, job.step = JobState.RUNNING, 0, "beginning"
            job.write(self._jobs_folder / job.id)
            return job

    def _run(self, job: Job) -> None:
        """Make a job's sounds; whatever goes wrong ends this job alone."""

        def report(share: float, step: str, left: float | None = None) -> None:
            with self._changed:
                if self._ending or job.id in self._unwanted:
                    raise CancelledError
                job.at(share, step, left)

        folder = self._jobs_folder / job.id
        try:
            video = self.videos.get(job.request.video)
            takes = self.maker.make(job, video, self.videos.path(video), folder, report)
            self._finish(job, JobState.DONE, takes=takes, progress=1.0)
        except CancelledError:
            if job.id in self._unwanted:
                self._finish(job, JobState.CANCELLED)
            else:
                self._finish(job, JobState.FAILED, error=ENDED_BY_SERVER)
        except ClipError as error:
            self._finish(job, JobState.FAILED, error=plain_fault(error))
        except CafaError as error:
            self._finish(job, JobState.FAILED, error=str(error))
        except Exception as error:
            # One visitor's job must not end the service; the fault is told here, where whoever runs it sees it.
            import traceback

            traceback.print_exc()
            self._finish(job, JobState.FAILED, error=f"a fault of the service ({type(error).__name__})")

    def _finish(self, job: Job, state: JobState, **more: Any) -> None:
        with self._changed:
            self._unwanted.discard(job.id)
            self._end(job, state, **more)
            self._tidy(job)

    def _tidy(self, job: Job) -> None:
        """Delete what is no result, so that nothing half stays, and count what is."""
        wanted = {RECORD, *_names(job)}
        for path in (self._jobs_folder / job.id).iterdir():
            if path.name not in wanted:
                path.unlink()
            elif path.name != RECORD:
                self.videos.result_bytes += path.stat().st_size

    def clean(self) -> None:
        """Delete uploads and results that are older than the limit."""
        oldest = time.time() - self.limits.keep_hours * 3600
        with self._changed:
            wanted = {job.request.video for job in self._jobs.values() if job.state not in ENDED}
            old = [job for job in self._jobs.values() if job.ended is not None and job.ended.timestamp() < oldest]
            for job in old:
                del self._jobs[job.id]
                self.videos.result_bytes -= sum(
                    (self._jobs_folder / job.id / name).stat().st_size for name in _names(job)
                )
                shutil.rmtree(self._jobs_folder / job.id)
            self.videos.clean(wanted)


def _names(job: Job) -> set[str]:
    """Names of a job's files."""
    return {name for take in job.takes for name in take.files.values()}
