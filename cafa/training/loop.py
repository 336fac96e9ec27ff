"""One training loop for every model: stateless randomness, exact resume.

All randomness of step k (batch, noise, dropout) is drawn from a seed made of (seed, k), so the state of a
run is weights, optimiser, moving average and step; a run cut anywhere and resumed equals the uninterrupted
run bit for bit on the same machine. Several processes share every batch (:mod:`cafa.training.distributed`).
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from cafa.common.files import atomic_write, write_json
from cafa.common.progress import progress
from cafa.common.resume import ChangedError, differences, goes_on, same_key
from cafa.common.seeds import seed_for
from cafa.common.signals import EndedBySignal, deferred
from cafa.training.distributed import ALONE, Processes
from cafa.training.loop_settings import LoopSettings
from cafa.training.step_values import StepValues, steps_at_once
from cafa.training.tensorboard import Curves

STATE, KEY = "state.pt", "key.json"


@dataclass(frozen=True)
class Trained:
    """Result of :func:`train`.

    Parameters
    ----------
    weights : dict of str to Tensor
        The moving average if there is one, else the last weights; on the CPU. Of the main process only.
    losses : DataFrame
        One row per step.
    seconds : float
        Spent in steps that count: what a killed process did after its last saved state is not among them.
    sessions : list of dict
        Where they were spent: ``device`` (name), ``kind`` (``cpu``, ``cuda``), ``count`` of processes, ``seconds``.
    changes : list of dict
        Where the run went on under another key because that was asked for: ``step``, and what ``changed``.
    """

    weights: dict[str, torch.Tensor]
    losses: pd.DataFrame
    seconds: float
    sessions: list[dict[str, Any]]
    changes: list[dict[str, Any]]


MakeBatch = Callable[[int, torch.Generator], Any]
Network = TypeVar("Network", bound=nn.Module)
Loss = Callable[[Network, Any, torch.Generator], dict[str, torch.Tensor]]


class Objective(nn.Module):
    """The loss as a module, so that several processes can average its gradient."""

    def __init__(self, model: Network, loss: Loss[Network]) -> None:
        super().__init__()
        self.model, self._loss = model, loss

    def forward(self, batch: Any, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """What `loss` gives."""
        return self._loss(self.model, batch, generator)


def _trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _state_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Trainable parameters, and buffers that the state holds (running statistics)."""
    trainable = _trainable(model)
    buffers = dict(model.named_buffers())
    return {k: v for k, v in model.state_dict().items() if k in trainable or k in buffers}


def cost_of(state: dict[str, Any]) -> str:
    """How far a state is, and what it took."""
    of = f" of {state['key']['loop']['steps']}" if isinstance(state["key"], dict) else ""
    hours = sum(entry["seconds"] for entry in _sessions_of(state)) / 3600
    return f"{state['step']}{of} steps done, {hours:.2f} hours"


def _sessions_of(state: dict[str, Any]) -> list[dict[str, Any]]:
    return state["sessions"] if "sessions" in state else state["stretches"]  # as version 0.1 called them


