"""Training of the generator's models: backbone, adapter, joint model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from cafa.adapter import Adapter, AdapterSettings, adapted_velocity
from cafa.backbones.stable_audio import Conditioning, StableAudioBackbone, StableAudioSettings
from cafa.checkpoint import RESUME, load_model, save_model
from cafa.errors import InputError
from cafa.joint import JointModel
from cafa.provenance import code_digest
from cafa.seeds import seed_for
from cafa.store import FeatureStore
from cafa.training.data import EpochOrder, FeatureBatches, clips_with_features
from cafa.training.diffusion import DiffusionSettings, drop_text, keep_mask, velocity_loss
from cafa.training.loop import LoopSettings, train

BACKBONE, ADAPTER, JOINT = "stable_audio_backbone", "adapter", "joint"


class _Common(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: LoopSettings = Field(description="optimisation")
    objective: DiffusionSettings = Field(default_factory=DiffusionSettings, description="what is learned")
    split: str = Field("train", description="split of the manifest to train on")
    seconds: float = Field(gt=0, description="length of a clip, told to the timing conditioners")


class BackboneTraining(_Common):
    """Settings of backbone training."""

    model: StableAudioSettings = Field(description="size of the backbone")


class AdapterTraining(_Common):
    """Settings of adapter training."""

    model: AdapterSettings = Field(description="size of the adapter's video input")


class JointTraining(_Common):
    """Settings of the joint model's training."""

    model: StableAudioSettings = Field(description="size of the denoiser")
    video: AdapterSettings = Field(description="size of the video input")


