"""Encoding a shard of clips: decoded ahead in worker processes, encoded in batches, kept as it goes.

Every clip of the shard ends in the feature file or in the ledger with a reason. A clip that cannot be decoded, or that
kills or hangs its decoder, costs only itself. After a kill the same command continues with the clips that are left.

A job may make several kinds of features, with an encoder each. A clip is read once for all of them and has one row in
the ledger: it has features of every kind, or of none. What can be copied of a clip is not computed again, kind by kind.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import ClipError, InputError
from cafa.common.folder_lock import only_writer_of
from cafa.common.ledger import OK, REASONS, ledger_row, read_ledgers, write_ledger
from cafa.common.prefetch import read_ahead
from cafa.common.progress import progress
from cafa.common.shards import shard_of
from cafa.common.workers import map_in_processes
from cafa.features.copying import Stores, copies_of, keep, stores_of_job, stores_of_others
from cafa.features.partial_output import EncodedClip, ResumableWriter
from cafa.features.store import BATCH_BYTES, FeatureFormat, FeatureStore
from cafa.media.clip_reading import IngestedClip, TogetherReader, Wanted


class EncodeSettings(BaseModel):
    """How a shard of clips is encoded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(10.0, gt=0, description="that are used of a clip, from its start")
    pad_short: bool = Field(
        False,
        description="fill shorter clips with black frames and silence, as the published code does; "
        "otherwise they end in the ledger as `short`",
    )
    batch_size: int = Field(4, gt=0, description="clips in the encoder at once")
    workers: int = Field(2, ge=0, description="processes that decode ahead; 0: decode in between, without a time limit")
    seconds_per_clip: float = Field(120.0, gt=0, description="clock time after which decoding a clip is given up")


@dataclass(frozen=True)
class Encoding:
    """How clips become features.

    Parameters
    ----------
    stage : str
        Name in the ledger.
    formats : dict of str to FeatureFormat
        What is written, by kind; where a job has two of a kind, by names of their own.
    sources : dict of str to str
        Kind -> ``video_sha256`` or ``sound_sha256``: the file of a clip that it is made from.
    read : callable
        From a :class:`IngestedClip` to what `encode` is given; runs in worker processes, so it must be picklable.
    encode : callable
        From a list of clips and one of what was read of them to one dict per clip: kind -> array.
    """

    stage: str
    formats: dict[str, FeatureFormat]
    sources: dict[str, str]
    read: Callable[[IngestedClip], Any]
    encode: Callable[[list[IngestedClip], list[Any]], list[dict[str, np.ndarray]]]


class Encodings:
    """What a job makes of each clip.

    Parameters
    ----------
    parts : sequence of Encoding
        Each with kinds of its own.

    Attributes
    ----------
    parts : dict of str to Encoding
        By a name that is only used here.
    formats : dict of str to FeatureFormat
        What is written, by kind.
    stage : str
        Name in the ledger.
    """

    def __init__(self, parts: Sequence[Encoding]) -> None:
        kinds = [kind for part in parts for kind in part.formats]
        if len(set(kinds)) < len(kinds) or not kinds:
            raise InputError(f"a job makes every kind once, and at least one; asked for {', '.join(kinds)}")
        self.parts = {" ".join(part.formats): part for part in parts}
        self.formats = {kind: form for part in parts for kind, form in part.formats.items()}
        self.stage = parts[0].stage if len(parts) == 1 else f"features {', '.join(self.formats)}"

    @property
    def reader(self) -> TogetherReader:
        """What reads a clip for all parts."""
        return TogetherReader({name: part.read for name, part in self.parts.items()})

    @property
    def kinds(self) -> list[list[str]]:
        """Kinds that are made together."""
        return [list(part.formats) for part in self.parts.values()]

    def sources_of(self, clip: IngestedClip) -> dict[str, str | None]:
        """SHA-256 of the files that a clip's features are made from, by kind."""
        return {kind: getattr(clip, name) for part in self.parts.values() for kind, name in part.sources.items()}

    def left_of(self, clip: IngestedClip, copies: Mapping[str, FeatureStore]) -> Wanted:
        """A clip with those parts that must be computed, since they cannot be copied."""
        return Wanted(
            clip, tuple(name for name, part in self.parts.items() if not copies.keys() >= part.formats.keys())
        )

    def encode(self, wanted: Sequence[Wanted], given: Sequence[Mapping[str, Any]]) -> list[dict[str, np.ndarray]]:
        """Arrays of each clip by kind, of those parts that are wanted."""
        arrays: list[dict[str, np.ndarray]] = [{} for _ in wanted]
        for name, part in self.parts.items():
            places = [place for place, one in enumerate(wanted) if name in one.readers]
            encoded = part.encode([wanted[k].clip for k in places], [given[k][name] for k in places]) if places else []
            for place, found in zip(places, encoded, strict=True):
                arrays[place] |= found
        return arrays