class _Run:
    """A model in training with all that its resume state holds."""

    def __init__(self, model: nn.Module, settings: LoopSettings, average: bool) -> None:
        self.model, self.settings = model, settings
        self.parameters = _trainable(model)
        self.device = next(iter(self.parameters.values())).device
        self.optimiser = torch.optim.AdamW(
            self.parameters.values(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            # No temporary copies of all weights; on a CPU its rounding is another.
            fused=True if self.device.type == "cuda" or settings.fused else None,
        )
        self.average = {n: p.detach().clone() for n, p in self.parameters.items()} if average else {}
        self.rows: list[dict[str, float]] = []
        self.sessions: list[dict[str, Any]] = []
        self.changes: list[dict[str, Any]] = []
        self.step = 0

    def restore(self, path: Path, key: dict[str, Any], processes: Processes) -> None:
        """Go on from the state of an interrupted run of the same key; of another only if that is asked for."""
        if not path.exists():
            return
        # On a GPU the state is copied from the file page by page: processes need no memory of their own for it.
        state = torch.load(path, weights_only=True, map_location="cpu", mmap=self.device.type == "cuda")
        before = state["key"] if isinstance(state["key"], dict) else None
        if not goes_on(path, before, key, cost_of(state), say=processes.main):
            if processes.main:
                path.unlink(missing_ok=True)
            return
        self.load(state, path)
        if not same_key(before, key):
            self.changes = [*self.changes, {"step": self.step, "changed": differences(before or {}, key)}]

    def load(self, state: dict[str, Any], path: Path) -> None:
        """Take over a state.

        Raises
        ------
        ChangedError
            If it is of another model.
        """
        shapes = {name: tuple(tensor.shape) for name, tensor in _state_weights(self.model).items()}
        if shapes != {name: tuple(tensor.shape) for name, tensor in state["model"].items()}:
            raise ChangedError(f"{path} holds the weights of another model, which cannot be trained on: give --restart")
        self.model.load_state_dict(state["model"], strict=False)
        self.optimiser.load_state_dict(state["optimiser"])
        for group in self.optimiser.param_groups:  # today's, which are the state's unless the key is another
            group.update(betas=self.settings.betas, weight_decay=self.settings.weight_decay)
        if self.average:
            average = state["average"] or {name: p.detach().clone() for name, p in self.parameters.items()}
            self.average = {n: t.to(self.device) for n, t in average.items()}
        self.rows, self.step, self.sessions = state["rows"], state["step"], _sessions_of(state)
        self.changes = state.get("changes", [])

    def save(self, path: Path, key: dict[str, Any], sessions: list[dict[str, Any]]) -> None:
        """Save the state whole or not at all, and beside it, for people, what it is of."""
        state = {
            "key": key,
            "model": _state_weights(self.model),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
            "rows": self.rows,
            "step": self.step,
            "sessions": sessions,
            "changes": self.changes,
        }
        with atomic_write(path) as temporary:
            torch.save(state, temporary)
        write_json(path.with_name(KEY), {"key": key, "work": cost_of(state)})

    def update(self) -> torch.Tensor | None:
        """One optimiser step with the accumulated gradient; returns its norm, if it is clipped."""
        settings, norm = self.settings, None
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate * settings.factor(self.step)
        if settings.gradient_clip is not None:
            norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), settings.gradient_clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average and (decay := settings.decay(self.step)) < 1:
            weights = [p.detach() for p in self.parameters.values()]
            get_ema_multi_avg_fn(decay)(list(self.average.values()), weights, None)
        self.step += 1
        return norm

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights to use, copied to the CPU."""
        weights = {name: tensor.detach().cpu().clone() for name, tensor in _state_weights(self.model).items()}
        return {**weights, **{name: tensor.cpu().clone() for name, tensor in self.average.items()}}


def _gradient(
    objective: nn.Module, make_batch: MakeBatch, run: _Run, seed: int, processes: Processes
) -> list[dict[str, torch.Tensor]]:
    """Accumulate the gradient of one optimiser step; the values of every part of its batch, on the device."""
    settings, parts = run.settings, []
    for part in range(settings.accumulation):
        index = run.step * settings.accumulation + part
        generator = torch.Generator().manual_seed(seed_for(seed, "batch", index))
        torch.manual_seed(seed_for(seed, "dropout", index))
        batch = make_batch(index, generator)
        with processes.averaging(objective, now=part + 1 == settings.accumulation):
            with settings.autocast(run.device):
                values = objective(batch, generator)
            (values["loss"] / settings.accumulation).backward()
        parts.append({name: value.detach() for name, value in values.items()})
    return parts


class _Clock:
    """Where the seconds of a run were spent, this process's included."""

    def __init__(self, before: list[dict[str, Any]], device: torch.device, count: int) -> None:
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        self._before, self._begun = before, time.monotonic()
        self._here = {"device": name, "kind": device.type, "count": count}

    def sessions(self) -> list[dict[str, Any]]:
        """All until now; those of the same devices are one."""
        spent = time.monotonic() - self._begun
        same = [entry for entry in self._before if self._here.items() <= entry.items()]
        others = [entry for entry in self._before if entry not in same]
        return [*others, {**self._here, "seconds": spent + sum(entry["seconds"] for entry in same)}]


