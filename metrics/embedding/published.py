"""Pretrained judges over a data set: the clips themselves by shard of clips, a system by shard of its samples.

Every file is decoded once for all judges, and the clips' pictures are looked at once for all systems. A job that was
interrupted continues from its cache; what cannot be judged ends in a ledger (of clips) or an index (of samples) with
its reason.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.devices import arithmetic
from cafa.common.errors import InputError, MissingClipError
from cafa.common.files import atomic_write, digest_of, sha256_file
from cafa.common.folder_lock import only_writer_in
from cafa.common.ledger import OK, ledger_row, read_ledgers, write_ledger
from cafa.common.shards import shard_of
from cafa.common.stages import stage_version
from cafa.common.tables import records
from cafa.features.store import FeatureStore, write_features
from metrics.embedding.cache import EmbeddingCache
from metrics.embedding.embedder import (
    Embedder,
    ItemStatus,
    SoundItem,
    picture_item,
    write_generated,
    write_reference,
    write_text,
)
from metrics.embedding.located import Located
from metrics.embedding.reading import listed, text_path
from metrics.embedding.store import PanelStore
from metrics.judges.interface import Columns
from metrics.judges.kinds import JUDGES
from metrics.judges.published import RealJudges
from metrics.judges.registry import open_registered

STAGE = "embed reference"
LEDGER, INDEX, CACHE = "ledger.parquet", "index.parquet", ".cache"


class JudgingSettings(BaseModel):
    """What of the files is judged, and how a shard is worked through."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(8.0, gt=0, description="length that is scored, from the beginning of each file")
    whole_file_for_imagebind: bool = Field(False, description="ImageBind takes whole files, as in av-benchmark")
    batch_size: int = Field(
        1, ge=1, description="sounds judged together; above 1 the last digits depend on which sounds share a batch"
    )
    tf32: bool = Field(
        False,
        exclude_if=lambda tf32: not tf32,  # records of before are those of the same settings
        description="GPU: products and convolutions of float32 in TF32: faster; values differ from the fourth digit "
        "on, so keep it within a comparison",
    )
    workers: int = Field(2, ge=0, description="threads that decode ahead; without effect on any value")
    max_loss: float = Field(
        0.1, ge=0, le=1, description="largest share of a shard that may be lost here; above it nothing is written"
    )


def open_panel(judges: Path, settings: JudgingSettings, parts: Sequence[str], device: str) -> RealJudges:
    """Registered judges as a panel."""
    opened = open_registered(judges, parts=parts, device=device)
    panel = RealJudges(opened, settings.seconds, whole_file_for_imagebind=settings.whole_file_for_imagebind)
    if settings.tf32:
        panel.settings["tf32"] = panel.audio_protocol["tf32"] = True
    return panel


def embed_reference_shard(
    judges: Path,
    manifest: pd.DataFrame,
    clips: Path,
    ingest_ledger: Path,
    shard: tuple[int, int],
    settings: JudgingSettings,
    output: Path,
    device: str = "cpu",
    store: Path | None = None,
) -> dict[str, int]:
    """Embed the clips of a shard: their own sound, and their pictures.

    Writes ``<judge>.parquet`` (imagebind with a column ``video``), ``ledger.parquet``, and of judges that judge a sound
    together with the picture what they keep of the pictures (Synchformer: ``video.arrow``).

    Parameters
    ----------
    judges : path
        Folder of registered judges.
    manifest : DataFrame
        Of the data set.
    clips : path
        Folder of the shard's normalised clips, ``<clip_id>.mp4`` and ``.flac``.
    ingest_ledger : path
        Clips that it does not call ok are ``missing_feature`` here.
    shard : (index, count)
    settings : JudgingSettings
    output : path
        Folder to write.
    device : str
    store : path, optional
        Folder of embeddings that runs share (:mod:`metrics.embedding.store`): what is there is not made again.

    Returns
    -------
    dict of str to int
        Clips by status.

    Raises
    ------
    MissingClipError
        If a larger share of the usable clips than `max_loss` cannot be judged; they are named with their reasons.
    """
    status = read_ledgers([ingest_ledger]).set_index("clip_id")["status"]
    mine = sorted(clip_id for clip_id in manifest["clip_id"] if shard_of(clip_id, shard[1]) == shard[0])
    usable = [clip_id for clip_id in mine if status.get(clip_id) == OK]
    panel = open_panel(judges, settings, ("audio", "video"), device)
    items = [SoundItem(f"reference/{clip_id}", clip_id, _file(clips / f"{clip_id}.flac")) for clip_id in usable]
    with (
        only_writer_in(output),
        EmbeddingCache(output / CACHE, _key(panel, settings)) as cache,
        arithmetic(settings.tf32, convolutions=True),
    ):
        shared = PanelStore.in_folder(store, panel, settings.batch_size)
        embedder = Embedder(panel, cache, settings.batch_size, settings.workers, store=shared)
        embedder.embed_video({clip_id: _file(clips / f"{clip_id}.mp4") for clip_id in usable})
        embedder.embed_audio(items, list(panel.judges), f"{STAGE} {shard[0]}/{shard[1]}", stored=True)
        outcomes = {item.clip_id: embedder.outcomes[item.name] for item in items}
        _refuse_losses({(clip_id,): outcome for clip_id, outcome in outcomes.items()}, settings.max_loss)
        good = [item for item in items if outcomes[item.clip_id].status == OK]
        write_reference(embedder, good, output, list(panel.judges))
        _write_pictures(embedder, panel, [item.clip_id for item in good], output)
        for clip_id in mine:
            before = f"ingest: {status.get(clip_id, 'no row')}"
            outcomes.setdefault(clip_id, ItemStatus("missing_feature", before))
        rows = [ledger_row(c, STAGE, outcomes[c].status, outcomes[c].detail or _note(outcomes[c])) for c in mine]
        write_ledger(output / LEDGER, rows)
        shutil.rmtree(output / CACHE)
    found = [row["status"] for row in rows]
    return {name: found.count(name) for name in sorted(set(found))}


