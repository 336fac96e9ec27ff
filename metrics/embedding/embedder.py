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
from metrics.embedding.store import PanelStore
from metrics.embedding.writing import CAPTIONS, VIDEO, open_tables
from metrics.judges.interface import Columns, Panel, PreparedAudio
from metrics.judges.kinds import JUDGES


@dataclass(frozen=True)
class SoundItem:
    """A sound that is to be embedded, under the picture of a clip."""

    name: str
    clip_id: str
    file: Located


@dataclass(frozen=True)
class ItemStatus:
    """What became of a picture or a sound: ``ok`` or a reason of the ledger, and what was found."""

    status: str
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OpenedBatch:
    """Files of a batch, and what is known of them before a network is used.

    Attributes
    ----------
    sources
        Item -> digest of its files.
    sounds
        Item -> its sound, why it has none, or, where every judge's columns are stored, what is to be known of it.
    stored
        Item -> judge -> columns that need not be made.
    judges
        Those whose columns are to be made.
    """

    sources: Mapping[str, str]
    sounds: Mapping[str, PreparedAudio | ClipError | Mapping[str, Any]]
    stored: Mapping[str, Mapping[str, Columns]] = field(default_factory=dict)
    judges: Sequence[str] = ()


class VideoEmbeddings(Protocol):
    """Embeddings of clips' pictures that were made before."""

    def outcome(self, clip_id: str) -> ItemStatus:
        """What became of a clip's picture."""
        ...

    def source(self, clip_id: str) -> str:
        """Digest of the picture and of what embedded it."""
        ...

    def columns(self, clip_id: str) -> Columns:
        """What is kept of it, as :meth:`metrics.judges.interface.Panel.embed_video` gives it."""
        ...


