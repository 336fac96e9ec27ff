"""Settings of downloads, apart from what downloads: whoever only reads settings imports no client."""

from pydantic import BaseModel, ConfigDict, Field


class HttpSettings(BaseModel):
    """Patience of one download over HTTP(S)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout_seconds: float = Field(30.0, gt=0, description="longest silence of the server")
    attempts: int = Field(5, ge=1, description="tries in a row that bring nothing before giving up")
    first_wait_seconds: float = Field(1.0, ge=0, description="pause before the second try; doubles each time")
    maximum_wait_seconds: float = Field(
        120.0, ge=0, description="longest pause between tries; a server that asks for a longer one is left alone"
    )
    maximum_seconds: float = Field(3600.0, gt=0, description="longest a download may take in one run")