def embed_captions_of(
    judges: Path, captions: Sequence[str], output: Path, device: str = "cpu", store: Path | None = None
) -> None:
    """Embed every different caption with all judges that read captions.

    Parameters
    ----------
    judges : path
        Folder of registered judges.
    captions : sequence of str
    output : path
        Of CLAP's embeddings; those of another judge lie beside it (:attr:`metrics.judges.kinds.JudgeKind.text_file`).
    device : str
    store : path, optional
        Folder of embeddings that runs share (:mod:`metrics.embedding.store`): what is there is not made again.

    Raises
    ------
    InputError
        If no judge there reads captions.
    """
    opened = open_registered(judges, parts=["text"], device=device)
    if not opened:
        raise InputError(f"no judge that is registered in {judges} reads captions: there is nothing to embed")
    panel = RealJudges(opened, JudgingSettings().seconds)
    shared = PanelStore.in_folder(store, panel, batch_size=1)
    for judge in opened:
        write_text(panel, captions, text_path(output, judge), judge, shared)


class CachedVideo:
    """Embeddings of the clips' pictures, made when their own sounds were judged; `video` of an :class:`Embedder`.

    Parameters
    ----------
    folders : sequence of path
        Written by :func:`embed_reference_shard`.
    panel : RealJudges
        Must have the same judges and length.
    """

    def __init__(self, folders: Sequence[Path], panel: RealJudges) -> None:
        self._stores = {
            judge: FeatureStore([folder / file for folder in folders], digest_of(_video_identity(panel, judge)))
            for judge, file in _kept(panel).items()
        }
        self._ledger = read_ledgers([folder / LEDGER for folder in folders]).set_index("clip_id")

    def outcome(self, clip_id: str) -> ItemStatus:
        """What became of a clip when it was judged itself."""
        if clip_id not in self._ledger.index:
            return ItemStatus("not_in_manifest", "no folder of reference embeddings has a row for the clip")
        row = self._ledger.loc[clip_id]
        if row["status"] == OK:
            return ItemStatus(OK)
        return ItemStatus(str(row["status"]), f"the clip itself: {row['detail']}")

    def source(self, clip_id: str) -> str:
        """Digests of the clip's picture and of the encoders of it; empty where no judge looks at it."""
        return "".join(f"{store.source_of(clip_id)}{store.encoder_digest}" for store in self._stores.values())

    def columns(self, clip_id: str) -> Columns:
        """What each judge that looks kept of the picture."""
        return {_column(judge): store[clip_id] for judge, store in self._stores.items()}


