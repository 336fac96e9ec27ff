"""Training of an adapter on a frozen backbone: CAFA, CAFA-C, CAFA-TF, and the miniature's, by the same code."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from cafa.common.errors import InputError
from cafa.diffusion.guidance import adapted_velocity
from cafa.features.store import FeatureStore
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.block_denoiser import BlockStack
from cafa.models.float8 import hold_in_float8
from cafa.models.interface import VideoAdapter
from cafa.models.loading import ADAPTER
from cafa.models.precision import hold_linear_layers
from cafa.models.registry import open_adapter
from cafa.training.activation_memory import Choice, Recomputed, choose, free_bytes, held_bytes
from cafa.training.distillation import GuidanceDistillation, check_pairs, open_teacher, swap_captions
from cafa.training.distributed import WHOLE, Share
from cafa.training.frozen_backbone import FrozenBackbone, open_frozen
from cafa.training.generator import (
    GeneratorTraining,
    TrainingData,
    TrainingRun,
    condition_batch,
    seeded,
    train_generator,
)
from cafa.training.objective import velocity_loss


class AdapterTraining(GeneratorTraining):
    """Settings of adapter training."""

    model: AdapterSettings = Field(description="size of the adapter's video input")
    gradient_checkpointing: Literal["none", "adapter", "all", "auto"] = Field(
        "none",
        description="blocks that are run again in the backward pass to save memory; all = the backbone's too; auto = "
        "as few as a GPU's free memory asks for, and none on a CPU (the card says which)",
    )
    residual: Literal["as_autocast", "float32"] = Field(
        "as_autocast",
        exclude_if=lambda kind: kind == "as_autocast",
        description="precision of what passes from block to block under bf16: as_autocast = 16 bits; float32 = what a "
        "block adds is not rounded to 16 bits of the sum (more memory)",
    )
    frozen_float8: bool = Field(
        False,
        exclude_if=lambda float8: not float8,
        description="experiment: multiply in float8 in the linear layers of the frozen blocks, with a scale for each "
        "output channel and token; needs bf16; saves time on GPUs of Hopper's kind or later alone",
    )
    compiled: bool = Field(
        False,
        exclude_if=lambda compiled: not compiled,  # records of before are those of the same settings
        description="compile the blocks (torch.compile): faster steps on a GPU, another rounding; needs a C++ "
        "compiler, and some minutes at the start",
    )
    guidance_distillation: GuidanceDistillation | None = Field(
        None,
        exclude_if=lambda distillation: distillation is None,
        description="learn the guided velocity of the adapter that the training starts from, so that one pass samples "
        "what guidance needs two for; by default the velocity of the data is learned",
    )

    @model_validator(mode="after")
    def _float8_beside_16_bits(self) -> "AdapterTraining":
        """Float32 training is for exact numbers."""
        if self.frozen_float8 and not self.loop.bf16:
            raise ValueError("frozen_float8 is for training in 16 bits: set loop.bf16, or leave it out")
        return self

    @model_validator(mode="after")
    def _without_dropped_captions(self) -> "AdapterTraining":
        """With a null text there is nothing to guide to."""
        if self.guidance_distillation is not None and self.objective.caption_dropout:
            raise ValueError(
                f"guidance_distillation: objective.caption_dropout is {self.objective.caption_dropout:g}: set it to 0, "
                "the student is never sampled without its caption"
            )
        return self


def train_adapter(
    settings: AdapterTraining,
    data: TrainingData,
    backbone_folder: str | Path,
    run: TrainingRun,
    *,
    start_from: str | Path | None = None,
) -> None:
    """Train an adapter on a frozen backbone; it starts as a copy of the backbone's blocks, or from another adapter.

    Parameters
    ----------
    settings : AdapterTraining
    data : TrainingData
        Its video features are one store per kind: AV-CLIP, and CLIP for CAFA-C.
    backbone_folder : path
        Of a trained or a registered backbone.
    run : TrainingRun
    start_from : path, optional
        Model folder of the adapter whose weights (their moving average, if it has one) are the first; the phase before,
        or the teacher of a guidance distillation.

    Raises
    ------
    InputError
        If latents or text states are not of the encoders that the backbone was trained with, video features do not
        fit, or the adapter to start from is another.
    """
    where = run.processes.device(run.device)
    frozen = open_frozen(backbone_folder, where, data.latents.shape[0], settings.model.latents)
    frozen.check(data.latents, data.text, settings.model.latents)
    data = replace(data, video=in_order(data.video, settings.model))
    if settings.loop.bf16:
        hold_linear_layers(frozen.denoiser.transformer_blocks(), torch.bfloat16)
    adapter = seeded(run.seed, lambda: frozen.denoiser.new_adapter(settings.model))
    assert isinstance(adapter, nn.Module)
    adapter.copy_backbone(frozen.denoiser)
    if settings.frozen_float8:
        hold_in_float8(frozen.denoiser.transformer_blocks())
    extra: dict[str, Any] = {"backbone_sha256": frozen.weights_sha256, "backbone_model": frozen.name, "phases": []}
    if start_from is not None:
        extra |= start(adapter, start_from, frozen, data.video)
    path = frozen.denoiser.flow_path
    if settings.residual == "float32":
        keep_float32_residual(adapter, frozen)
    distillation, teacher = settings.guidance_distillation, None
    if distillation is not None:
        check_pairs(distillation, settings.loop.batch_size, run.processes.share.count)
        teacher = open_teacher(distillation, start_from, frozen, where)

    def loss(
        model: VideoAdapter, batch: dict[str, Tensor], generator: torch.Generator, share: Share = WHOLE
    ) -> dict[str, Tensor]:
        if distillation is not None:
            batch = {**batch, "text": swap_captions(batch["text"], distillation.other_captions, generator, share)}
        conditioning = condition_batch(frozen.condition, batch, settings, generator, share)
        velocity = lambda z, t: adapted_velocity(frozen.denoiser, model, z, t, conditioning, batch["video"])  # noqa: E731
        guided = None if teacher is None else teacher.velocity(conditioning, batch["video"])
        value = velocity_loss(
            velocity, batch["latents"], settings.objective, generator, path=path, share=share, teacher=guided
        )
        return {"loss": value}

    told = set_blocks(settings, adapter.to(where), frozen, data, run, loss)
    train_generator(
        ADAPTER,
        adapter,
        loss,
        settings,
        data,
        run,
        code="train_adapter",
        extra=extra,
        silence=frozen.silence,
        told=told,
    )


def keep_float32_residual(adapter: Any, frozen: FrozenBackbone) -> None:
    """Have both networks keep what passes from block to block in float32.

    Raises
    ------
    InputError
        If one of them is no network of blocks.
    """
    for network in (adapter, frozen.denoiser):
        if not isinstance(network, BlockStack):
            raise InputError(f"residual: float32 is for networks of blocks, which {frozen.name} is not: leave it out")
        network.float32_residual = True


def set_blocks(
    settings: AdapterTraining,
    adapter: Any,
    frozen: FrozenBackbone,
    data: TrainingData,
    run: TrainingRun,
    loss: Callable[..., dict[str, Tensor]],
) -> dict[str, Any]:
    """Have blocks run again or compiled, as settings say; returns what the card tells of it."""
    told, recomputed = {}, settings.gradient_checkpointing
    if recomputed == "auto":
        choice = choose_recomputed(settings, adapter, frozen, data, run, loss)
        told, recomputed = {"chosen": choice.on_card()}, choice.recomputed
    recompute(adapter, frozen, recomputed)
    if settings.compiled:
        adapter.compile_blocks()
        frozen.denoiser.compile_blocks()
    return told


def recompute(adapter: Any, frozen: FrozenBackbone, blocks: Recomputed) -> None:
    """Have no blocks, those of the adapter, or all run again in the backward pass."""
    adapter.gradient_checkpointing = blocks != "none"
    frozen.denoiser.gradient_checkpointing = blocks == "all"


def choose_recomputed(
    settings: AdapterTraining,
    adapter: nn.Module,
    frozen: FrozenBackbone,
    data: TrainingData,
    run: TrainingRun,
    loss: Callable[..., dict[str, Tensor]],
    free: Callable[[torch.device], int | None] = free_bytes,
) -> Choice:
    """Which blocks have to be run again so that a step fits into the memory of the device.

    What one clip holds is measured on the device with each choice until one fits; the size of a batch follows.

    Parameters
    ----------
    settings : AdapterTraining
    adapter : nn.Module
        On its device.
    frozen : FrozenBackbone
    data : TrainingData
    run : TrainingRun
    loss : callable
        Of the adapter, as it is trained.
    free : callable
        Free memory of a device in bytes, or None.
    """
    where = run.processes.device(run.device)
    window = settings.model.latents or frozen.denoiser.settings.latents
    shapes = {
        "latents": (frozen.denoiser.settings.latent_channels, window),
        "text": data.text.shape,
        "video": (data.video[0].shape[0], sum(store.shape[1] for store in data.video)),
    }
    batch = {name: torch.zeros(1, *shape, device=where) for name, shape in shapes.items()}
    trainable = [weight for weight in adapter.parameters() if weight.requires_grad]

    def held(choice: Recomputed) -> int:
        recompute(adapter, frozen, choice)
        generator = torch.Generator().manual_seed(0)
        random = torch.random.fork_rng(devices=[where] if where.type == "cuda" else [])
        step = lambda: loss(adapter, batch, generator)["loss"]  # noqa: E731
        with random, settings.loop.arithmetic(), settings.loop.autocast(where):
            return held_bytes(step, [*adapter.parameters(), *frozen.denoiser.parameters(), *frozen.denoiser.buffers()])

    adapter.train()
    items = settings.loop.batch_size // run.processes.share.count
    return choose(held, items, len(frozen.denoiser.transformer_blocks()), trainable, free(where))


def in_order(video: Sequence[FeatureStore], settings: AdapterSettings) -> list[FeatureStore]:
    """Stores of video features in the order that the adapter takes them; refused if they do not fit it."""
    kinds = [store.kind for store in video]
    wanted = list(settings.video_kinds)
    widths = dict(zip(wanted, settings.widths, strict=True))
    if sorted(kinds) != sorted(wanted):
        raise InputError(
            f"the adapter takes video features of kind {' and '.join(wanted)} (clip_dim is {settings.clip_dim}), "
            f"given are {' and '.join(kinds)}"
        )
    for store in video:
        if len(store.shape) != 2 or store.shape[1] != widths[store.kind]:
            raise InputError(
                f"{store.kind} features {store.shape} do not fit the adapter's width {widths[store.kind]}: feature_dim "
                f"and clip_dim of {settings}"
            )
    if len({store.shape[0] for store in video}) > 1:
        raise InputError(f"video features of several lengths cannot be joined: {[store.shape for store in video]}")
    return sorted(video, key=lambda store: wanted.index(store.kind))


def start(
    adapter: nn.Module, folder: str | Path, frozen: FrozenBackbone, video: Sequence[FeatureStore]
) -> dict[str, Any]:
    """Give `adapter` the weights of another one; returns what the card says of it."""
    first, card = open_adapter(folder, frozen)
    for store in video:
        known = card.get("inputs", {}).get(store.kind, store.encoder_digest)
        if known != store.encoder_digest:
            raise InputError(
                f"{store.kind} features were made by encoder {store.encoder} (digest {store.encoder_digest[:12]}), but "
                f"the adapter in {folder} was trained with digest {known[:12]}: make the features with that encoder"
            )
    try:
        adapter.load_state_dict(first.state_dict())
    except RuntimeError as error:
        raise InputError(f"the adapter in {folder} is of another size than the settings say: {error}") from error
    before = card.get("phases") or [{"data": card.get("model", "unknown"), "steps": None}]
    return {"start": {"weights_sha256": card["weights_sha256"]}, "phases": before}