def seeded(seed: int, build: Callable[[], nn.Module]) -> Any:
    """Build a module with initial weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "initial weights"))
        return build()


def condition_batch(
    backbone: StableAudioBackbone, batch: dict[str, Tensor], settings: _Common, generator: torch.Generator
) -> Conditioning:
    """Conditioning of a batch, with captions dropped at random."""
    count = len(batch["text"])
    device = batch["text"].device
    zero = torch.zeros(count, device=device)
    conditioning = backbone.condition(batch["text"], zero, zero + settings.seconds)
    keep = keep_mask(settings.objective.caption_dropout, count, generator).to(device)
    return drop_text(conditioning, keep)


def load_backbone(folder: str | Path) -> tuple[StableAudioBackbone, dict[str, Any]]:
    """The frozen backbone of a model folder, and its card."""
    weights, card = load_model(folder, BACKBONE)
    backbone = StableAudioBackbone(StableAudioSettings.model_validate(card["settings"]["model"]))
    backbone.load_state_dict(weights)
    return backbone.eval().requires_grad_(False), card


def load_adapter(folder: str | Path, backbone: StableAudioBackbone) -> tuple[Adapter, dict[str, Any]]:
    """The adapter of a model folder, and its card."""
    weights, card = load_model(folder, ADAPTER)
    adapter = Adapter(backbone.settings, AdapterSettings.model_validate(card["settings"]["model"]))
    adapter.load_state_dict(weights)
    return adapter.eval().requires_grad_(False), card


def load_joint(folder: str | Path) -> tuple[JointModel, dict[str, Any]]:
    """The joint model of a model folder, and its card."""
    weights, card = load_model(folder, JOINT)
    settings = card["settings"]
    model = JointModel(
        StableAudioSettings.model_validate(settings["model"]), AdapterSettings.model_validate(settings["video"])
    )
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False), card


def _run(
    kind: str, model: nn.Module, loss: Callable[..., dict[str, Tensor]], settings: _Common, manifest: pd.DataFrame,
    stores: dict[str, FeatureStore], seed: int, output: str | Path, extra: dict[str, Any], device: str,
) -> None:  # fmt: skip
    """Train `model` on a split and write its folder."""
    output = Path(output)
    rows = clips_with_features(manifest, settings.split, [stores[n] for n in ("latents", "video") if n in stores])
    batches = FeatureBatches(rows, stores["latents"], stores["text"], stores.get("video"))
    order = EpochOrder(len(rows), settings.loop.batch_size, seed)
    inputs = {name: store.encoder_digest for name, store in stores.items()}

    def make_batch(index: int, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: tensor.to(device) for name, tensor in batches(order.batch(index)).items()}

    card = {
        "kind": kind, "settings": settings.model_dump(mode="json"), "seed": seed, "clips": len(rows),
        "inputs": inputs, "text_shape": list(stores["text"].shape), "code": code_digest("cafa.training.generator"),
        **extra,
    }  # fmt: skip
    trained = train(
        model.to(device), make_batch, loss, settings.loop, seed=seed, resume_dir=output / RESUME,
        key=[card, rows["clip_id"].tolist()], label=f"train {output.name}",
    )  # fmt: skip
    weights = {**{name: tensor.cpu() for name, tensor in model.state_dict().items()}, **trained.weights}
    save_model(output, weights, {**card, "seconds": trained.seconds}, trained.losses)


def train_backbone(
    settings: BackboneTraining, manifest: pd.DataFrame, latents: FeatureStore, text: FeatureStore, *,
    seed: int, output: str | Path, device: str = "cpu",
) -> None:  # fmt: skip
    """Train a text-to-audio backbone on sound and captions only."""
    if latents.shape[1] != settings.model.latent_channels or text.shape[1] != settings.model.text_dim:
        raise InputError(
            f"latents {latents.shape} and text states {text.shape} do not fit the backbone's latent_channels "
            f"{settings.model.latent_channels} and text_dim {settings.model.text_dim}"
        )
    model = seeded(seed, lambda: StableAudioBackbone(settings.model))

    def loss(model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        conditioning = condition_batch(model, batch, settings, generator)
        velocity = lambda z, t: model(z, t, conditioning)  # noqa: E731
        return {"loss": velocity_loss(velocity, batch["latents"], settings.objective, generator)}

    stores = {"latents": latents, "text": text}
    _run(BACKBONE, model, loss, settings, manifest, stores, seed, output, {}, device)


def train_adapter(
    settings: AdapterTraining, manifest: pd.DataFrame, backbone_folder: str | Path, latents: FeatureStore,
    text: FeatureStore, video: FeatureStore, *, seed: int, output: str | Path, device: str = "cpu",
) -> None:  # fmt: skip
    """Train an adapter on a frozen backbone; it starts as a copy of the backbone's blocks.

    Raises
    ------
    InputError
        If latents or text states are not of the encoders that the backbone was trained with.
    """
    backbone, card = load_backbone(backbone_folder)
    check_inputs(card, {"latents": latents, "text": text})
    if video.shape[1] != settings.model.feature_dim:
        raise InputError(f"video features {video.shape} do not fit the adapter's feature_dim {settings.model}")
    backbone.to(device)
    adapter = seeded(seed, lambda: Adapter(backbone.settings, settings.model))
    adapter.copy_backbone(backbone)

    def loss(model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        conditioning = condition_batch(backbone, batch, settings, generator)
        velocity = lambda z, t: adapted_velocity(backbone, model, z, t, conditioning, batch["video"])  # noqa: E731
        return {"loss": velocity_loss(velocity, batch["latents"], settings.objective, generator)}

    stores = {"latents": latents, "text": text, "video": video}
    extra = {"backbone_sha256": card["weights_sha256"]}
    _run(ADAPTER, adapter, loss, settings, manifest, stores, seed, output, extra, device)


def train_joint(
    settings: JointTraining, manifest: pd.DataFrame, latents: FeatureStore, text: FeatureStore, video: FeatureStore,
    *, seed: int, output: str | Path, device: str = "cpu",
) -> None:  # fmt: skip
    """Train a joint model of video and text from scratch."""
    model = seeded(seed, lambda: JointModel(settings.model, settings.video))

    def loss(model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        conditioning = condition_batch(model.backbone, batch, settings, generator)
        keep = keep_mask(settings.objective.video_dropout, len(batch["video"]), generator).to(device)
        velocity = lambda z, t: model(z, t, conditioning, batch["video"], keep)  # noqa: E731
        return {"loss": velocity_loss(velocity, batch["latents"], settings.objective, generator)}

    stores = {"latents": latents, "text": text, "video": video}
    _run(JOINT, model, loss, settings, manifest, stores, seed, output, {}, device)


def check_inputs(card: dict[str, Any], stores: dict[str, FeatureStore]) -> None:
    """Refuse features that are not of the encoders a model was trained with."""
    for name, store in stores.items():
        wanted = card["inputs"][name]
        if store.encoder_digest != wanted:
            raise InputError(
                f"{name} features were made by encoder {store.encoder} (digest {store.encoder_digest[:12]}), but the "
                f"{card['kind']} was trained with digest {wanted[:12]}: make the features with that encoder, or train "
                "again"
            )
