"""Published checkpoints of adapters, by name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from cafa.common.registry import Registry
from cafa.models.pretrained import InspectedFiles, PretrainedSettings


class PublishedAdapter(ABC):
    """A published checkpoint of an adapter.

    Attributes
    ----------
    settings : type of PretrainedSettings
        With a field ``backbone``: model folder of the registered backbone, or None.
    """

    settings: ClassVar[type[PretrainedSettings]]

    @classmethod
    @abstractmethod
    def inspect(cls, settings: Any) -> InspectedFiles:
        """Find its file; ``more`` says ``video_kinds`` and ``backbone_model``, the name of the backbone it is for."""

    @classmethod
    @abstractmethod
    def load(cls, card: Mapping[str, Any], denoiser: Any, backbone_sha256: str) -> Any:
        """The adapter that a card describes, frozen; refused with an InputError if it is for another denoiser."""

    @classmethod
    @abstractmethod
    def check(cls, card: Mapping[str, Any]) -> None:
        """Read its file without a backbone to compare it with; raises WeightsError if it is no such checkpoint."""


PUBLISHED_ADAPTERS: Registry[type[PublishedAdapter]] = Registry(
    "published adapter", {"cafa_adapter": "cafa.models.stable_audio.published_adapter:CafaAvClipAdapter"}
)
