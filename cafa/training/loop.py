"""One training loop for every model: stateless randomness, exact resume.

All randomness of step k (batch, noise, dropout) is drawn from a seed made of (seed, k), so the state of a
run is weights, optimiser, moving average and step; a run cut anywhere and resumed equals the uninterrupted
run bit for bit on the same machine.
"""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from cafa.errors import CafaError
from cafa.files import digest_of, whole
from cafa.progress import progress
from cafa.seeds import seed_for

STATE = "state.pt"


class LoopSettings(BaseModel):
    """How to optimise. Steps are optimiser steps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(gt=0, description="optimiser steps")
    batch_size: int = Field(gt=0, description="clips in a batch")
    learning_rate: float = Field(gt=0, description="peak learning rate of AdamW")
    schedule: Literal["cosine", "inverse", "constant"] = Field("cosine", description="decay after the warm-up")
    warmup_steps: int = Field(0, ge=0, description="steps of linear warm-up")
    inverse_gamma: float = Field(1e6, gt=0, description="inverse schedule: (1 + k/gamma)^-power")
    inverse_power: float = Field(0.5, gt=0, description="inverse schedule: see inverse_gamma")
    weight_decay: float = Field(1e-3, ge=0, description="AdamW weight decay")
    betas: tuple[float, float] = Field((0.9, 0.999), description="AdamW moments")
    gradient_clip: float | None = Field(1.0, gt=0, description="clip the gradient's norm; null = never")
    ema_decay: float | None = Field(None, gt=0, lt=1, description="moving average of weights; null = none")
    accumulation: int = Field(1, gt=0, description="batches per optimiser step")
    bf16: bool = Field(False, description="autocast the forward pass to bfloat16")
    save_every_seconds: float = Field(20.0, ge=0, description="how often the resume state is saved")

    def factor(self, step: int) -> float:
        """Learning-rate factor of optimiser step `step` (from 0), in [0, 1]."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        if self.schedule == "constant":
            return warm
        if self.schedule == "inverse":
            return warm * (1 + step / self.inverse_gamma) ** -self.inverse_power
        done = max(0, step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass(frozen=True)
class Trained:
    """Result of :func:`train`: the weights to use, losses by step, and seconds spent."""

    weights: dict[str, torch.Tensor]
    losses: pd.DataFrame
    seconds: float


MakeBatch = Callable[[int, torch.Generator], Any]
Loss = Callable[[nn.Module, Any, torch.Generator], dict[str, torch.Tensor]]


def _trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _state_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Trainable parameters, and buffers that the state holds (running statistics)."""
    trainable = _trainable(model)
    buffers = dict(model.named_buffers())
    return {k: v for k, v in model.state_dict().items() if k in trainable or k in buffers}


def _save_state(path: Path, state: dict[str, Any]) -> None:
    with whole(path) as temporary:
        torch.save(state, temporary)


def _load_state(path: Path, key: str) -> dict[str, Any] | None:
    """State of an interrupted run of the same key; any other is ignored."""
    if not path.exists():
        return None
    state = torch.load(path, weights_only=True, map_location="cpu")
    return state if state["key"] == key else None


def _one_step(
    model: nn.Module,
    make_batch: MakeBatch,
    loss: Loss,
    settings: LoopSettings,
    seed: int,
    step: int,
    device: torch.device,
) -> dict[str, float]:
    """Accumulate the gradient of one optimiser step; return the mean of each reported value."""
    sums: dict[str, float] = {}
    for part in range(settings.accumulation):
        index = step * settings.accumulation + part
        generator = torch.Generator().manual_seed(seed_for(seed, "batch", index))
        torch.manual_seed(seed_for(seed, "dropout", index))
        autocast: AbstractContextManager[Any] = (
            torch.autocast(device.type, torch.bfloat16) if settings.bf16 else nullcontext()
        )
        batch = make_batch(index, generator)
        with autocast:
            values = loss(model, batch, generator)
        (values["loss"] / settings.accumulation).backward()
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach()) / settings.accumulation
    if not math.isfinite(sums["loss"]):
        raise CafaError(f"the loss became {sums['loss']} at step {step}: lower the learning rate")
    return sums


def train(
    model: nn.Module,
    make_batch: MakeBatch,
    loss: Loss,
    settings: LoopSettings,
    *,
    seed: int,
    resume_dir: str | Path,
    key: Any,
    label: str,
) -> Trained:
    """Train the parameters of `model` that require a gradient.

    Parameters
    ----------
    model : nn.Module
        Already initialised (deterministically) and on its device.
    make_batch : callable (index, generator) -> batch
        Draws batch number `index`; all its randomness comes from `generator` (CPU).
    loss : callable (model, batch, generator) -> dict
        Scalars; ``"loss"`` is minimised, the others are recorded. `generator` continues from `make_batch`.
    settings : LoopSettings
    seed : int
        Seed of the run.
    resume_dir : path
        Where the state of an unfinished run is kept (and removed by the caller when results stand).
    key : JSON-serialisable
        Everything else that decides the result (data digests, code): a state of another key is ignored.
    label : str
        Name shown in the progress.

    Returns
    -------
    Trained
        The moving average of the weights if `ema_decay` is set, else the last weights.
    """
    run_key = digest_of([key, settings.model_dump(mode="json"), seed])
    state_path = Path(resume_dir) / STATE
    state = _load_state(state_path, run_key)
    parameters = _trainable(model)
    device = next(iter(parameters.values())).device
    optimiser = torch.optim.AdamW(
        parameters.values(),
        lr=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
    )
    average = {n: p.detach().clone() for n, p in parameters.items()} if settings.ema_decay else {}
    rows: list[dict[str, float]] = []
    start, spent = 0, 0.0
    if state is not None:
        model.load_state_dict(state["model"], strict=False)
        optimiser.load_state_dict(state["optimiser"])
        average = {n: t.to(device) for n, t in state["average"].items()}
        rows, start, spent = state["rows"], state["step"], state["seconds"]
    model.train()
    begun = saved = time.monotonic()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for step in progress(range(start, settings.steps), label, settings.steps, start):
            # ---------------------------------------------------------------- one optimiser step
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * settings.factor(step)
            values = _one_step(model, make_batch, loss, settings, seed, step, device)
            if settings.gradient_clip is not None:
                norm = torch.nn.utils.clip_grad_norm_(parameters.values(), settings.gradient_clip)
                values["gradient_norm"] = float(norm)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            if settings.ema_decay:
                # Early on the average follows quickly: (1+k)/(10+k), then the configured decay.
                decay = min(settings.ema_decay, (1 + step) / (10 + step))
                torch._foreach_lerp_(list(average.values()), [p.detach() for p in parameters.values()], 1 - decay)
            # ------------------------------------------------------------------------------------
            rows.append({"step": step, **values})
            now = time.monotonic()
            if now - saved >= settings.save_every_seconds and step + 1 < settings.steps:
                saved = now
                seconds = spent + now - begun
                _save_state(
                    state_path,
                    {"key": run_key, "model": _state_weights(model), "optimiser": optimiser.state_dict(),
                     "average": average, "rows": rows, "step": step + 1, "seconds": seconds},
                )  # fmt: skip
    model.eval()
    weights = {name: tensor.detach().cpu().clone() for name, tensor in _state_weights(model).items()}
    weights.update({name: tensor.cpu().clone() for name, tensor in average.items()})
    return Trained(weights, pd.DataFrame(rows), spent + time.monotonic() - begun)
