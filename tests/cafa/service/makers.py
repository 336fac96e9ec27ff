"""Makers whose jobs take as long as a test wants."""

import threading
from pathlib import Path

from cafa.common.errors import InputError
from cafa.service.engine import Engine, Report
from cafa.service.jobs import ENDED, Job, JobRequest, Take
from cafa.service.models_in_use import InUse
from cafa.service.videos import Video

STEPS = 4
FILES = {kind: f"0.{kind}.mp4" for kind in ("video", "preview")} | {
    "wav": "0.wav",
    "flac": "0.flac",
    "timeline": "0.svg",
}


class SteppingMaker:
    """Writes small files in steps; each step waits until :meth:`let` allows it."""

    def __init__(self, free: bool = True) -> None:
        self._allowed = threading.Semaphore(10**6 if free else 0)
        self.made: list[str] = []

    def let(self, steps: int = 10**6) -> None:
        self._allowed.release(steps)

    def make(self, job: Job, video: Video, file: Path, folder: Path, report: Report) -> list[Take]:
        if job.request.prompt == "too many words":
            raise InputError("the prompt has too many words")
        if job.request.prompt == "a fault":
            raise ZeroDivisionError
        for step in range(STEPS):
            (folder / "half").write_bytes(b"half")
            while not self._allowed.acquire(timeout=0.01):
                report(step / STEPS, f"step {step}")
            report(step / STEPS, f"step {step}")
        (folder / "half").unlink()
        for name in FILES.values():
            (folder / name).write_bytes(b"<svg/>")
        self.made.append(job.request.prompt)
        # the best take need not be the first
        return [Take(seed=job.request.seed + 1, seconds=1.0, sample_rate=8000, files=FILES)]

    def unread(self, request: JobRequest) -> str:
        if request.prompt == "twenty words":
            raise InputError("a caption must have 1 to 16 words, got 20")
        return "the prompt is cut" if request.prompt.startswith("a long") else ""

    def in_use(self) -> InUse:
        return InUse(models=[], miniature=False, guidance_scale=3.0)


def until_ended(engine: Engine, name: str) -> list[Job]:
    """Everything that was seen of a job until it ended."""
    seen = [engine.job(name)]
    while seen[-1].state not in ENDED:
        threading.Event().wait(0.002)
        seen.append(engine.job(name))
    return seen


def until_running(engine: Engine, name: str) -> None:
    while engine.job(name).state == "queued":
        threading.Event().wait(0.002)
