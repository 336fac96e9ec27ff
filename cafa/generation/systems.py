"""Systems: anything that gives sound for (clip, caption). Their settings, by kind."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _System(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sampling(BaseModel):
    """How a model is sampled. What is not given is the backbone's own: Stable Audio Open's 50 steps of dpmpp-3m-sde
    from noise level 500 to 0.5 at guidance 7, TangoFlux's 50 Euler steps at guidance 4.5."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["ours", "official"] = Field(
        "ours",
        description="official = exactly as the published CAFA code works: 1024 latents, told 10 s, peak over the whole "
        "window before the cut, half strength without guidance for half of a batch; `cafa generate`: its frames, too",
    )
    steps: int | None = Field(None, gt=1, description="sampling steps (model calls); null = the backbone's")
    sigma_min: float | None = Field(None, gt=0, description="lowest noise level before 0; null = the backbone's")
    sigma_max: float | None = Field(None, gt=0, description="highest noise level; null = the backbone's")
    eta: float | None = Field(None, ge=0, description="injected noise; 0 = deterministic; null = the backbone's")
    guidance_scale: float | None = Field(
        None, ge=0, description="classifier-free guidance; 1 = none; null = the backbone's"
    )
    latents: int | None = Field(
        None,
        gt=0,
        description="latents of the window of a pretrained backbone; null = those the adapter was trained with",
    )
    seconds: float | None = Field(
        None,
        gt=0,
        description="length of the sound of a pretrained backbone; null = the adapter's, 10 for a published one",
    )
    half: bool = Field(False, description="run the denoiser in 16 bits (float16 on a GPU, bfloat16 on a CPU)")


class AdapterSystem(_System):
    """A backbone with an adapter: CAFA and its variants, whichever models the folders hold.

    The encoders of the video are the model folders ``av_clip`` and, for CAFA-C, ``clip``.
    """

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


class ShuffledReferenceSystem(_System):
    """The own sound of another clip: real sound that belongs to nothing it is shown with. A floor for any data set."""

    kind: Literal["shuffled_reference"] = "shuffled_reference"


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
    AdapterSystem
    | BackboneSystem
    | JointSystem
    | ReferenceSystem
    | ShuffledReferenceSystem
    | OracleSystem
    | ShuffledSystem
    | SamplesSystem,
    Field(discriminator="kind"),
]
GenerativeSystem = AdapterSystem | BackboneSystem | JointSystem


def parse_system(json_text: str) -> System:
    """Validate a system's settings given as JSON."""
    return TypeAdapter(System).validate_json(json_text)
