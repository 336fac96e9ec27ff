"""Settings of the judges' training and of their check."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cafa.common.errors import InputError
from cafa.training.loop_settings import LoopSettings
from metrics.judges.kinds import miniature_judges
from metrics.judges.training.augmentation import Augmentation


class JudgeSettings(BaseModel):
    """How a judge is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: LoopSettings = Field(description="optimisation")
    augmentation: Augmentation = Field(Augmentation(), description="variations of the training clips")


def judge_settings(name: str, given: dict[str, Any]) -> JudgeSettings:
    """Settings of judge `name`: its defaults, overridden by `given` entry by entry.

    Raises
    ------
    InputError
        If there is no such judge, or an entry is unknown or out of range.
    """
    judges = miniature_judges()
    if name not in judges:
        raise InputError(f"no judge {name!r} can be trained: use one of {', '.join(judges)}")
    defaults: dict[str, dict[str, Any]] = {"loop": dict(judges[name].loop)}
    unknown = sorted(set(given) - set(JudgeSettings.model_fields))
    if unknown or not all(isinstance(part, dict) for part in given.values()):
        raise InputError(f"settings of judge {name}: unknown or not an object: {unknown or given}")
    merged = {part: defaults.get(part, {}) | given.get(part, {}) for part in JudgeSettings.model_fields}
    try:
        return JudgeSettings.model_validate(merged)
    except ValidationError as error:
        raise InputError(f"settings of judge {name}: {error}") from error
