"""Systems: anything that gives sound for (clip, caption). Their settings, by kind."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _System(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sampling(BaseModel):
    """How a model is sampled: dpmpp-3m-sde over log-linear noise levels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(50, gt=1, description="sampling steps (model calls)")
    sigma_min: float = Field(0.5, gt=0, description="lowest noise level before 0")
    sigma_max: float = Field(500.0, gt=0, description="highest noise level")
    eta: float = Field(1.0, ge=0, description="share of injected noise; 0 = deterministic")
    guidance_scale: float = Field(7.0, ge=0, description="classifier-free guidance; 1 = none")


class AdapterSystem(_System):
    """The backbone with an adapter (CAFA)."""

    kind: Literal["adapter"] = "adapter"
    sampling: Sampling = Field(default_factory=Sampling, description="sampler and guidance")
    asymmetric_scale: float = Field(
        0.5, ge=0, description="gamma: scale of the adapter in the unconditional half; 1 = plain guidance"
    )
    backbone: str = Field("backbone", description="model folder of the backbone")
    adapter: str = Field("adapter", description="model folder of the adapter")


class BackboneSystem(_System):
    """The backbone alone: text to audio."""

    kind: Literal["backbone"] = "backbone"
    sampling: Sampling = Field(default_factory=Sampling, description="sampler and guidance")
    backbone: str = Field("backbone", description="model folder of the backbone")


class JointSystem(_System):
    """A model of video and text trained together."""

    kind: Literal["joint"] = "joint"
    sampling: Sampling = Field(default_factory=Sampling, description="sampler and guidance")
    joint: str = Field("joint", description="model folder of the joint model")


class ReferenceSystem(_System):
    """The clip's own sound, whatever the caption."""

    kind: Literal["reference"] = "reference"


class OracleSystem(_System):
    """The wanted category's sound rendered at the video's true event times (rendered world only)."""

    kind: Literal["oracle"] = "oracle"


class ShuffledSystem(_System):
    """The wanted category's sound rendered at times of another draw (rendered world only)."""

    kind: Literal["shuffled"] = "shuffled"


class SamplesSystem(_System):
    """A folder of somebody's generations."""

    kind: Literal["samples"] = "samples"
    folder: str = Field(description="folder of sound or video files")
    pattern: str = Field(
        "{clip_id}__{caption}.mp4",
        description="file name; {clip_id}, {caption} (spaces become underscores) and {caption_id} are replaced",
    )


System = Annotated[
    AdapterSystem | BackboneSystem | JointSystem | ReferenceSystem | OracleSystem | ShuffledSystem | SamplesSystem,
    Field(discriminator="kind"),
]
GenerativeSystem = AdapterSystem | BackboneSystem | JointSystem


def parse_system(json_text: str) -> System:
    """Validate a system's settings given as JSON."""
    return TypeAdapter(System).validate_json(json_text)
