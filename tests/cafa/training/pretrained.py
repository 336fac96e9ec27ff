"""Features for tiny registered backbones, as the stages before training leave them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cafa.features.store import FeatureStore, write_features
from cafa.features.text import text_id
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.registry import read_card
from cafa.training.adapter import AdapterTraining, train_adapter
from cafa.training.generator import TrainingData, TrainingRun
from tests.cafa.training.tiny import loop
from tests.tiny_pretrained import make_registered

CLIPS, FEATURES, WIDTH = 8, 16, 8
CAPTIONS = ("a dog barks", "loud music", "a loud dog")


@dataclass
class Phase:
    """A data set's feature files for one backbone."""

    manifest: pd.DataFrame
    latents: FeatureStore
    text: FeatureStore
    av_clip: FeatureStore
    clip: FeatureStore


def write_phase(models: Path, backbone: str, folder: Path, seed: int = 0, window: int | None = None) -> Phase:
    """Random features, stamped as those of the registered encoders; text in two files."""
    rng = np.random.default_rng(seed)
    card = read_card(models / backbone)
    clips = [f"clip{seed}_{number}" for number in range(CLIPS)]
    manifest = pd.DataFrame({"clip_id": clips, "caption": [CAPTIONS[n % 3] for n in range(CLIPS)], "split": "train"})
    channels, latents = card["facts"]["latent_shape"]
    encoders = {**card["encoders"], **{k: read_card(models / k)["encoders"][k] for k in ("av_clip", "clip")}}
    shapes = {"latents": (window or latents, channels), "av_clip": (FEATURES, WIDTH), "clip": (FEATURES, WIDTH)}
    for kind, shape in shapes.items():
        arrays = ((clip, rng.standard_normal(shape)) for clip in clips)
        write_features(
            folder / f"{kind}.arrow", arrays, kind=kind, shape=shape, dtype="float16", encoder=encoders[kind]
        )
    shape = tuple(card["facts"]["text_shape"])
    for number, captions in enumerate((CAPTIONS[:1], CAPTIONS[1:])):
        states = np.zeros((len(captions), *shape))
        states[:, :4] = rng.standard_normal((len(captions), 4, shape[1]))
        pairs = ((text_id(caption), array) for caption, array in zip(captions, states, strict=True))
        write_features(
            folder / f"text{number}.arrow",
            pairs,
            kind="text",
            shape=shape,
            dtype="float16",
            encoder=encoders["text"],
            trimmed=True,
        )
    stores = {kind: FeatureStore([folder / f"{kind}.arrow"]) for kind in shapes}
    return Phase(manifest, text=FeatureStore([folder / "text0.arrow", folder / "text1.arrow"]), **stores)


class PretrainedWorld:
    """Tiny registered models, two data sets, and adapters trained on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = make_registered(folder)
        self.phases = {
            name: write_phase(self.models, backbone, folder / name, seed)
            for name, backbone, seed in (("first", "backbone", 1), ("second", "backbone", 2), ("tf", "tangoflux", 3))
        }

    def train(
        self,
        output: str,
        phase: str = "first",
        *,
        clip: bool = False,
        start_from: Path | None = None,
        changes: dict | None = None,
        seed: int = 1,
        processes=None,
        **loop_changes,
    ) -> Path:
        """Train an adapter; returns its folder."""
        data = self.phases[phase]
        model = AdapterSettings(feature_dim=WIDTH, clip_dim=WIDTH if clip else 0, hint_dim=12, dropout=0.1)
        settings = AdapterTraining(**{"loop": loop(**loop_changes), "seconds": 10.0, "model": model, **(changes or {})})
        more = {} if processes is None else {"processes": processes}
        video = [data.clip, data.av_clip] if clip else [data.av_clip]
        train_adapter(
            settings,
            TrainingData(data.manifest, data.latents, data.text, video, phase),
            self.models / ("tangoflux" if phase == "tf" else "backbone"),
            TrainingRun(seed, self.models / output, **more),
            start_from=start_from,
        )
        return self.models / output
