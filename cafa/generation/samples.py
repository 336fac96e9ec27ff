"""Samples: one sound file per (clip, caption) of a prompt set, for any system.

Work goes batch by batch; finished batches are kept in a journal, so an interrupted job continues where it was.
A row that cannot be made ends in the index with its reason; scoring decides what that means.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cafa.common.errors import ClipError, InputError
from cafa.common.files import atomic_write, sha256_file
from cafa.common.folder_lock import only_writer_in, only_writer_of
from cafa.common.journal import Journal
from cafa.common.ledger import OK
from cafa.common.prefetch import Alongside, begun
from cafa.common.progress import progress
from cafa.common.seeds import seed_for
from cafa.common.shards import batches_of_shard
from cafa.common.stages import stage_version
from cafa.data.prompts import read_prompts
from cafa.generation.sources import PromptRow, ReadSound, SampleContext, SampleFiles, Sound, SoundSource
from cafa.generation.systems import SystemKind
from cafa.media.sound import FULL_SCALE, write_lossless, write_sound
from cafa.media.usable_sound import check_finite, finding_of, over_full_scale

INDEX_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("caption_id", pa.string()),
        ("protocol", pa.string()),
        ("caption", pa.string()),
        ("label", pa.string()),
        ("file", pa.string()),
        ("seed", pa.int64()),
        ("seconds", pa.float64()),
        ("sample_rate", pa.int64()),
        ("sha256", pa.string()),
        ("status", pa.string()),
        ("detail", pa.string()),
        ("finding", pa.string()),
        ("over_full_scale", pa.int64()),
    ]
)


def read_rows(prompts: pd.DataFrame) -> list[PromptRow]:
    """Rows of a prompt set, in its order."""
    columns = [prompts[name] for name in PromptRow._fields]
    return [PromptRow(*values) for values in zip(*columns, strict=True)]


def within_full_scale(sound: np.ndarray) -> tuple[np.ndarray, str]:
    """Scale a sound whose peak passes full scale (decoded and resampled real sound does), and say so.

    Scaling keeps the sound as it is but for its level; clipping would not.
    """
    peak = float(np.abs(sound).max(initial=0.0))
    if peak <= FULL_SCALE:
        return sound, ""
    return sound * (FULL_SCALE / peak), f"scaled by {FULL_SCALE / peak:.4f}: its peak was {peak:.4f} of full scale"


def write_exactly(path: Path, sound: np.ndarray, sample_rate: int) -> str:
    """Write a sound (channels, samples) as FLAC without rounding, where 24 bits hold it; say what was done to it."""
    levels = sound.astype(np.float64) * 2**15
    sixteen = bool((levels == np.rint(levels)).all()) and levels.max() < 2**15 and levels.min() >= -(2**15)
    peak, detail = float(np.abs(sound).max(initial=0.0)), ""
    if peak > 1:
        sound, detail = within_full_scale(sound)
    with atomic_write(path) as temporary:
        write_lossless(temporary, levels.astype(np.int16) if sixteen else sound, sample_rate)
    return detail


def _write_sound(path: Path, sound: np.ndarray | ReadSound, sample_rate: int) -> dict[str, Any]:
    """Write one sound; what the index says of it.

    Raises
    ------
    ClipError
        If it is not finite, or has more channels than a file can hold.
    """
    samples, rate = (sound.samples, sound.sample_rate) if isinstance(sound, ReadSound) else (sound, sample_rate)
    check_finite(samples, rate, path.name)
    seconds = samples.shape[-1] / rate
    if isinstance(sound, ReadSound):
        seconds = min(seconds, sound.seconds)
    if isinstance(sound, ReadSound) and sound.exact:
        detail = write_exactly(path, samples, rate)
    else:
        scaled, detail = within_full_scale(samples)
        write_sound(path, scaled, rate)
    judged = np.atleast_2d(samples)[:, : round(seconds * rate)]
    return {
        "file": path.name,
        "seconds": seconds,
        "sample_rate": rate,
        "sha256": sha256_file(path),
        "detail": detail,
        "finding": finding_of(judged),
        "over_full_scale": over_full_scale(judged),
    }


def _write_batch(
    rows: Sequence[PromptRow], sounds: Sequence[Sound], sample_rate: int, seeds: Sequence[int], folder: Path
) -> list[Any]:
    records = []
    for row, seed, sound in zip(rows, seeds, sounds, strict=True):
        record: dict[str, Any] = {**row._asdict(), "seed": seed, "sample_rate": sample_rate, "status": OK}
        try:
            if isinstance(sound, ClipError):
                raise sound
            records.append({**record, **_write_sound(folder / row.file_name, sound, sample_rate)})
        except ClipError as error:
            records.append({**record, "status": error.reason, "detail": error.detail})
    return records


def _item_id(batch: Sequence[PromptRow]) -> str:
    return hashlib.sha256(repr(batch).encode()).hexdigest()


def _finish_batch(
    journal: Journal,
    batch: Sequence[PromptRow],
    sounds: Callable[[], Sequence[Sound]],
    source: SoundSource,
    seeds: Sequence[int],
    folder: Path,
) -> None:
    """Take the sounds of a batch, write them, and note that in the journal."""
    journal.add(_item_id(batch), _write_batch(batch, sounds(), source.sample_rate, seeds, folder))


def _intact(records: Sequence[dict[str, Any]], folder: Path) -> bool:
    return all(
        r["status"] != OK or ((folder / r["file"]).is_file() and sha256_file(folder / r["file"]) == r["sha256"])
        for r in records
    )


@dataclass(frozen=True)
class SampleJob:
    """One shard of a system's samples: what to make, from what, and where it goes.

    Attributes
    ----------
    name
        Name of the system.
    system
        Its settings.
    prompts
        Prompt set.
    files
        Where everything else is that samples are made from.
    output_folder
        Where the sounds of the shard go.
    index
        Index to write.
    seconds
        Window of sounds that are read or rendered.
    sample_rate
        Their rate.
    seed
        Base seed.
    shard
        (index, count), index from 0.
    batch_size
        Samples that are generated together.
    device, threads
        See :class:`~cafa.generation.sources.SampleContext`.
    """

    name: str
    system: SystemKind
    prompts: Path
    files: SampleFiles
    output_folder: Path
    index: Path
    seconds: float
    sample_rate: int
    seed: int
    shard: tuple[int, int] = (0, 1)
    batch_size: int = 12
    device: str = "cpu"
    threads: int = 1


def make_system_samples(job: SampleJob) -> None:
    """Make one shard of a system's samples; an interrupted job continues after its last finished batch.

    Raises
    ------
    InputError
        If something that the system needs is not there.
    ChangedError
        If unfinished samples are of other settings, inputs or versions.
    """
    system, files = job.system, job.files
    if "event_times" in system.needs and files.event_times is None:
        raise InputError(
            f"system {job.name} of kind {system.kind} needs --event-times: it exists for rendered clips only"
        )
    rows = read_rows(read_prompts(job.prompts))
    source = system.open_source(
        SampleContext(rows, files, job.seed, job.seconds, job.sample_rate, job.device, job.threads)
    )
    make_samples(
        rows,
        source,
        label=f"samples {job.name} {job.shard[0]}/{job.shard[1]}",
        seed=job.seed,
        batch_size=job.batch_size,
        shard=job.shard,
        folder=job.output_folder,
        index=job.index,
        key={
            "system": {"name": job.name, **system.model_dump(mode="json")},
            "seed": job.seed,
            "batch_size": job.batch_size,
            "seconds": job.seconds,
            "sample_rate": job.sample_rate,
            "prompts": sha256_file(job.prompts),
            "inputs": dict(source.depends),
            "version": stage_version(system.stage),
        },
        alongside=job.device.startswith("cuda"),
    )


def make_samples(
    rows: Sequence[PromptRow],
    source: SoundSource,
    *,
    label: str,
    seed: int,
    batch_size: int,
    shard: tuple[int, int],
    folder: str | Path,
    index: str | Path,
    key: Mapping[str, Any],
    alongside: bool = False,
) -> None:
    """Make a shard of a system's samples.

    Parameters
    ----------
    rows : sequence of PromptRow
        The whole ordered prompt set.
    source : SoundSource
    label : str
        Shown in the progress.
    seed : int
        Base seed; a sample's seed is hash(base seed, clip_id, caption_id).
    batch_size : int
        Rows generated together.
    shard : (index, count)
    folder : path
        Where the files go.
    index : path
        Index to write, in the order of the prompt set.
    key : mapping
        Everything the samples depend on.
    alongside : bool
        Decode and write a batch in a thread while the next one is sampled, which suits a GPU; the files are the same.

    Raises
    ------
    ChangedError
        If unfinished samples are of another key.
    """
    names = [row.file_name for row in rows]  # refused before anything is made, if an id is no plain name
    if len(set(names)) < len(names):
        raise InputError("a prompt set must not name the same clip, caption and protocol twice")
    folder = Path(folder)
    batches = batches_of_shard(rows, batch_size, *shard)
    records: list[dict[str, Any]] = []
    journal_path = folder / ".journal.jsonl"
    with only_writer_in(folder), only_writer_of([index]):
        with Journal(journal_path, key) as journal:
            with Alongside(alongside) as finish:
                for batch in progress(batches, label, len(batches)):
                    item = _item_id(batch)
                    if item not in journal.done or not _intact(journal.done[item], folder):
                        seeds = [seed_for(seed, row.clip_id, row.caption_id) for row in batch]
                        sounds = begun(source, source.sounds, batch)
                        finish(partial(_finish_batch, journal, batch, sounds, source, seeds, folder))
            for batch in batches:
                records += journal.done[_item_id(batch)]
        kept = {record["file"] for record in records if record["status"] == OK}
        for path in folder.glob("*.flac"):
            if path.name not in kept:  # left by an earlier run of another prompt set
                path.unlink()
        with atomic_write(index) as temporary:
            pq.write_table(pa.Table.from_pylist(records, schema=INDEX_SCHEMA), temporary)
        journal_path.unlink()
