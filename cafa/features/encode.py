"""Encoding a shard of clips: decoded ahead in worker processes, encoded in batches, kept as it goes.

Every clip of the shard ends in the feature file or in the ledger with a reason. A clip that cannot be decoded, or that
kills or hangs its decoder, costs only itself. After a kill the same command continues with the clips that are left.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cafa.errors import ClipError, InputError
from cafa.features.reading import Clip
from cafa.features.unfinished import Outcome, Unfinished
from cafa.folder_lock import only_writer_of
from cafa.ledger import OK, REASONS, ledger_row, read_ledgers, write_ledger
from cafa.progress import progress
from cafa.resume import goes_on
from cafa.shards import shard_of
from cafa.store import BATCH_BYTES, FeatureFormat, FeatureStore
from cafa.workers import outcomes, read_ahead


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
        What is written, by kind.
    sources : dict of str to str
        Kind -> ``video_sha256`` or ``sound_sha256``: the file of a clip that it is made from.
    read : callable
        From a :class:`Clip` to what `encode` is given; runs in worker processes, so it must be picklable.
    encode : callable
        From a list of clips and one of what was read of them to one dict per clip: kind -> array.
    """

    stage: str
    formats: dict[str, FeatureFormat]
    sources: dict[str, str]
    read: Callable[[Clip], Any]
    encode: Callable[[list[Clip], list[Any]], list[dict[str, np.ndarray]]]

    def sources_of(self, clip: Clip) -> dict[str, str | None]:
        """SHA-256 of the files that a clip's features are made from, by kind."""
        return {kind: getattr(clip, name) for kind, name in self.sources.items()}


def encode_shard(
    encoding: Encoding,
    manifest: pd.DataFrame,
    ingest_ledger: str | Path,
    shard: tuple[int, int],
    outputs: Mapping[str, str | Path],
    ledger: str | Path,
    *,
    settings: EncodeSettings,
    reuse: Sequence[str | Path] = (),
    alike: Sequence[Mapping[str, Any]] = (),
) -> dict[str, int]:
    """Write the features of a shard and the stage's ledger: one row per clip, whatever became of it.

    Parameters
    ----------
    encoding : Encoding
    manifest : DataFrame
        Column ``clip_id``.
    ingest_ledger : path
        Clips that ingest refused are not read.
    shard : (int, int)
        Number and count.
    outputs : mapping of str to path
        Kind -> file to write.
    ledger : path
        Ledger to write, after the features.
    settings : EncodeSettings
        Batches, workers, limits; reading itself was settled in `encoding`.
    reuse : sequence of path
        Feature files of other runs, or folders of such: rows of the same clip, made from a file of the same SHA-256
        by the same encoder with the same settings, are copied.

    alike : sequence of mapping
        Identities of other encoders that give the same arrays: rows that `reuse` has of them are copied as well.

    Returns
    -------
    dict of str to int
        Number of clips by status; ``"reused"`` counts copied rows.
    """
    ingested = read_ledgers([ingest_ledger]).set_index("clip_id")
    mine = sorted(clip_id for clip_id in manifest["clip_id"] if shard_of(clip_id, shard[1]) == shard[0])
    clips: dict[str, Clip] = {}
    refused: dict[str, str] = {}
    for clip_id in mine:
        status = ingested["status"].get(clip_id, "no row")
        if status == OK:
            clips[clip_id] = Clip.of(clip_id, ingested.at[clip_id, "detail"])
        else:
            refused[clip_id] = f"ingest: {status}"
    files = {kind: Path(path) for kind, path in outputs.items()}
    first = next(iter(files.values()))
    with only_writer_of([*files.values(), ledger]), Unfinished(first, encoding.formats) as unfinished:
        own = _stores(encoding, [path for path in files.values() if path.is_file()], own=True)
        copied = _copy(encoding, unfinished, clips, own)
        copied += _copy(encoding, unfinished, clips, _stores(encoding, _files_of(reuse), alike=alike))
        again = _encode(encoding, unfinished, clips, settings)
        found = {c: unfinished.status(c, encoding.sources_of(clip)) or again.get(c) for c, clip in clips.items()}
        rows = [ledger_row(c, encoding.stage, *(found.get(c) or ("missing_feature", refused.get(c, "")))) for c in mine]
        unfinished.write(files, [row["clip_id"] for row in rows if row["status"] == OK])
        write_ledger(ledger, rows)
        unfinished.close(remove=True)
    counts = pd.Series([row["status"] for row in rows], dtype=str).value_counts().sort_index()
    return {**{str(status): int(n) for status, n in counts.items()}, "reused": copied}