def encode_shard(
    encodings: Sequence[Encoding],
    manifest: pd.DataFrame,
    ingest_ledger: str | Path,
    shard: tuple[int, int],
    outputs: Mapping[str, str | Path],
    ledger: str | Path,
    *,
    settings: EncodeSettings,
    reuse: Sequence[str | Path] = (),
    alike: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    keep_rows: bool = False,
) -> dict[str, int]:
    """Write the features of a shard and the stage's ledger: one row per clip, whatever became of it.

    Parameters
    ----------
    encodings : sequence of Encoding
        All read a clip of the same length: one that is too short for one of them is too short for all.
    manifest : DataFrame
        Column ``clip_id``.
    ingest_ledger : path
        Clips that ingest refused are not read.
    shard : (int, int)
        Number and count.
    outputs : mapping of str to path
        Kind -> file to write.
    ledger : path
        Ledger to write, after the features. A clip is ``ok`` if it has features of every kind.
    settings : EncodeSettings
        Batches, workers, limits; reading itself was settled in `encodings`.
    reuse : sequence of path
        Feature files of other runs, or folders of such: rows of the same clip, made from a file of the same SHA-256
        by the same encoder with the same settings, are copied.
    alike : mapping of str to sequence of mapping, optional
        Kind -> identities of other encoders that give the same arrays: rows that `reuse` has of them are copied, too.
    keep_rows : bool
        Give finished files a second name (:func:`cafa.features.copying.kept_file`), from which the next run of the
        same job copies rows of the same encoder, settings and version, should the files be gone by then.

    Returns
    -------
    dict of str to int
        Number of clips by status; ``"reused"`` counts clips whose rows were copied, all of them, and
        ``"reused KIND"`` others whose row of one kind was.
    """
    job = Encodings(encodings)
    clips, refused = _clips_of(manifest, ingest_ledger, shard)
    files = {kind: Path(path) for kind, path in outputs.items()}
    first = next(iter(files.values()))
    with only_writer_of([*files.values(), ledger]), ResumableWriter(first, job.formats) as unfinished:
        own, others = stores_of_job(job.formats, files), stores_of_others(job.formats, reuse, alike or {})
        stores = {kind: [*own[kind], *others[kind]] for kind in job.formats}
        copied, partly = _copy(job, unfinished, clips, stores)
        again = _encode(job, unfinished, clips, partly, settings)
        found = {c: unfinished.status(c, job.sources_of(clip)) or again.get(c) for c, clip in clips.items()}
        found |= {c: ("missing_feature", detail) for c, detail in refused.items()}
        rows = [ledger_row(c, job.stage, *(found[c] or ("missing_feature", ""))) for c in sorted(found)]
        unfinished.write(files, [row["clip_id"] for row in rows if row["status"] == OK])
        if keep_rows:
            keep(files)
        write_ledger(ledger, rows)
        unfinished.close(remove=True)
    counts = pd.Series([row["status"] for row in rows], dtype=str).value_counts().sort_index()
    parts = pd.Series([f"reused {kind}" for copies in partly.values() for kind in copies], dtype=str).value_counts()
    reused = {str(kind): int(n) for kind, n in parts.sort_index().items()}
    return {**{str(status): int(n) for status, n in counts.items()}, "reused": copied, **reused}


def _clips_of(
    manifest: pd.DataFrame, ingest_ledger: str | Path, shard: tuple[int, int]
) -> tuple[dict[str, IngestedClip], dict[str, str]]:
    """Clips of a shard that ingest left, and what became of the others."""
    ingested = read_ledgers([ingest_ledger]).set_index("clip_id")
    clips: dict[str, IngestedClip] = {}
    refused: dict[str, str] = {}
    for clip_id in sorted(clip_id for clip_id in manifest["clip_id"] if shard_of(clip_id, shard[1]) == shard[0]):
        status = ingested["status"].get(clip_id, "no row")
        if status == OK:
            clips[clip_id] = IngestedClip.of(clip_id, ingested["detail"].loc[clip_id])
        else:
            refused[clip_id] = f"ingest: {status}"
    return clips, refused


