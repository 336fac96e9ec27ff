"""All kinds of pretrained models that can be registered, wherever their registry is."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from cafa.common.registry import Registry, UnknownNameError
from cafa.models.backbones import BACKBONES
from cafa.models.pretrained import ModelKind, PretrainedSettings
from cafa.models.published_adapters import PUBLISHED_ADAPTERS
from cafa.models.video_encoders import VIDEO_ENCODERS

_REGISTRIES: tuple[Registry[Any], ...] = (BACKBONES, PUBLISHED_ADAPTERS, VIDEO_ENCODERS)


def model_kind(name: str) -> type[ModelKind]:
    """The kind of pretrained model of that name.

    Raises
    ------
    UnknownNameError
        If there is none, naming those that there are.
    """
    for registry in _REGISTRIES:
        if name in registry and registry[name].settings is not None:
            return registry[name]
    known = ", ".join(kind for kind, _ in _kinds())
    raise UnknownNameError(f"there is no kind of pretrained model {name!r}. There are {known}")


def require_model_kind(name: str) -> None:
    """Refuse a name as :func:`model_kind` does; without importing the kinds of this package, which takes seconds."""
    if not any(registry.to_be_imported(name) for registry in _REGISTRIES):
        model_kind(name)


def _kinds() -> Iterator[tuple[str, Any]]:
    for registry in _REGISTRIES:
        yield from ((name, kind) for name, kind in registry.items() if kind.settings is not None)


def settings_of_kinds() -> list[type[PretrainedSettings]]:
    """Settings of every kind of pretrained model, for a schema."""
    return [kind.settings for _, kind in _kinds()]


def _of_its_kind(value: Any) -> PretrainedSettings:
    if isinstance(value, PretrainedSettings):
        return value
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise ValueError("a pretrained model is an object with a key `kind`, which says what it is")
    return model_kind(value["kind"]).settings.model_validate(value)


#: settings of a pretrained model; its ``kind`` says which
PretrainedModel = Annotated[SerializeAsAny[PretrainedSettings], BeforeValidator(_of_its_kind)]
