"""Systems: anything that gives sound for (clip, caption). Their settings, by kind, and the registry of the kinds.

Torch is not imported here, so that a workflow can ask for the settings of a system alone.
"""

import importlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cafa.common.devices import Attention
from cafa.common.errors import InputError
from cafa.common.registry import Registry
from cafa.data.wording import Wording

if TYPE_CHECKING:
    from cafa.generation.sources import SampleContext, SoundSource

#: kinds of video features that a model reads unless it says otherwise
VIDEO_KINDS = ("av_clip",)


class SystemKind(BaseModel):
    """Settings of a system; a subclass is a kind of systems, registered in :data:`SYSTEM_KINDS`.

    A kind must define :meth:`open_source`, or name a function in `source`; all else has a default. What a kind says
    here decides which files a workflow makes before its samples, and whether they are made on a GPU.

    Attributes
    ----------
    source : str
        ``module:function`` that takes the settings and a :class:`~cafa.generation.sources.SampleContext`, and
        returns the source of sound; imported when it is called.
    stage : str
        Stage of :mod:`cafa.common.stages` whose code decides the samples.
    models : tuple of str
        Names of those fields that name model folders.
    generates : bool
        Whether a model makes the sound: it runs on a GPU and reads the text states of the captions.
    needs : frozenset of str
        What else there must be: ``clips`` (normalised clips of the data set), ``event_times`` (of a rendered one).
    reads_sounds : bool
        Whether the sounds come from files, of which only the seconds that are judged must be there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: ClassVar[str] = ""
    stage: ClassVar[str] = "samples"
    models: ClassVar[tuple[str, ...]] = ()
    generates: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()
    reads_sounds: ClassVar[bool] = False

    kind: str

    def open_source(self, context: "SampleContext") -> "SoundSource":
        """What gives the sounds of the system.

        Parameters
        ----------
        context : SampleContext
            The prompt set, where the files are, seed, length and rate.

        Raises
        ------
        InputError
            If something that it needs is not there.
        """
        if not self.source:
            raise NotImplementedError(f"{type(self).__name__} must define open_source, or name a function in `source`")
        module, _, function = self.source.partition(":")
        opened: SoundSource = getattr(importlib.import_module(module), function)(self, context)
        return opened

    def model_folders(self) -> tuple[str, ...]:
        """Names of the model folders, in the order of `models`."""
        return tuple(str(getattr(self, name)) for name in self.models)

    def folders(self) -> tuple[str, ...]:
        """Folders of other people's files that must be there before the first job."""
        return ()

    def parts(self, name: str) -> dict[str, dict[str, Any]]:
        """Systems whose values a row is the mean of, by their names: their settings; by default itself.

        Parameters
        ----------
        name : str
            Of the system.
        """
        return {name: self.model_dump(mode="json", exclude_unset=True)}

    def absent(self) -> str:
        """What the system lacks of other people's files, so that it has no sound; empty if nothing is missing."""
        return ""

    @property
    def left_out(self) -> str:
        """Why tables leave the system out: what it lacks, where it is optional."""
        return self.absent() if getattr(self, "optional", False) else ""

    @property
    def wordings(self) -> tuple[str, ...]:
        """Wordings of captions that the system is given beside the captions themselves."""
        return ()

    @property
    def longest(self) -> float | None:
        """Seconds that its sounds have at least, where that is less than what others have; None: any."""
        return None

    def video_kinds(
        self, adapters: Mapping[str, Mapping[str, Any]], default: Sequence[str] = VIDEO_KINDS
    ) -> tuple[str, ...]:
        """Kinds of video features that the system reads.

        Parameters
        ----------
        adapters : mapping
            Name of an adapter -> its settings of training, of which `video` names the kinds.
        default : sequence of str
            Kinds of models that do not say.
        """
        return ()

    def window(self, made: float, judged: float | None = None) -> float:
        """Seconds of each sound: those that are made or, of sounds that are read, those that are judged.

        Parameters
        ----------
        made : float
            Seconds of the sounds that models make or that are rendered.
        judged : float, optional
            Seconds that the judges take, where these differ.
        """
        return judged if self.reads_sounds and judged is not None else made