def _copy(
    job: Encodings, unfinished: ResumableWriter, clips: Mapping[str, IngestedClip], stores: Stores
) -> tuple[int, dict[str, dict[str, FeatureStore]]]:
    """Copy the rows of clips that have them all; their number, and for each other clip those that it has."""
    copied = 0
    partly: dict[str, dict[str, FeatureStore]] = {}
    waiting: list[EncodedClip] = []
    for clip_id, clip in clips.items():
        sources = job.sources_of(clip)
        if unfinished.status(clip_id, sources) is not None:
            continue
        copies = copies_of(clip_id, sources, job.kinds, stores)
        if copies.keys() < job.formats.keys():
            partly[clip_id] = copies
            continue
        copied += 1
        waiting.append(
            EncodedClip(clip_id, sources, rows={kind: store.stored(clip_id) for kind, store in copies.items()})
        )
        if sum(len(data) for outcome in waiting for data in outcome.rows.values()) > BATCH_BYTES:
            unfinished.add(waiting)
            waiting = []
    unfinished.add(waiting)
    return copied, partly


def _encode(
    job: Encodings,
    unfinished: ResumableWriter,
    clips: Mapping[str, IngestedClip],
    copies: Mapping[str, Mapping[str, FeatureStore]],
    settings: EncodeSettings,
) -> dict[str, tuple[str, str]]:
    """Encode what is left of the clips in `copies`; status and detail of those worth another try by a later run."""
    again: dict[str, tuple[str, str]] = {}
    left = [job.left_of(clips[clip_id], found) for clip_id, found in copies.items()]
    read = map_in_processes(job.reader, left, workers=settings.workers, seconds=settings.seconds_per_clip)
    ahead = read_ahead(read, settings.batch_size) if settings.workers else read
    seen = progress(ahead, job.stage, len(clips), start=len(clips) - len(left))
    for group in _groups(seen, settings.batch_size):
        done: list[EncodedClip] = []
        for wanted, error in group:
            clip = wanted.clip
            if isinstance(error, ClipError) and REASONS[error.reason][0]:
                again[clip.clip_id] = error.reason, error.detail
            elif isinstance(error, ClipError):
                done.append(EncodedClip(clip.clip_id, job.sources_of(clip), error.reason, error.detail))
        good = [(wanted, given) for wanted, given in group if not isinstance(given, ClipError)]
        encoded = job.encode([wanted for wanted, _ in good], [given for _, given in good])
        for (wanted, _), arrays in zip(good, encoded, strict=True):
            done.append(_packed(job, wanted.clip, arrays, copies[wanted.clip.clip_id]))
        unfinished.add(done)
    return again


def _packed(
    job: Encodings, clip: IngestedClip, arrays: Mapping[str, np.ndarray], copies: Mapping[str, FeatureStore]
) -> EncodedClip:
    """Outcome of an encoded clip; one whose features of some kind are not numbers is refused, and says so."""
    sources = job.sources_of(clip)
    for kind, array in arrays.items():
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(np.asarray(array, job.formats[kind].dtype))
            if bad.any():
                first = [int(place) for place in np.argwhere(bad)[0]]
                detail = (
                    f"{kind}: {np.count_nonzero(bad)} of {bad.size} values that the encoder gave are not finite in "
                    f"{job.formats[kind].dtype}, the first at {first}"
                )
                return EncodedClip(clip.clip_id, sources, "not_finite", detail)
    rows = {kind: store.stored(clip.clip_id) for kind, store in copies.items()}
    rows |= {kind: job.formats[kind].pack(clip.clip_id, array) for kind, array in arrays.items()}
    return EncodedClip(clip.clip_id, sources, rows=rows)


def _groups(items: Iterable[tuple[Wanted, Any]], size: int) -> Iterator[list[tuple[Wanted, Any]]]:
    """Groups with `size` clips to encode; the last may be smaller."""
    group: list[tuple[Wanted, Any]] = []
    for wanted, given in items:
        group.append((wanted, given))
        if sum(not isinstance(one, ClipError) for _, one in group) == size:
            yield group
            group = []
    if group:
        yield group
