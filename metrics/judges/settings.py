"""Settings of the judges' training and of their check."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cafa.errors import InputError
from cafa.training.loop_settings import LoopSettings
from metrics.judges.augmentation import Augmentation

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

#: Measure by judge: direction in which it is good, default threshold.
MEASURES: dict[str, dict[str, tuple[Literal[">=", "<="], float]]] = {
    "classifier": {"accuracy": (">=", 0.95)},
    "clap": {"matched_over_other": (">=", 0.95)},
    "imagebind": {"own_over_other": (">=", 0.85), "category_retrieval": (">=", 0.6)},
    "synchformer": {
        "matched_error_seconds": ("<=", 0.15),
        "matched_within_one_class": (">=", 0.8),
        "dubbed_error_seconds": ("<=", 0.2),
        "dubbed_within_one_class": (">=", 0.75),
        "desync_true_seconds": ("<=", 0.05),
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


def thresholds(
    given: Mapping[str, Any], measures: Mapping[str, Mapping[str, tuple[str, float]]] = MEASURES
) -> dict[str, dict[str, float]]:
    """Thresholds of every measure: the defaults of `measures`, overridden by ``{judge: {measure: threshold}}``.

    Raises
    ------
    InputError
        If a judge or measure does not exist, or a threshold is not a number.
    """
    merged = {name: {m: limit for m, (_, limit) in rows.items()} for name, rows in measures.items()}
    for name, rows in given.items():
        if name not in merged or not isinstance(rows, dict):
            raise InputError(f"thresholds: no judge {name!r}; judges are {', '.join(NAMES)}")
        for measure, limit in rows.items():
            if measure not in merged[name]:
                raise InputError(
                    f"thresholds: judge {name} has no measure {measure!r}; it has {', '.join(merged[name])}"
                )
            if isinstance(limit, bool) or not isinstance(limit, int | float):
                raise InputError(f"thresholds: {name}.{measure} must be a number, got {limit!r}")
            merged[name][measure] = float(limit)
    return merged