class Sampling(BaseModel):
    """How a model is sampled. What is not given is the backbone's own: Stable Audio Open's 50 steps of dpmpp-3m-sde
    from noise level 500 to 0.5 at guidance 7, TangoFlux's 50 Euler steps at guidance 4.5."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["ours", "official"] = Field(
        "ours",
        description="official = exactly as the published CAFA code works: 1024 latents, told 10 s, peak over the whole "
        "window before the cut, half strength without guidance for half of a batch; `cafa generate`: its frames, too",
    )
    sampler: str | None = Field(
        None, description="name of the sampler, such as dpmpp_3m_sde or euler; null = the backbone's"
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
    compiled: bool = Field(
        False,
        exclude_if=lambda compiled: not compiled,
        description="compile the blocks of a pretrained denoiser (torch.compile): faster on a GPU after some minutes "
        "of compiling, another rounding; needs a C++ compiler",
    )
    tf32: bool = Field(
        False, exclude_if=lambda tf32: not tf32, description="pretrained: TF32 for products of float32 on a GPU"
    )
    attention: Attention | None = Field(
        None, exclude_if=lambda way: way is None, description="pretrained: torch's one way of attention; null = any"
    )

    @field_validator("sampler")
    @classmethod
    def _is_a_sampler(cls, name: str | None) -> str | None:
        if name is not None:
            from cafa.diffusion.samplers import SAMPLERS  # only here: it needs torch

            SAMPLERS[name]  # refuses an unknown name with the list of those that there are
        return name


class Optional(BaseModel):
    """Settings of a system that needs what not everybody has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    optional: bool = Field(
        False,
        description="leave the system out of tables, with a line on their cards, where what it needs is not there",
    )
    how_to_get: str = Field(
        "", description="what to get, and from whom, printed where it is not there: address, licence, command"
    )


class _ModelSystem(Wording, SystemKind):
    """A model makes the sound."""

    source: ClassVar[str] = "cafa.generation.generated_sounds:open_generated"
    generates: ClassVar[bool] = True

    sampling: Sampling = Field(default_factory=Sampling, description="sampler and guidance")


class AdapterSystem(_ModelSystem):
    """A backbone with an adapter: CAFA and its variants, whichever models the folders hold.

    The encoders of the video are the model folders ``av_clip`` and, for CAFA-C, ``clip``.
    """

    models: ClassVar[tuple[str, ...]] = ("backbone", "adapter")

    kind: Literal["adapter"] = "adapter"
    asymmetric_scale: float = Field(
        0.5, ge=0, description="gamma: scale of the adapter in the unconditional branch; 1 = plain guidance"
    )
    backbone: str = Field("backbone", description="model folder of the backbone")
    adapter: str = Field("adapter", description="model folder of the adapter")

    def video_kinds(
        self, adapters: Mapping[str, Mapping[str, Any]], default: Sequence[str] = VIDEO_KINDS
    ) -> tuple[str, ...]:
        """See :meth:`SystemKind.video_kinds`: those that its adapter is trained with."""
        return tuple(adapters.get(self.adapter, {}).get("video", default))


class BackboneSystem(_ModelSystem):
    """The backbone alone: text to audio."""

    models: ClassVar[tuple[str, ...]] = ("backbone",)

    kind: Literal["backbone"] = "backbone"
    backbone: str = Field("backbone", description="model folder of the backbone")


class JointSystem(_ModelSystem):
    """A model of video and text trained together."""

    models: ClassVar[tuple[str, ...]] = ("joint",)

    kind: Literal["joint"] = "joint"
    joint: str = Field("joint", description="model folder of the joint model")

    def video_kinds(
        self, adapters: Mapping[str, Mapping[str, Any]], default: Sequence[str] = VIDEO_KINDS
    ) -> tuple[str, ...]:
        """See :meth:`SystemKind.video_kinds`."""
        return tuple(default)


class _OwnSoundSystem(SystemKind):
    """The sound of a clip of the data set."""

    source: ClassVar[str] = "cafa.generation.sound_sources:open_reference"
    stage: ClassVar[str] = "samples_of_files"
    needs: ClassVar[frozenset[str]] = frozenset({"clips"})
    reads_sounds: ClassVar[bool] = True
    of_another_clip: ClassVar[bool] = False


