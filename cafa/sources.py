"""Sources of the systems that make sound: models, and the controls of the rendered world."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cafa.errors import ClipError, InputError
from cafa.features.text import text_id
from cafa.generation import Generator, Request
from cafa.samples import PromptRow
from cafa.seeds import seed_for
from cafa.store import FeatureStore
from cafa.systems import GenerativeSystem


@dataclass
class GeneratedSounds:
    """Sounds of a generative system.

    Parameters
    ----------
    generator : Generator
    text : FeatureStore
        Text states of all captions.
    video : FeatureStore or None
        Video features; None for a text-only system.
    seed : int
        Base seed.
    """

    generator: Generator
    text: FeatureStore
    video: FeatureStore | None
    seed: int

    def __post_init__(self) -> None:
        self.sample_rate = self.generator.sample_rate
        for name, store in (("text", self.text), ("video", self.video)):
            if store is not None and store.encoder_digest != self.generator.inputs[name]:
                raise InputError(
                    f"{name} features of encoder {store.encoder} do not belong to the model, which was trained with "
                    f"digest {self.generator.inputs[name][:12]}: make the features again, or train again"
                )

    def sounds(self, rows: Sequence[PromptRow]) -> list[np.ndarray | ClipError]:
        """See :class:`cafa.samples.SoundSource`."""
        have = [row for row in rows if self.video is None or row.clip_id in self.video]
        made = iter(self.generator.generate([self._request(row) for row in have]) if have else [])
        missing = ClipError("missing_feature", "no video features for the clip")
        return [missing if self.video is not None and row.clip_id not in self.video else next(made) for row in rows]

    def _request(self, row: PromptRow) -> Request:
        video = self.video[row.clip_id] if self.video is not None else None
        return Request(self.text[text_id(row.caption)], video, seed_for(self.seed, row.clip_id, row.caption_id))


def open_generated(
    system: GenerativeSystem, models: str | Path, features: str | Path, clip_shards: int, seed: int, device: str
) -> GeneratedSounds:
    """Load a system's models and open the features it needs.

    Parameters
    ----------
    system : GenerativeSystem
    models : path
        Folder of model folders.
    features : path
        Folder of the data set's features (``text.arrow``, ``av_clip/<shard>.arrow``).
    clip_shards : int
        Shards of the data set.
    seed : int
        Base seed.
    device : str
    """
    features = Path(features)
    generator = Generator(system, models, device)
    video = None
    if generator.needs_video:
        video = FeatureStore([features / "av_clip" / f"{shard}.arrow" for shard in range(clip_shards)])
    return GeneratedSounds(generator, FeatureStore([features / "text.arrow"]), video, seed)


def describe(source: Any) -> dict[str, Any]:
    """What a generated source depends on, for the key of its journal."""
    video = source.video.encoder_digest if source.video is not None else None
    return {"inputs": source.generator.inputs, "text": source.text.encoder_digest, "video": video}
