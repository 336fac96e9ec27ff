"""What every kind of pretrained model says of itself when it is registered: its settings, and its files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

HUB = "https://huggingface.co/{name}/resolve/main/{file}"


class PretrainedSettings(BaseModel):
    """Settings of a pretrained model; a subclass says what it is with a field ``kind``, and where its files are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    sha256: dict[str, str] = Field(default_factory=dict, description="SHA-256 that files must have, by name")


class HubSettings(PretrainedSettings):
    """Settings of a model whose files may be in the local cache of the hub."""

    download: bool = Field(False, description="ask the hub for what is not in its local cache")


@dataclass(frozen=True)
class InspectedFiles:
    """A pretrained model's files.

    Parameters
    ----------
    places : dict of str to Path
        Folders or file to open it from.
    files : dict of str to Path
        Every file, by name.
    encoders : callable (digests) -> dict
        Identities of its encoders by kind of feature.
    facts : callable () -> dict
        Sizes; called after the files are checked.
    addresses : dict of str to str
        Published addresses of files by name, where they are known by their place in a repository of the hub.
    more : dict
        Further entries of the card.
    """

    places: dict[str, Path]
    files: dict[str, Path]
    encoders: Callable[[Mapping[str, str]], dict[str, dict[str, Any]]]
    facts: Callable[[], dict[str, Any]]
    addresses: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


class ModelKind(Protocol):
    """A kind of pretrained model: the class of a backbone, of a video encoder or of a published adapter."""

    settings: ClassVar[type[PretrainedSettings]]

    @classmethod
    def inspect(cls, settings: Any) -> InspectedFiles:
        """Find the files of a model described by `settings`; raises WeightsError with what to do."""
        ...