class Embedder:
    """Embeds pictures and sounds, and keeps what is finished on disk.

    Parameters
    ----------
    panel : Panel
    cache : EmbeddingCache
    batch_size : int
        Sounds that are judged together. Batches are cut from the ordered list, so an interruption moves no bit.
    workers : int
        Threads that decode ahead.
    video : VideoEmbeddings, optional
        Of the clips, made before; else `embed_video` comes first.
    store : PanelStore, optional
        Of pictures and reference sounds, shared with other runs.
    """

    def __init__(
        self,
        panel: Panel,
        cache: EmbeddingCache,
        batch_size: int,
        workers: int = 0,
        video: VideoEmbeddings | None = None,
        store: PanelStore | None = None,
    ) -> None:
        self.panel, self.cache, self.batch_size, self.workers = panel, cache, batch_size, workers
        #: What became of each item, by name.
        self.outcomes: dict[str, ItemStatus] = {}
        self._sources: dict[str, str] = {}
        self._before = video
        self._store = store

    def embed_video(self, pictures: Mapping[str, Located]) -> None:
        """Embed the clips' pictures, if a judge looks at them."""
        if not self.panel.needs_video:
            return

        def open_picture(clip_id: str) -> tuple[str, Any]:
            source = pictures[clip_id].digest()
            if self.cache.finished(picture_item(clip_id), source):
                return source, None
            if source and self._store is not None and (stored := self._store.picture(source)) is not None:
                self.cache.put(picture_item(clip_id), source, stored, {})
                return source, None
            return source, decode(pictures[clip_id])

        def decode(located: Located) -> Any:
            try:
                return self.panel.decode_video(located.checked())
            except ClipError as error:
                return error

        opened = ahead(open_picture, sorted(pictures), self.workers)
        for clip_id, (source, frames) in progress(opened, "pictures", len(pictures)):
            item, self._sources[clip_id] = picture_item(clip_id), source
            if isinstance(frames, ClipError):
                self._failed(item, source, frames)
                continue
            if frames is not None:
                self._keep_picture(item, source, self.panel.embed_video(frames))
            else:
                self._settle(item)

    def _keep_picture(self, item: str, source: str, columns: Columns) -> None:
        if bad := [name for name, array in columns.items() if not np.isfinite(array).all()]:
            what = f"what the judges gave for the picture holds values that are not finite: {bad}"
            self._failed(item, source, ClipError("not_finite", what))
            return
        self.cache.put(item, source, columns, {})
        if self._store is not None:
            self._store.put_picture(source, columns)
        self._settle(item)

    def embed_audio(
        self, items: Sequence[SoundItem], judges: Collection[str], label: str, *, stored: bool = False
    ) -> None:
        """Embed sounds; those whose clip has no usable picture are left out, with its reason.

        `stored`: what the store holds of them is taken from there, and what it lacks is put there.
        """
        store = self._store if stored else None
        batches = batches_of_shard(items, self.batch_size, 0, 1)
        opened = ahead(lambda batch: self._open(batch, judges, store), batches, self.workers)
        for batch, found in progress(opened, label, len(batches)):
            for item in batch:
                picture = self._picture(item.clip_id)
                if picture.status != OK:
                    self.outcomes[item.name] = ItemStatus(picture.status, f"the clip's picture: {picture.detail}")
                elif not found.sounds:
                    self._settle(item.name)
                elif isinstance(error := found.sounds[item.name], ClipError):
                    self._failed(item.name, found.sources[item.name], error)
            here = [item for item in batch if item.name in found.sounds]
            if usable := [item for item in here if not isinstance(found.sounds[item.name], ClipError)]:
                self._embed(usable, found, store)

    def _open(self, batch: Sequence[SoundItem], judges: Collection[str], store: PanelStore | None) -> OpenedBatch:
        """Digests of a batch's files and, unless all are finished, their sounds; no network is used."""
        usable = [item for item in batch if self._picture(item.clip_id).status == OK]
        sources = {}
        for item in usable:
            digest = item.file.digest()
            sources[item.name] = digest and digest + self._source(item.clip_id)
        if all(self.cache.finished(item.name, sources[item.name]) for item in usable):
            return OpenedBatch(sources, {})
        stored, facts = self._stored(usable, sources, judges, store)
        # Of a batch every sound is given to a judge, or none is: its last digits depend on which sounds it gets.
        missing = [judge for judge in judges if any(judge not in stored[item.name] for item in usable)]
        if not missing:
            return OpenedBatch(sources, facts, stored)
        sounds: dict[str, PreparedAudio | ClipError] = {}
        for item in usable:
            try:
                sounds[item.name] = self.panel.prepare_audio(item.file.checked(), missing)
            except ClipError as error:
                sounds[item.name] = error
        return OpenedBatch(sources, sounds, stored, missing)

    @staticmethod
    def _stored(
        items: Sequence[SoundItem], sources: Mapping[str, str], judges: Collection[str], store: PanelStore | None
    ) -> tuple[dict[str, dict[str, Columns]], dict[str, Mapping[str, Any]]]:
        """What the store holds of a batch: columns by item and judge, and facts by item."""
        columns: dict[str, dict[str, Columns]] = {item.name: {} for item in items}
        facts: dict[str, Mapping[str, Any]] = {}
        if store is None:
            return columns, facts
        of_batch = [sources[item.name] for item in items]
        for place, item in enumerate(items):
            for judge in judges if sources[item.name] else ():
                if (found := store.sound(judge, of_batch, place)) is not None:
                    columns[item.name][judge], facts[item.name] = found.arrays, found.facts
        return columns, facts

    def _embed(self, batch: Sequence[SoundItem], opened: OpenedBatch, store: PanelStore | None) -> None:
        """Make what is missing of a batch of sounds, and keep it with what was stored."""
        made: dict[str, Columns] = {}
        if opened.judges:
            prepared = [sound for item in batch if isinstance(sound := opened.sounds[item.name], PreparedAudio)]
            made = self.panel.embed_audio(prepared, [self._video(item.clip_id) for item in batch], opened.judges)
        places, of_batch = list(opened.sources), list(opened.sources.values())
        for row, item in enumerate(batch):
            new = {judge: {name: v[row] for name, v in columns.items()} for judge, columns in made.items()}
            found = {**opened.stored.get(item.name, {}), **new}
            arrays = {f"{judge}.{name}": v for judge, columns in found.items() for name, v in columns.items()}
            source, sound = opened.sources[item.name], opened.sounds[item.name]
            if bad := [name for name, array in arrays.items() if not np.isfinite(array).all()]:
                error = ClipError("not_finite", f"what the judges gave holds values that are not finite: {bad}")
                self._failed(item.name, source, error)
                continue
            facts = _facts(sound, source) if isinstance(sound, PreparedAudio) else sound
            assert isinstance(facts, Mapping)
            self.cache.put(item.name, source, arrays, facts)
            if store is not None:
                for judge, columns in new.items():
                    store.put_sound(judge, of_batch, places.index(item.name), columns, facts)
            self._settle(item.name)

    def _picture(self, clip_id: str) -> ItemStatus:
        if self._before is not None:
            return self._before.outcome(clip_id)
        return self.outcomes.get(picture_item(clip_id), ItemStatus(OK))

    def _source(self, clip_id: str) -> str:
        return self._before.source(clip_id) if self._before is not None else self._sources.get(clip_id, "")

    def _video(self, clip_id: str) -> Columns:
        if self._before is not None:
            return self._before.columns(clip_id)
        return self.cache.arrays(picture_item(clip_id)) if self.panel.needs_video else {}

    def _failed(self, item: str, source: str, error: ClipError) -> None:
        if source:  # what is not there is looked for again every time
            self.cache.put_failure(item, source, error)
        self.outcomes[item] = ItemStatus(error.reason, error.detail)

    def _settle(self, item: str) -> None:
        try:
            self.outcomes[item] = ItemStatus(OK, facts=self.cache.facts(item))
        except ClipError as error:
            self.outcomes[item] = ItemStatus(error.reason, error.detail)

    def source_of_picture(self, clip_id: str) -> str:
        """SHA-256 of the file of a clip's picture."""
        return self._sources[clip_id]

    def columns(self, item: str) -> dict[str, Columns]:
        """Columns of every judge for one sound, shape (1, values) each."""
        found: dict[str, Columns] = {}
        for name, array in self.cache.arrays(item).items():
            judge, _, column = name.partition(".")
            found.setdefault(judge, {})[column] = array[None]
        return found


