"""Embedding the files of an evaluation: each decoded once, kept on disk, and the reference embedded once for all."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cafa.errors import ClipError
from cafa.ledger import OK
from cafa.progress import progress
from cafa.shards import batches_of_shard
from metrics.embedding import CAPTIONS, SOUND_COLUMNS, VIDEO, open_tables
from metrics.embeddings import CLIP_KEY, SAMPLE_KEY, TEXT_KEY
from metrics.evaluation_cache import EmbeddingCache
from metrics.evaluation_files import Located
from metrics.evaluation_judges import Columns, Heard, Panel


@dataclass(frozen=True)
class SoundItem:
    """A sound that is to be embedded, under the picture of a clip."""

    name: str
    clip_id: str
    file: Located


@dataclass(frozen=True)
class Outcome:
    """What became of a picture or a sound: ``ok`` or a reason of the ledger, and what was found."""

    status: str
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class Embedder:
    """Looks at pictures and listens to sounds, and remembers.

    Parameters
    ----------
    panel : Panel
    cache : EmbeddingCache
    batch_size : int
        Sounds that are judged together. Batches are cut from the ordered list, so an interruption moves no bit.
    """

    def __init__(self, panel: Panel, cache: EmbeddingCache, batch_size: int) -> None:
        self.panel, self.cache, self.batch_size = panel, cache, batch_size
        #: Outcome by name of item.
        self.outcomes: dict[str, Outcome] = {}
        self._pictures: dict[str, str] = {}

    def look(self, pictures: Mapping[str, Located]) -> None:
        """Embed the clips' pictures, unless no judge sees."""
        if not self.panel.sees:
            return
        for clip_id in progress(sorted(pictures), "pictures", len(pictures)):
            located, item = pictures[clip_id], picture_item(clip_id)
            source = self._pictures[clip_id] = located.digest()
            if not self.cache.finished(item, source):
                try:
                    self.cache.put(item, source, self.panel.look(located.checked()), {})
                except ClipError as error:
                    self._failed(item, source, error)
                    continue
            self._settle(item)

    def listen(self, items: Sequence[SoundItem], judges: Collection[str], label: str) -> None:
        """Embed sounds; those whose clip has no usable picture are left out, with its reason."""
        batches = batches_of_shard(items, self.batch_size, 0, 1)
        for batch in progress(batches, label, len(batches)):
            usable, sources = [], {}
            for item in batch:
                picture = self.outcomes.get(picture_item(item.clip_id), Outcome(OK))
                if picture.status != OK:
                    self.outcomes[item.name] = Outcome(picture.status, f"the clip's picture: {picture.detail}")
                    continue
                usable.append(item)
                digest = item.file.digest()
                sources[item.name] = digest and digest + self._pictures.get(item.clip_id, "")
            if all(self.cache.finished(item.name, sources[item.name]) for item in usable):
                for item in usable:
                    self._settle(item.name)
            else:
                self._listen(usable, sources, judges)

    def _listen(self, batch: Sequence[SoundItem], sources: Mapping[str, str], judges: Collection[str]) -> None:
        heard: list[tuple[SoundItem, Heard]] = []
        for item in batch:
            try:
                heard.append((item, self.panel.hear(item.file.checked(), judges)))
            except ClipError as error:
                self._failed(item.name, sources[item.name], error)
        if not heard:
            return
        seen = [self._seen(item.clip_id) for item, _ in heard]
        found = self.panel.listen([sound for _, sound in heard], seen, judges)
        for row, (item, sound) in enumerate(heard):
            arrays = {f"{judge}.{name}": v[row] for judge, columns in found.items() for name, v in columns.items()}
            sha256 = sources[item.name][:64]
            facts = {"sample_rate": sound.sample_rate, "note": sound.note, "sha256": sha256}
            self.cache.put(item.name, sources[item.name], arrays, facts)
            self._settle(item.name)

    def _seen(self, clip_id: str) -> Columns:
        return self.cache.arrays(picture_item(clip_id)) if self.panel.sees else {}

    def _failed(self, item: str, source: str, error: ClipError) -> None:
        if source:  # what is not there is looked for again every time
            self.cache.put_failure(item, source, error)
        self.outcomes[item] = Outcome(error.reason, error.detail)

    def _settle(self, item: str) -> None:
        try:
            self.outcomes[item] = Outcome(OK, facts=self.cache.facts(item))
        except ClipError as error:
            self.outcomes[item] = Outcome(error.reason, error.detail)

    def columns(self, item: str) -> dict[str, Columns]:
        """Columns of every judge for one sound, shape (1, values) each."""
        found: dict[str, Columns] = {}
        for name, array in self.cache.arrays(item).items():
            judge, _, column = name.partition(".")
            found.setdefault(judge, {})[column] = array[None]
        return found


def picture_item(clip_id: str) -> str:
    """Name of a clip's picture among the items."""
    return f"picture/{clip_id}"


def write_truth(embedder: Embedder, items: Iterable[SoundItem], folder: Path) -> None:
    """Write the clips' own embeddings, ``<judge>.parquet``: of the classifier, and of pictures where they are seen."""
    panel = embedder.panel
    columns: dict[str, tuple[str, ...]] = {"classifier": SOUND_COLUMNS["classifier"]}
    if "imagebind" in panel.judges:
        columns["imagebind"] = (VIDEO,)
    paths = {judge: folder / f"{judge}.parquet" for judge in columns}
    with open_tables(panel, CLIP_KEY, paths, columns) as tables:
        for item in items:
            found = {"classifier": embedder.columns(item.name)["classifier"]}
            if "imagebind" in columns:
                seen = embedder.cache.arrays(picture_item(item.clip_id))
                found["imagebind"] = {VIDEO: seen["imagebind_video"][None]}
            tables.add({"clip_id": [item.clip_id]}, found)


def write_generated(embedder: Embedder, rows: Iterable[tuple[Mapping[str, str], str]], folder: Path) -> None:
    """Write a system's embeddings, ``<judge>.parquet``; `rows` are keys and names of items."""
    columns = {judge: SOUND_COLUMNS[judge] for judge in embedder.panel.judges}
    paths = {judge: folder / f"{judge}.parquet" for judge in columns}
    with open_tables(embedder.panel, SAMPLE_KEY, paths, columns) as tables:
        for key, item in rows:
            tables.add({name: [key[name]] for name in SAMPLE_KEY}, embedder.columns(item))


def write_text(panel: Panel, captions: Collection[str], path: Path) -> None:
    """Write CLAP's embedding of every different caption."""
    batches = batches_of_shard(sorted(set(captions)), CAPTIONS, 0, 1)
    with open_tables(panel, TEXT_KEY, {"clap": path}, {"clap": ("embedding",)}) as tables:
        for batch in batches:
            tables.add({"caption": batch}, {"clap": {"embedding": np.asarray(panel.read(batch))}})
