"""Settings of the judges' training and of their check."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cafa.common.errors import InputError
from cafa.training.loop_settings import LoopSettings
from metrics.judges.training.augmentation import Augmentation

NAMES = ("classifier", "clap", "imagebind", "synchformer")

#: What differs from the defaults of `LoopSettings` and `Augmentation`, by judge.
DEFAULTS: dict[str, dict[str, Any]] = {
    "classifier": {"loop": {"steps": 200, "batch_size": 24, "learning_rate": 2e-3, "warmup_steps": 10}},
    "clap": {"loop": {"steps": 200, "batch_size": 24, "learning_rate": 2e-3, "warmup_steps": 10}},
    "imagebind": {"loop": {"steps": 180, "batch_size": 24, "learning_rate": 2e-3, "warmup_steps": 10}},
    "synchformer": {
        "loop": {
            "steps": 450,
            "batch_size": 8,
            "learning_rate": 2e-3,
            "warmup_steps": 10,
            "weight_decay": 0.02,
            "ema_decay": 0.98,
        }
    },
}


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
    if name not in DEFAULTS:
        raise InputError(f"no judge {name!r}: use one of {', '.join(NAMES)}")
    unknown = sorted(set(given) - set(JudgeSettings.model_fields))
    if unknown or not all(isinstance(part, dict) for part in given.values()):
        raise InputError(f"settings of judge {name}: unknown or not an object: {unknown or given}")
    merged = {part: DEFAULTS[name].get(part, {}) | given.get(part, {}) for part in JudgeSettings.model_fields}
    try:
        return JudgeSettings.model_validate(merged)
    except ValidationError as error:
        raise InputError(f"settings of judge {name}: {error}") from error