def _facts(sound: PreparedAudio, source: str) -> dict[str, Any]:
    """What is recorded of a sound beside its embeddings."""
    return {
        "sample_rate": sound.sample_rate,
        "note": sound.note,
        "sha256": source[:64],
        "finding": sound.finding,
        "over": sound.over,
    }


def picture_item(clip_id: str) -> str:
    """Name of a clip's picture among the items."""
    return f"picture/{clip_id}"


def write_reference(embedder: Embedder, items: Iterable[SoundItem], folder: Path, judges: Collection[str]) -> None:
    """Write the clips' own embeddings, ``<judge>.parquet``: of `judges` their sounds, and pictures if a judge looks.

    `judges` are those that embedded the items.
    """
    panel = embedder.panel
    columns: dict[str, tuple[str, ...]] = {judge: JUDGES[judge].columns for judge in judges}
    looking = [name for name in panel.judges if JUDGES[name].video_column] if panel.needs_video else []
    for judge in looking:
        columns[judge] = (*columns.get(judge, ()), VIDEO)
    paths = {judge: folder / f"{judge}.parquet" for judge in columns}
    with open_tables(panel, CLIP_KEY, paths, columns) as tables:
        for item in items:
            found = embedder.columns(item.name)
            video = embedder.cache.arrays(picture_item(item.clip_id)) if looking else {}
            for judge in looking:
                found.setdefault(judge, {})[VIDEO] = video[f"{judge}_video"][None]
            tables.add({"clip_id": [item.clip_id]}, found)


def write_generated(embedder: Embedder, rows: Iterable[tuple[Mapping[str, str], str]], folder: Path) -> None:
    """Write a system's embeddings, ``<judge>.parquet``; `rows` are keys and names of items."""
    columns = {judge: JUDGES[judge].columns for judge in embedder.panel.judges}
    paths = {judge: folder / f"{judge}.parquet" for judge in columns}
    with open_tables(embedder.panel, SAMPLE_KEY, paths, columns) as tables:
        for key, item in rows:
            tables.add({name: [key[name]] for name in SAMPLE_KEY}, embedder.columns(item))


def write_text(
    panel: Panel, captions: Collection[str], path: Path, judge: str = "clap", store: PanelStore | None = None
) -> None:
    """Write a judge's embedding of every different caption; where `store` has them, from there."""
    batches = batches_of_shard(sorted(set(captions)), CAPTIONS, 0, 1)
    with open_tables(panel, TEXT_KEY, {judge: path}, {judge: ("embedding",)}) as tables:
        for batch in progress(batches, "captions", len(batches)):
            found = panel.embed_text(batch, judge) if store is None else store.texts(judge, batch)
            tables.add({"caption": batch}, {judge: {"embedding": np.asarray(found)}})
