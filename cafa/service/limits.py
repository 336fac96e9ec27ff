"""What a service takes, and how long it keeps it."""

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """Bounds of what visitors can ask for, so that none of them can fill the disk or the queue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    largest_bytes: int = Field(500_000_000, gt=0, description="largest upload")
    longest_seconds: float = Field(60.0, gt=0, description="longest part of a video that gets sound")
    longest_video: float = Field(3600.0, gt=0, description="longest video, seconds")
    reading_seconds: float = Field(600.0, gt=0, description="seconds that a video's reading or writing may take")
    largest_pixels: int = Field(8192 * 4320, gt=0, description="most pixels of a picture")
    queue_length: int = Field(16, gt=0, description="most jobs that wait; one more is refused")
    most_takes: int = Field(8, gt=0, description="most takes of a job")
    keep_hours: float = Field(24.0, gt=0, description="hours after which uploads and results are deleted")
    folder_bytes: int = Field(20_000_000_000, gt=0, description="most bytes of all uploads and results together")
