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
    """

    def __init__(
        self,
        panel: Panel,
        cache: EmbeddingCache,
        batch_size: int,
        workers: int = 0,
        video: VideoEmbeddings | None = None,
    ) -> None:
        self.panel, self.cache, self.batch_size, self.workers = panel, cache, batch_size, workers
        #: What became of each item, by name.
        self.outcomes: dict[str, ItemStatus] = {}
        self._sources: dict[str, str] = {}
        self._before = video

    def embed_video(self, pictures: Mapping[str, Located]) -> None:
        """Embed the clips' pictures, if a judge looks at them."""
        if not self.panel.needs_video:
            return

        def open_picture(clip_id: str) -> tuple[str, Any]:
            source = pictures[clip_id].digest()
            return source, None if self.cache.finished(picture_item(clip_id), source) else decode(pictures[clip_id])

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
        self._settle(item)

    def embed_audio(self, items: Sequence[SoundItem], judges: Collection[str], label: str) -> None:
        """Embed sounds; those whose clip has no usable picture are left out, with its reason."""
        batches = batches_of_shard(items, self.batch_size, 0, 1)
        opened = ahead(lambda batch: self._open(batch, judges), batches, self.workers)
        for batch, (sources, sounds) in progress(opened, label, len(batches)):
            for item in batch:
                picture = self._picture(item.clip_id)
                if picture.status != OK:
                    self.outcomes[item.name] = ItemStatus(picture.status, f"the clip's picture: {picture.detail}")
                elif not sounds:
                    self._settle(item.name)
                elif isinstance(error := sounds[item.name], ClipError):
                    self._failed(item.name, sources[item.name], error)
            usable = [item for item in batch if isinstance(sounds.get(item.name), PreparedAudio)]
            if usable:
                self._embed(usable, sources, sounds, judges)

    def _open(
        self, batch: Sequence[SoundItem], judges: Collection[str]
    ) -> tuple[dict[str, str], dict[str, PreparedAudio | ClipError]]:
        """Digests of a batch's files and, unless all are finished, their sounds; no network is used."""
        usable = [item for item in batch if self._picture(item.clip_id).status == OK]
        sources = {}
        for item in usable:
            digest = item.file.digest()
            sources[item.name] = digest and digest + self._source(item.clip_id)
        sounds: dict[str, PreparedAudio | ClipError] = {}
        if not all(self.cache.finished(item.name, sources[item.name]) for item in usable):
            for item in usable:
                try:
                    sounds[item.name] = self.panel.prepare_audio(item.file.checked(), judges)
                except ClipError as error:
                    sounds[item.name] = error
        return sources, sounds

    def _embed(
        self, batch: Sequence[SoundItem], sources: Mapping[str, str], sounds: Mapping[str, Any], judges: Collection[str]
    ) -> None:
        prepared: list[PreparedAudio] = [sounds[item.name] for item in batch]
        found = self.panel.embed_audio(prepared, [self._video(item.clip_id) for item in batch], judges)
        for row, (item, sound) in enumerate(zip(batch, prepared, strict=True)):
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


def write_text(panel: Panel, captions: Collection[str], path: Path, judge: str = "clap") -> None:
    """Write a judge's embedding of every different caption."""
    batches = batches_of_shard(sorted(set(captions)), CAPTIONS, 0, 1)
    with open_tables(panel, TEXT_KEY, {judge: path}, {judge: ("embedding",)}) as tables:
        for batch in progress(batches, "captions", len(batches)):
            tables.add({"caption": batch}, {judge: {"embedding": np.asarray(panel.embed_text(batch, judge))}})
