"""Embedding files with a panel of judges: each decoded once, kept on disk, the reference embedded once for all."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cafa.common.errors import ClipError
from cafa.common.ledger import OK
from cafa.common.prefetch import ahead
from cafa.common.progress import progress
from cafa.common.shards import batches_of_shard
from metrics.embedding.cache import EmbeddingCache
from metrics.embedding.located import Located
from metrics.embedding.reading import CLIP_KEY, SAMPLE_KEY, TEXT_KEY
from metrics.embedding.writing import CAPTIONS, SOUND_COLUMNS, VIDEO, open_tables
from metrics.judges.interface import Columns, Heard, Panel


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


class Pictures(Protocol):
    """What was seen of clips, where that was done before."""

    def outcome(self, clip_id: str) -> Outcome:
        """What became of a clip's picture."""
        ...

    def source(self, clip_id: str) -> str:
        """Digest of what was seen of it."""
        ...

    def columns(self, clip_id: str) -> Columns:
        """What was seen of it."""
        ...


class Embedder:
    """Looks at pictures and listens to sounds, and remembers.

    Parameters
    ----------
    panel : Panel
    cache : EmbeddingCache
    batch_size : int
        Sounds that are judged together. Batches are cut from the ordered list, so an interruption moves no bit.
    workers : int
        Threads that decode ahead.
    pictures : Pictures, optional
        What was seen of the clips before; else `look` comes first.
    """

    def __init__(
        self, panel: Panel, cache: EmbeddingCache, batch_size: int, workers: int = 0, pictures: Pictures | None = None
    ) -> None:
        self.panel, self.cache, self.batch_size, self.workers = panel, cache, batch_size, workers
        #: Outcome by name of item.
        self.outcomes: dict[str, Outcome] = {}
        self._sources: dict[str, str] = {}
        self._before = pictures

    def look(self, pictures: Mapping[str, Located]) -> None:
        """Embed the clips' pictures, unless no judge sees."""
        if not self.panel.sees:
            return

        def open_picture(clip_id: str) -> tuple[str, Any]:
            source = pictures[clip_id].digest()
            return source, None if self.cache.finished(picture_item(clip_id), source) else see(pictures[clip_id])

        def see(located: Located) -> Any:
            try:
                return self.panel.see(located.checked())
            except ClipError as error:
                return error

        opened = ahead(open_picture, sorted(pictures), self.workers)
        for clip_id, (source, frames) in progress(opened, "pictures", len(pictures)):
            item, self._sources[clip_id] = picture_item(clip_id), source
            if isinstance(frames, ClipError):
                self._failed(item, source, frames)
                continue
            if frames is not None:
                self._keep_picture(item, source, self.panel.look(frames))
            else:
                self._settle(item)

    def _keep_picture(self, item: str, source: str, columns: Columns) -> None:
        if bad := [name for name, array in columns.items() if not np.isfinite(array).all()]:
            what = f"what the judges gave for the picture holds values that are not finite: {bad}"
            self._failed(item, source, ClipError("not_finite", what))
            return
        self.cache.put(item, source, columns, {})
        self._settle(item)

    def listen(self, items: Sequence[SoundItem], judges: Collection[str], label: str) -> None:
        """Embed sounds; those whose clip has no usable picture are left out, with its reason."""
        batches = batches_of_shard(items, self.batch_size, 0, 1)
        opened = ahead(lambda batch: self._open(batch, judges), batches, self.workers)
        for batch, (sources, heard) in progress(opened, label, len(batches)):
            for item in batch:
                picture = self._picture(item.clip_id)
                if picture.status != OK:
                    self.outcomes[item.name] = Outcome(picture.status, f"the clip's picture: {picture.detail}")
                elif not heard:
                    self._settle(item.name)
                elif isinstance(error := heard[item.name], ClipError):
                    self._failed(item.name, sources[item.name], error)
            usable = [item for item in batch if isinstance(heard.get(item.name), Heard)]
            if usable:
                self._listen(usable, sources, heard, judges)

    def _open(
        self, batch: Sequence[SoundItem], judges: Collection[str]
    ) -> tuple[dict[str, str], dict[str, Heard | ClipError]]:
        """Digests of a batch's files and, unless all are finished, their sounds; no network is used."""
        usable = [item for item in batch if self._picture(item.clip_id).status == OK]
        sources = {}
        for item in usable:
            digest = item.file.digest()
            sources[item.name] = digest and digest + self._source(item.clip_id)
        heard: dict[str, Heard | ClipError] = {}
        if not all(self.cache.finished(item.name, sources[item.name]) for item in usable):
            for item in usable:
                try:
                    heard[item.name] = self.panel.hear(item.file.checked(), judges)
                except ClipError as error:
                    heard[item.name] = error
        return sources, heard

    def _listen(
        self, batch: Sequence[SoundItem], sources: Mapping[str, str], heard: Mapping[str, Any], judges: Collection[str]
    ) -> None:
        sounds: list[Heard] = [heard[item.name] for item in batch]
        found = self.panel.listen(sounds, [self._seen(item.clip_id) for item in batch], judges)
        for row, (item, sound) in enumerate(zip(batch, sounds, strict=True)):
            arrays = {f"{judge}.{name}": v[row] for judge, columns in found.items() for name, v in columns.items()}
            if bad := [name for name, array in arrays.items() if not np.isfinite(array).all()]:
                error = ClipError("not_finite", f"what the judges gave holds values that are not finite: {bad}")
                self._failed(item.name, sources[item.name], error)
                continue
            facts = {
                "sample_rate": sound.sample_rate,
                "note": sound.note,
                "sha256": sources[item.name][:64],
                "finding": sound.finding,
                "over": sound.over,
            }
            self.cache.put(item.name, sources[item.name], arrays, facts)
            self._settle(item.name)

    def _picture(self, clip_id: str) -> Outcome:
        if self._before is not None:
            return self._before.outcome(clip_id)
        return self.outcomes.get(picture_item(clip_id), Outcome(OK))

    def _source(self, clip_id: str) -> str:
        return self._before.source(clip_id) if self._before is not None else self._sources.get(clip_id, "")

    def _seen(self, clip_id: str) -> Columns:
        if self._before is not None:
            return self._before.columns(clip_id)
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

    def source_of_picture(self, clip_id: str) -> str:
        """SHA-256 of the file that a clip's picture was seen in."""
        return self._sources[clip_id]

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


def write_truth(embedder: Embedder, items: Iterable[SoundItem], folder: Path, judges: Collection[str]) -> None:
    """Write the clips' own embeddings, ``<judge>.parquet``: of `judges` their sounds, and pictures where they are seen.

    `judges` are those that the items were listened to with.
    """
    panel = embedder.panel
    columns: dict[str, tuple[str, ...]] = {judge: SOUND_COLUMNS[judge] for judge in judges}
    sees = panel.sees and "imagebind" in panel.judges
    if sees:
        columns["imagebind"] = (*columns.get("imagebind", ()), VIDEO)
    paths = {judge: folder / f"{judge}.parquet" for judge in columns}
    with open_tables(panel, CLIP_KEY, paths, columns) as tables:
        for item in items:
            found = embedder.columns(item.name)
            if sees:
                seen = embedder.cache.arrays(picture_item(item.clip_id))
                found.setdefault("imagebind", {})[VIDEO] = seen["imagebind_video"][None]
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
        for batch in progress(batches, "captions", len(batches)):
            tables.add({"caption": batch}, {"clap": {"embedding": np.asarray(panel.read(batch))}})
