"""Jobs: what is asked for, and how far it has come."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cafa.common.files import write_json

RECORD = "job.json"


class JobRequest(BaseModel):
    """New sound that is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    video: str = Field(description="id of an upload")
    prompt: str = Field(min_length=1, max_length=1000, description="what it should sound like")
    negative_prompt: str | None = Field(None, max_length=1000, description="what it should not sound like")
    gamma: float = Field(
        0.5, ge=0, le=10, description="strength of the video: the lower, the stronger; 1 = plain guidance"
    )
    guidance_scale: float | None = Field(
        None, ge=0, le=30, description="strength of the text; 1 = no guidance; null = the model's own"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="of the first take; further takes count on from it")
    takes: int = Field(1, ge=1, description="how many sounds to make")
    start: float = Field(0.0, ge=0, allow_inf_nan=False, description="second of the video where its part begins")
    end: float | None = Field(None, gt=0, allow_inf_nan=False, description="where it ends; null: with the video")
    mix: float | None = Field(
        None, ge=-60, le=12, description="level of the video's own sound below the new one, dB; null: it is replaced"
    )

    @field_validator("prompt")
    @classmethod
    def _has_a_word(cls, text: str) -> str:
        if not any(mark.isalnum() for mark in text):
            raise ValueError("a prompt needs at least one word")
        return text

    @model_validator(mode="after")
    def _has_a_length(self) -> "JobRequest":
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"the part ends after it begins, got {self.start:g} to {self.end:g} s")
        return self

    @field_validator("negative_prompt")
    @classmethod
    def _empty_is_none(cls, text: str | None) -> str | None:
        return text if text and text.strip() else None


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: states that nothing follows
ENDED = {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


class Take(BaseModel):
    """One sound of a job."""

    seed: int
    seconds: float
    sample_rate: int
    files: dict[str, str] = Field(description="what there is -> name of the file, for its address and for a download")
    scores: dict[str, float] = Field(default_factory=dict, description="of judges, where takes were compared")


class Job(BaseModel):
    """A job as its visitor sees it."""

    id: str
    state: JobState = JobState.QUEUED
    position: int = Field(0, description="jobs before it, while it waits")
    progress: float = Field(0.0, ge=0, le=1, description="share that is done; never falls")
    seconds_left: float | None = Field(None, description="about how long it will take, once that can be known")
    step: str = Field("waiting", description="what is done now, in words")
    error: str | None = Field(None, description="why it failed, in words")
    note: str = Field(
        "", description="what of the prompt is not read, what of the video is damaged, or is other than was asked for"
    )
    asked: datetime = Field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    takes: list[Take] = Field(default_factory=list)
    request: JobRequest

    def write(self, folder: Path) -> None:
        """Keep it, so that a service that is started again knows it."""
        write_json(folder / RECORD, self.model_dump(mode="json"))

    def at(self, share: float, step: str, left: float | None = None) -> None:
        """Note how far it has come, which never falls, and how many seconds are left."""
        self.progress, self.step, self.seconds_left = max(self.progress, min(1.0, share)), step, left

    def end(self, state: JobState, **more: Any) -> None:
        """Note how it ended."""
        for name, value in more.items():
            setattr(self, name, value)
        self.state, self.ended, self.step, self.position = state, datetime.now(UTC), state.value, 0
        self.seconds_left = None