def _encode(
    encoding: Encoding, unfinished: Unfinished, clips: Mapping[str, Clip], settings: EncodeSettings
) -> dict[str, tuple[str, str]]:
    """Encode the clips that are left; status and detail of those that are worth another try by a later run."""
    again: dict[str, tuple[str, str]] = {}
    left = [clip for clip in clips.values() if unfinished.status(clip.clip_id, encoding.sources_of(clip)) is None]
    read = outcomes(encoding.read, left, workers=settings.workers, seconds=settings.seconds_per_clip)
    ahead = read_ahead(read, settings.batch_size) if settings.workers else read
    seen = progress(ahead, encoding.stage, len(clips), start=len(clips) - len(left))
    for group in _groups(seen, settings.batch_size):
        done: list[Outcome] = []
        for clip, error in group:
            if isinstance(error, ClipError) and REASONS[error.reason][0]:
                again[clip.clip_id] = error.reason, error.detail
            elif isinstance(error, ClipError):
                done.append(Outcome(clip.clip_id, encoding.sources_of(clip), error.reason, error.detail))
        good = [(clip, given) for clip, given in group if not isinstance(given, ClipError)]
        encoded = encoding.encode([clip for clip, _ in good], [given for _, given in good]) if good else []
        for (clip, _), arrays in zip(good, encoded, strict=True):
            done.append(_packed(encoding, clip, arrays))
        unfinished.add(done)
    return again


def _packed(encoding: Encoding, clip: Clip, arrays: Mapping[str, np.ndarray]) -> Outcome:
    """Outcome of an encoded clip; one whose features are not numbers is refused, and says so."""
    sources = encoding.sources_of(clip)
    for kind, array in arrays.items():
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(np.asarray(array, encoding.formats[kind].dtype))
            if bad.any():
                first = [int(place) for place in np.argwhere(bad)[0]]
                detail = (
                    f"{kind}: {np.count_nonzero(bad)} of {bad.size} values that the encoder gave are not finite in "
                    f"{encoding.formats[kind].dtype}, the first at {first}"
                )
                return Outcome(clip.clip_id, sources, "not_finite", detail)
    rows = {kind: encoding.formats[kind].pack(clip.clip_id, array) for kind, array in arrays.items()}
    return Outcome(clip.clip_id, sources, rows=rows)


def _groups(items: Iterable[tuple[Clip, Any]], size: int) -> Iterator[list[tuple[Clip, Any]]]:
    """Groups with `size` clips to encode; the last may be smaller."""
    group: list[tuple[Clip, Any]] = []
    for clip, given in items:
        group.append((clip, given))
        if sum(not isinstance(one, ClipError) for _, one in group) == size:
            yield group
            group = []
    if group:
        yield group


def _files_of(places: Sequence[str | Path]) -> list[Path]:
    found: list[Path] = []
    for place in map(Path, places):
        if not place.exists():
            raise InputError(f"nothing to reuse at {place}")
        found += sorted(place.rglob("*.arrow")) if place.is_dir() else [place]
    return found


def _stores(
    encoding: Encoding, files: Sequence[Path], *, own: bool = False, alike: Sequence[Mapping[str, Any]] = ()
) -> dict[str, list[FeatureStore]]:
    """Files, by kind, whose rows may be used for this job; others are passed over.

    `own` files are outputs of the same command that ended before: of the same version too, or it is asked what to do.
    """
    stores: dict[str, list[FeatureStore]] = {kind: [] for kind in encoding.formats}
    for path in files:
        try:
            store = FeatureStore([path])
        except InputError:
            if own:
                continue
            raise
        wanted = encoding.formats[store.kind].about if store.kind in encoding.formats else {}
        if wanted and store.encoder in alike:
            wanted = replace(encoding.formats[store.kind], encoder=store.encoder).about
        same = wanted and all(value == store.about[name] for name, value in wanted.items() if own or name != "code")
        if same or (own and wanted and _goes_on(path, store, wanted)):
            stores[store.kind].append(store)
    return stores


def _goes_on(path: Path, store: FeatureStore, wanted: Mapping[str, Any]) -> bool:
    """Whether rows of a finished file of another encoder, settings or version are to be taken."""
    if not goes_on(path, store.about, wanted, f"{len(store)} clips, finished"):
        return False
    if any(store.about[name] != wanted[name] for name in ("shape", "dtype", "trimmed")):
        raise InputError(f"{path} holds arrays of another form, which cannot be gone on with: give --restart")
    return True


def _copy(
    encoding: Encoding,
    unfinished: Unfinished,
    clips: Mapping[str, Clip],
    stores: Mapping[str, Sequence[FeatureStore]],
) -> int:
    """Copy rows that were made from the same bytes; a clip is copied if all its kinds can be."""
    copied = 0
    waiting: list[Outcome] = []
    for clip_id, clip in clips.items() if all(stores.values()) else ():
        sources = encoding.sources_of(clip)
        if unfinished.status(clip_id, sources) is not None:
            continue
        rows = {}
        for kind, digest in sources.items():
            match = (s for s in stores[kind] if digest and clip_id in s and s.source_of(clip_id) == digest)
            if (store := next(match, None)) is not None:
                rows[kind] = store.stored(clip_id)
        if rows.keys() == sources.keys():
            copied += 1
            waiting.append(Outcome(clip_id, sources, rows=rows))
        if sum(len(data) for outcome in waiting for data in outcome.rows.values()) > BATCH_BYTES:
            unfinished.add(waiting)
            waiting = []
    unfinished.add(waiting)
    return copied