class ReferenceSystem(_OwnSoundSystem):
    """The clip's own sound, whatever the caption."""

    kind: Literal["reference"] = "reference"


class ReferenceOfAnotherClipSystem(_OwnSoundSystem):
    """The own sound of another clip: real sound that belongs to another video. A floor for any data set."""

    of_another_clip: ClassVar[bool] = True

    kind: Literal["reference_of_another_clip"] = "reference_of_another_clip"


class _RenderedSystem(SystemKind):
    """The wanted category's sound, rendered by the synthesiser of the rendered world."""

    source: ClassVar[str] = "cafa.generation.rendered_sounds:open_rendered"
    stage: ClassVar[str] = "samples_of_events"
    needs: ClassVar[frozenset[str]] = frozenset({"event_times"})
    at_event_times: ClassVar[bool] = True


class OracleSystem(_RenderedSystem):
    """The wanted category's sound rendered at the video's true event times (rendered world only)."""

    kind: Literal["oracle"] = "oracle"


class OracleWrongTimesSystem(_RenderedSystem):
    """The wanted category's sound rendered at times of another draw (rendered world only)."""

    at_event_times: ClassVar[bool] = False

    kind: Literal["oracle_wrong_times"] = "oracle_wrong_times"


GenerativeSystem = AdapterSystem | BackboneSystem | JointSystem

#: Every kind of systems by the name that `kind` has in settings: a subclass of :class:`SystemKind`.
SYSTEM_KINDS = Registry[type[SystemKind]](
    "kind of system",
    {
        "adapter": AdapterSystem,
        "backbone": BackboneSystem,
        "joint": JointSystem,
        "reference": ReferenceSystem,
        "reference_of_another_clip": ReferenceOfAnotherClipSystem,
        "oracle": OracleSystem,
        "oracle_wrong_times": OracleWrongTimesSystem,
        "samples": "cafa.generation.samples_system:SamplesSystem",
        "external": "cafa.generation.external:ExternalSystem",
    },
)
#: former name of a kind -> its name
RENAMED_KINDS = {"shuffled": "oracle_wrong_times", "shuffled_reference": "reference_of_another_clip"}


def system_kind(name: str) -> type[SystemKind]:
    """A kind of systems.

    Raises
    ------
    InputError
        If there is none of that name; says which there are, or how it is called now.
    """
    if name in RENAMED_KINDS and name not in SYSTEM_KINDS:
        raise InputError(
            f"the kind of system {name!r} is now called {RENAMED_KINDS[name]!r}: write `kind: {RENAMED_KINDS[name]}` "
            "(the name of the system may stay as it is)"
        )
    return SYSTEM_KINDS[name]


def parse_system(settings: str | Mapping[str, Any]) -> SystemKind:
    """Validate a system's settings.

    Parameters
    ----------
    settings : str or mapping
        A JSON object as text, or its fields; ``kind`` names an entry of :data:`SYSTEM_KINDS`.

    Raises
    ------
    InputError
        If there is no such kind, or none is named.
    pydantic.ValidationError
        If a field is not one of the kind's, or its value is not possible.
    """
    try:
        fields = json.loads(settings) if isinstance(settings, str) else dict(settings)
    except ValueError as error:
        raise InputError(f"settings of a system must be a JSON object, got {settings!r}: {error}") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("kind"), str):
        raise InputError(
            f"settings of a system must be an object whose `kind` is one of {', '.join(SYSTEM_KINDS)}, got {fields!r}"
        )
    return system_kind(fields["kind"]).model_validate(fields)


def parts_of_system(name: str, settings: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Systems that a row of a table is made from, by name: itself, or one for each of several takes.

    Settings that are not possible are returned as they are: whoever validates them says what is wrong.

    Parameters
    ----------
    name : str
        Of the system.
    settings : mapping
        As a configuration has them.
    """
    if not settings.get("takes"):
        return {name: settings}
    try:
        return dict(parse_system(settings).parts(name))
    except ValueError:
        return {name: settings}


def stage_of_samples(kind: str) -> str:
    """Stage that makes the samples of systems of a kind."""
    return system_kind(kind).stage