def embed_samples_shard(
    judges: Path,
    index: Path,
    reference: Sequence[Path],
    settings: JudgingSettings,
    output: Path,
    device: str = "cpu",
    store: Path | None = None,
) -> dict[str, int]:
    """Embed one shard of a system's samples.

    Writes ``<judge>.parquet`` and ``index.parquet``: the index of samples, with the status that each has after it was
    judged and the seconds that were scored.

    Parameters
    ----------
    judges : path
        Folder of registered judges.
    index : path
        Index of the shard; its files lie in the folder of the same name beside it.
    reference : sequence of path
        All folders that :func:`embed_reference_shard` wrote for the data set.
    settings : JudgingSettings
    output : path
        Folder to write.
    device : str
    store : path, optional
        Folder of embeddings that runs share (:mod:`metrics.embedding.store`): what is there is not made again.

    Returns
    -------
    dict of str to int
        Samples by status.

    Raises
    ------
    InputError
        If a file is not the one that the index names, or the clips were judged with other judges or lengths.
    MissingClipError
        If a larger share of the samples than `max_loss` cannot be judged; they are named with their reasons.
    """
    rows = pd.read_parquet(index)
    panel = open_panel(judges, settings, ("audio",), device)
    ready = records(rows[rows["status"] == OK])
    items = [_sample_item(index.with_suffix(""), row) for row in ready]
    with (
        only_writer_in(output),
        EmbeddingCache(output / CACHE, _key(panel, settings)) as cache,
        arithmetic(settings.tf32, convolutions=True),
    ):
        shared = PanelStore.in_folder(store, panel, settings.batch_size)
        video = CachedVideo(reference, panel)
        embedder = Embedder(panel, cache, settings.batch_size, settings.workers, video, shared)
        embedder.embed_audio(items, list(panel.judges), "embed samples", stored=True)
        outcomes = {item.name: embedder.outcomes[item.name] for item in items}
        _refuse_losses({tuple(name.split("/")): outcome for name, outcome in outcomes.items()}, settings.max_loss)
        good = [(row, item.name) for row, item in zip(ready, items, strict=True) if outcomes[item.name].status == OK]
        write_generated(embedder, good, output)
        judged = rows.copy()
        for place in judged.index[judged["status"] == OK]:
            outcome = outcomes[_name(judged.loc[place])]
            said = outcome.detail or _note(outcome)
            judged.loc[place, "status"] = outcome.status
            judged.loc[place, "detail"] = said or judged.loc[place, "detail"]
            if "finding" in judged:
                judged.loc[place, "finding"] = outcome.facts.get("finding", "")
        judged["seconds"] = np.where(judged["status"] == OK, settings.seconds, np.nan)
        with atomic_write(output / INDEX) as temporary:
            judged.to_parquet(temporary, index=False)
        shutil.rmtree(output / CACHE)
    return {str(name): int(count) for name, count in judged["status"].value_counts().sort_index().items()}


def _file(path: Path) -> Located:
    return Located(path, f"no file {path}")


def _name(row: Mapping[str, Any]) -> str:
    return "/".join(row[part] for part in ("clip_id", "caption_id", "protocol"))


def _sample_item(folder: Path, row: Mapping[str, Any]) -> SoundItem:
    path = folder / row["file"]
    if not path.is_file() or sha256_file(path) != row["sha256"]:
        state = "has changed since" if path.is_file() else "is not there, but"
        raise InputError(f"{path} {state} the index of samples was written: make the samples again")
    return SoundItem(_name(row), row["clip_id"], _file(path))


def _kept(panel: RealJudges) -> dict[str, str]:
    """Files of what the panel's judges keep of clips' pictures."""
    files = {judge: JUDGES[judge].video_file for judge in panel.judges}
    return {judge: file for judge, file in files.items() if file is not None}


def _column(judge: str) -> str:
    return f"{judge}_video"


def _video_identity(panel: RealJudges, judge: str) -> dict[str, Any]:
    """Identity of the features of pictures."""
    weights = panel.judges[judge].weights_sha256
    return {"name": _column(judge), "weights_sha256": weights, "seconds": panel.seconds}


def _write_pictures(embedder: Embedder, panel: RealJudges, clip_ids: Sequence[str], folder: Path) -> None:
    for judge, file in _kept(panel).items():
        name = _column(judge)
        write_features(
            folder / file,
            ((clip_id, embedder.cache.arrays(picture_item(clip_id))[name]) for clip_id in clip_ids),
            kind=name,
            shape=panel.judges[judge].kept_picture(panel.seconds),
            dtype="float32",
            encoder=_video_identity(panel, judge),
            sources={clip_id: embedder.source_of_picture(clip_id) for clip_id in clip_ids},
        )


def _key(panel: RealJudges, settings: JudgingSettings) -> dict[str, Any]:
    """Everything that an item depends on but its files."""
    weights = {name: judge.weights_sha256 for name, judge in panel.judges.items()}
    return {
        "weights": weights,
        "judges": panel.settings,
        "batch_size": settings.batch_size,
        "version": stage_version("embed_pretrained"),
    }


def _note(outcome: ItemStatus) -> str:
    return str(outcome.facts.get("note", ""))


def _refuse_losses(outcomes: Mapping[tuple[str, ...], ItemStatus], max_loss: float) -> None:
    lost = {name: outcome for name, outcome in outcomes.items() if outcome.status != OK}
    share = len(lost) / max(1, len(outcomes))
    if share > max_loss:
        names = [f"{'/'.join(name)} ({outcome.status}: {outcome.detail})" for name, outcome in lost.items()]
        raise MissingClipError(
            f"{share:.1%} of {len(outcomes)} cannot be judged, more than max_loss {max_loss:.1%}: {listed(names)}. "
            "Mend them, or raise max_loss"
        )
