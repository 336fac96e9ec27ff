"""Sounds that models make, from the stored features of a data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cafa.common.errors import ClipError, InputError
from cafa.common.prefetch import begun
from cafa.common.seeds import seed_for
from cafa.common.shards import shard_files
from cafa.data.wording import Wording
from cafa.features.store import FeatureStore
from cafa.features.text import text_id
from cafa.generation.interface import Request, SoundGenerator
from cafa.generation.opening import open_generator
from cafa.generation.sources import PromptRow, SampleContext
from cafa.generation.systems import GenerativeSystem


@dataclass
class GeneratedSounds:
    """Sounds of a generative system.

    Parameters
    ----------
    generator : SoundGenerator
    text : FeatureStore
        Text states of all captions.
    video : dict of str to FeatureStore
        Video features by kind: those that the generator wants.
    seed : int
        Base seed.
    threads : int
        Threads of torch, which the bits of sounds depend on.
    wording : Wording
        What the generator is told of a row, where that is not its caption.
    """

    generator: SoundGenerator
    text: FeatureStore
    video: dict[str, FeatureStore]
    seed: int
    threads: int = 1
    wording: Wording = field(default_factory=Wording)

    def __post_init__(self) -> None:
        self.sample_rate = self.generator.sample_rate
        identity, inputs = self.generator.identity, self.generator.inputs
        self.depends: dict[str, Any] = {"models": identity, "inputs": inputs, "threads": self.threads}
        for name, store in {"text": self.text, **self.video}.items():
            if store.encoder_digest != self.generator.inputs[name]:
                raise InputError(
                    f"{name} features of encoder {store.encoder} do not belong to the model, which was trained with "
                    f"digest {self.generator.inputs[name][:12]}: make the features again, or train again"
                )

    def sounds(self, rows: Sequence[PromptRow]) -> list[np.ndarray | ClipError]:
        """See :class:`cafa.generation.sources.SoundSource`."""
        return self.begin(rows)()

    def begin(self, rows: Sequence[PromptRow]) -> Callable[[], list[np.ndarray | ClipError]]:
        """See :func:`cafa.common.prefetch.begun`."""
        lacking = {row.clip_id: [k for k, store in self.video.items() if row.clip_id not in store] for row in rows}
        have = [row for row in rows if not lacking[row.clip_id]]
        requests = [self._request(row) for row in have]
        decode = begun(self.generator, self.generator.generate, requests) if have else list

        def sounds() -> list[np.ndarray | ClipError]:
            made = iter(decode())
            return [
                ClipError("missing_feature", f"no {' and no '.join(kinds)} features for the clip")
                if kinds
                else next(made)
                for kinds in (lacking[row.clip_id] for row in rows)
            ]

        return sounds

    def _request(self, row: PromptRow) -> Request:
        arrays = [self.video[kind][row.clip_id] for kind in self.generator.video_kinds]
        video = np.concatenate(arrays, axis=1) if arrays else None
        negative = self.wording.negative_of(row)
        return Request(
            self.text[text_id(self.wording.prompt_of(row))],
            video,
            seed_for(self.seed, row.clip_id, row.caption_id),
            None if negative is None else self.text[text_id(negative)],
        )


@dataclass(frozen=True)
class Stores:
    """Where the features of a data set are.

    Attributes
    ----------
    folder
        Holds ``<text>/<shard>.arrow``, ``av_clip/<shard>.arrow``...
    clip_shards, text_shards
        Shards of the data set's clips, and of its text states.
    text
        Folder of the text states of a system's backbone.
    """

    folder: Path
    clip_shards: int = 1
    text_shards: int = 1
    text: str = "text"

    def of_text(self) -> FeatureStore:
        """States of the captions."""
        return self._opened(self.text, self.text_shards)

    def of_clips(self, kind: str) -> FeatureStore:
        """A kind of video features."""
        return self._opened(kind, self.clip_shards)

    def _opened(self, name: str, count: int) -> FeatureStore:
        return FeatureStore(shard_files(self.folder / name, "{}.arrow", shards=count))


def open_generated(system: GenerativeSystem, context: SampleContext) -> GeneratedSounds:
    """Load a system's models and open the features it needs.

    See :meth:`cafa.generation.systems.SystemKind.open_source`.
    """
    torch.set_num_threads(context.threads)
    files = context.files
    stores = Stores(files.features, files.clip_shards, files.text_shards, files.text)
    generator = open_generator(system, files.models, context.device)
    video = {kind: stores.of_clips(kind) for kind in generator.video_kinds}
    return GeneratedSounds(generator, stores.of_text(), video, context.seed, context.threads, system)