def train(
    model: Network,
    make_batch: MakeBatch,
    loss: Loss[Network],
    settings: LoopSettings,
    *,
    seed: int,
    resume_dir: str | Path,
    key: Mapping[str, Any],
    label: str,
    processes: Processes = ALONE,
    curves_dir: str | Path | None = None,
) -> Trained:
    """Train the parameters of `model` that require a gradient.

    Parameters
    ----------
    model : nn.Module
        Already initialised (deterministically) and on its device.
    make_batch : callable (index, generator) -> batch
        Draws batch number `index`; all its randomness comes from `generator` (CPU). One of several processes returns
        its share of the batch, and has drawn for the whole of it.
    loss : callable (model, batch, generator) -> dict
        Scalars; ``"loss"`` is minimised, the others are recorded. `generator` continues from `make_batch`.
    settings : LoopSettings
    seed : int
        Seed of the run.
    resume_dir : path
        Where the state of an unfinished run is kept (and removed by the caller when results stand).
    key : mapping
        Everything else that decides the result, JSON-serialisable: digests of data, versions.
    label : str
        Name shown in the progress.
    processes : Processes
        Those that train together; a run may go on with another number of them.
    curves_dir : path, optional
        Where loss curves for TensorBoard go.

    Returns
    -------
    Trained

    Raises
    ------
    ChangedError
        If there is the state of a run of another key, settings or seed, and nobody said what to do with it.
    EndedBySignal
        After SIGTERM or SIGUSR1: the step in hand is finished and the state saved. Several processes on GPUs finish up
        to :data:`~cafa.training.step_values.STEPS_AT_ONCE` steps.
    """
    decides = {**key, "loop": settings.model_dump(mode="json", exclude={"save_every_seconds"}), "seed": seed}
    run_key: dict[str, Any] = json.loads(json.dumps(decides))
    state_path = Path(resume_dir) / STATE
    run = _Run(model, settings, average=settings.ema_decay is not None and processes.main)
    run.restore(state_path, run_key, processes)
    objective = processes.prepare(Objective(model, loss))
    curves = Curves(curves_dir, run.rows) if curves_dir is not None and processes.main else None
    model.train()
    clock, saved = _Clock(run.sessions, run.device, processes.share.count), time.monotonic()
    steps, values, at_once = range(run.step, settings.steps), StepValues(processes), steps_at_once(run.device)
    devices = [run.device] if run.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), settings.arithmetic(), deferred() as asked:
        for _ in progress(steps, label, settings.steps, run.step) if processes.main else steps:
            parts = _gradient(objective, make_batch, run, seed, processes)
            values.add(run.step, parts, run.update())
            processes.check()
            alone_and_asked = processes.share.count == 1 and bool(asked)
            if run.step % at_once and run.step < settings.steps and not alone_and_asked:
                continue
            rows, ending = values.read(bool(asked))
            run.rows += rows
            if curves is not None:
                for row in rows:
                    curves.add(row)
            due = (ending or time.monotonic() - saved >= settings.save_every_seconds) and run.step < settings.steps
            if due and processes.main:
                saved = time.monotonic()
                run.save(state_path, run_key, clock.sessions())
            if ending and run.step < settings.steps:
                processes.wait()  # for the one that saves: the end of any other would end it
                raise EndedBySignal(f"asked to end; {run.step} of {settings.steps} steps of {label} are saved")
    if curves is not None:
        curves.close()
    model.eval()
    sessions = clock.sessions()
    seconds = sum(entry["seconds"] for entry in sessions)
    weights = run.weights() if processes.main else {}
    return Trained(weights, pd.DataFrame(run.rows), seconds, sessions, run.changes)
