"""Settings of the training loop: schedules of the learning rate and of the moving average."""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from cafa.common.devices import Attention, arithmetic
from cafa.common.errors import CafaError

#: settings that came later: left out of what is recorded while they are at their default, so that records of before,
#: unfinished runs among them, are still those of the same settings
LATER = (
    "warmup_decay",
    "ema_power",
    "ema_inverse_gamma",
    "ema_after_step",
    "ema_every",
    "tf32",
    "attention",
    "fused",
)


class LoopSettings(BaseModel):
    """How to optimise. Steps are optimiser steps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(gt=0, description="optimiser steps")
    batch_size: int = Field(gt=0, description="clips in a batch")
    learning_rate: float = Field(gt=0, description="peak learning rate of AdamW")
    schedule: Literal["cosine", "inverse", "constant"] = Field("cosine", description="decay after the warm-up")
    warmup_steps: int = Field(0, ge=0, description="steps of linear warm-up")
    warmup_decay: float | None = Field(
        None, gt=0, lt=1, description="exponential warm-up instead: 1 - decay^(k+1), stable-audio-tools' `warmup`"
    )
    inverse_gamma: float = Field(1e6, gt=0, description="inverse schedule: (1 + k/gamma)^-power")
    inverse_power: float = Field(0.5, gt=0, description="inverse schedule: see inverse_gamma")
    weight_decay: float = Field(1e-3, ge=0, description="AdamW weight decay")
    betas: tuple[float, float] = Field((0.9, 0.999), description="AdamW moments")
    gradient_clip: float | None = Field(1.0, gt=0, description="clip the gradient's norm; null = never")
    ema_decay: float | None = Field(None, gt=0, lt=1, description="moving average of weights; null = none")
    ema_power: float | None = Field(
        None,
        gt=0,
        description="the average's decay grows as ema_pytorch's: 1 - (1 + k/ema_inverse_gamma)^-ema_power, "
        "at most ema_decay; null = as (1+k)/(10+k)",
    )
    ema_inverse_gamma: float = Field(1.0, gt=0, description="see ema_power")
    ema_after_step: int = Field(1, ge=0, description="with ema_power: the average is a copy until then")
    ema_every: int = Field(1, gt=0, description="with ema_power: steps from one change of the average to the next")
    accumulation: int = Field(1, gt=0, description="batches per optimiser step")
    bf16: bool = Field(False, description="autocast the forward pass to bfloat16")
    tf32: bool = Field(False, description="multiply float32 matrices in TF32 on a GPU: faster, 10 bits of mantissa")
    attention: Attention | None = Field(
        None, description="the one way of torch to compute attention; null = torch chooses by device and shape"
    )
    fused: bool = Field(
        False, description="AdamW as one operation on a CPU too, as it always is on a GPU: faster, another rounding"
    )
    save_every_seconds: float = Field(20.0, ge=0, description="how often the resume state is saved")

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """Context of a forward pass."""
        return torch.autocast(device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def arithmetic(self) -> AbstractContextManager[None]:
        """Context of forward and backward passes."""
        return arithmetic(self.tf32, self.attention)

    @model_validator(mode="after")
    def _rules_that_go_together(self) -> "LoopSettings":
        if self.warmup_steps and self.warmup_decay is not None:
            raise ValueError("warmup_steps (linear) and warmup_decay (exponential) are two warm-ups: give one")
        if self.ema_power is not None and self.ema_decay is None:
            raise ValueError("ema_power says how the moving average grows, and there is none: give ema_decay")
        fields = type(self).model_fields
        alone = [n for n in LATER if n.startswith("ema_") and getattr(self, n) != fields[n].default]
        if self.ema_power is None and alone:
            raise ValueError(f"{', '.join(alone)} mean nothing without ema_power")
        return self

    @model_serializer(mode="wrap")
    def _recorded(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        unused = {name for name in LATER if getattr(self, name) == fields[name].default}
        return {name: value for name, value in handler(self).items() if name not in unused}

    def factor(self, step: int) -> float:
        """Learning-rate factor of optimiser step `step` (from 0), in [0, 1]."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        if self.warmup_decay is not None:
            warm = 1 - self.warmup_decay ** (step + 1)
        if self.schedule == "constant":
            return warm
        if self.schedule == "inverse":
            return warm * (1 + step / self.inverse_gamma) ** -self.inverse_power
        done = max(0, step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def decay(self, step: int) -> float:
        """Decay of the moving average after optimiser step `step` (from 0), in [0, 1].

        0 copies the weights, 1 leaves the average as it is. With ``ema_power`` the rule of ema_pytorch 0.8.3 (a fixed
        `min_value` of 0), which counts weights from the untrained ones on: those after step 0 are its number 1.

        Raises
        ------
        CafaError
            If there is no moving average.
        """
        if self.ema_decay is None:
            raise CafaError("ema_decay is null: there is no moving average")
        if self.ema_power is None:  # Early on the average follows quickly, then as slowly as configured.
            return min(self.ema_decay, (1 + step) / (10 + step))
        number = step + 1
        if number % self.ema_every:
            return 1.0
        after = max(0, number - self.ema_after_step)
        return min(self.ema_decay, 1 - (1 + after / self.ema_inverse_gamma) ** -self.ema_power)
