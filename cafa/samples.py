"""Samples: one sound file per (clip, caption) of a prompt set, for any system.

Work goes batch by batch; finished batches are kept in a journal, so an interrupted job continues where it was.
A row that cannot be made ends in the index with its reason; scoring decides what that means.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cafa.errors import ClipError, InputError
from cafa.files import sha256_file, whole
from cafa.folder_lock import only_writer_in, only_writer_of
from cafa.journal import Journal
from cafa.ledger import OK
from cafa.manifest import check_clip_id
from cafa.media.sound import ENOUGH, read_own_rate, write_lossless, write_sound
from cafa.media.usable_sound import check_finite, finding_of, over_full_scale
from cafa.progress import progress
from cafa.seeds import seed_for
from cafa.shards import batches_of_shard
from cafa.systems import SamplesSystem

INDEX_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()), ("caption_id", pa.string()), ("protocol", pa.string()), ("caption", pa.string()),
        ("label", pa.string()), ("file", pa.string()), ("seed", pa.int64()), ("seconds", pa.float64()),
        ("sample_rate", pa.int64()), ("sha256", pa.string()), ("status", pa.string()), ("detail", pa.string()),
        ("finding", pa.string()), ("over_full_scale", pa.int64()),
    ]
)  # fmt: skip


#: Largest magnitude that a file of 16 bits holds on both sides.
FULL_SCALE = 32767 / 32768


class PromptRow(NamedTuple):
    """One row of a prompt set."""

    clip_id: str
    caption_id: str
    caption: str
    label: str
    protocol: str

    @property
    def file_name(self) -> str:
        """Name of the sample's file; its parts are checked to be plain names."""
        for part in (self.clip_id, self.caption_id, self.protocol):
            check_clip_id(part)
        return f"{self.clip_id}--{self.caption_id}--{self.protocol}.flac"


@dataclass(frozen=True)
class ReadSound:
    """A sound as a file holds it: each judge mixes and resamples it by its own rules.

    Attributes
    ----------
    samples
        float32, shape (channels, samples), full scale 1; what follows the seconds that are judged is there as well.
    sample_rate
        Samples per second.
    seconds
        Of it that are judged.
    exact
        Whether it is written without rounding (as 24 bits where 16 do not hold it), or with 16 bits like the sounds
        of models.
    """

    samples: np.ndarray
    sample_rate: int
    seconds: float
    exact: bool


class SoundSource(Protocol):
    """What gives the sounds of a system."""

    sample_rate: int

    def sounds(self, rows: Sequence[PromptRow]) -> "Sequence[np.ndarray | ReadSound | ClipError]":
        """Waveform of each row, (samples,) or (channels, samples), or why there is none."""


@dataclass
class ReferenceSounds:
    """The clips' own sound, whatever the caption; or that of another clip.

    Parameters
    ----------
    clips : Path
        Normalised clips of the data set.
    folders : dict of str to str
        Clip -> folder of its shard below `clips`.
    sample_rate
        Of the other systems' sounds; a file keeps its own.
    seconds
        Least length of a sound.
    partners : dict of str to str, optional
        Clip -> the clip whose sound it gets (:func:`other_clips`).
    """

    clips: Path
    folders: dict[str, str]
    sample_rate: int
    seconds: float
    partners: dict[str, str] | None = None

    def sounds(self, rows: Sequence[PromptRow]) -> list[ReadSound | ClipError]:
        """See :class:`SoundSource`."""
        heard = [self.partners[row.clip_id] if self.partners else row.clip_id for row in rows]
        paths = [self.clips / self.folders[clip_id] / f"{clip_id}.flac" for clip_id in heard]
        return [read_whole(path, self.seconds, exact=False) for path in paths]


def other_clips(clip_ids: Iterable[str], seed: int) -> dict[str, str]:
    """Another clip for every clip, each taken once: neighbours on a ring in random order.

    Raises
    ------
    InputError
        If there are not two different clips.
    """
    ring = sorted(set(clip_ids))
    if len(ring) < 2:
        raise InputError(f"a clip cannot get another clip's sound among {len(ring)} clips: use at least two")
    np.random.default_rng(seed_for(seed, "other clips")).shuffle(ring)
    return dict(zip(ring, [*ring[1:], ring[0]], strict=True))


@dataclass
class PublishedSounds:
    """A folder of somebody's generations, named by a pattern.

    Each file has at least `seconds`; it keeps its channels and rate; `sample_rate` is that of other systems.
    """

    system: SamplesSystem
    sample_rate: int
    seconds: float
    _root: Path = field(init=False)

    def __post_init__(self) -> None:
        self._root = Path(self.system.folder).resolve()
        if not self._root.is_dir():
            raise InputError(f"folder of samples {self.system.folder} is not there: set its path in the configuration")

    def path_of(self, row: PromptRow) -> Path:
        """File of a row; refuses one outside the folder."""
        name = self.system.pattern.format(
            clip_id=row.clip_id, caption_id=row.caption_id, caption="_".join(row.caption.split())
        )
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root):
            raise InputError(f"pattern {self.system.pattern!r} leads outside {self.system.folder} for {row}")
        return path

    def sounds(self, rows: Sequence[PromptRow]) -> list[ReadSound | ClipError]:
        """See :class:`SoundSource`."""
        return [read_whole(self.path_of(row), self.seconds, exact=True) for row in rows]


def read_whole(path: Path, seconds: float, *, exact: bool) -> ReadSound | ClipError:
    """A file's sound with its channels and rate, or why it cannot be had.

    `seconds` are judged: up to 2 % of them may be missing, and are silence.
    """
    if not path.is_file():
        return ClipError("missing_sample", f"{path.name} is not there")
    try:
        sound, rate = read_own_rate(path, used=seconds)
    except ClipError as error:
        return error
    wanted, have = round(seconds * rate), sound.shape[1]
    if have < ENOUGH * wanted:
        return ClipError("short", f"{path.name} holds {have / rate:.2f} s of {seconds} s")
    return ReadSound(np.pad(sound, ((0, 0), (0, max(0, wanted - have)))), rate, seconds, exact)


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
    with whole(path) as temporary:
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
        "file": path.name, "seconds": seconds, "sample_rate": rate, "sha256": sha256_file(path), "detail": detail,
        "finding": finding_of(judged), "over_full_scale": over_full_scale(judged),
    }  # fmt: skip


def _write_batch(rows: Sequence[PromptRow], source: SoundSource, seeds: Sequence[int], folder: Path) -> list[Any]:
    records = []
    for row, seed, sound in zip(rows, seeds, source.sounds(rows), strict=True):
        record: dict[str, Any] = {**row._asdict(), "seed": seed, "sample_rate": source.sample_rate, "status": OK}
        try:
            if isinstance(sound, ClipError):
                raise sound
            records.append({**record, **_write_sound(folder / row.file_name, sound, source.sample_rate)})
        except ClipError as error:
            records.append({**record, "status": error.reason, "detail": error.detail})
    return records


def _intact(records: Sequence[dict[str, Any]], folder: Path) -> bool:
    return all(
        r["status"] != OK or ((folder / r["file"]).is_file() and sha256_file(folder / r["file"]) == r["sha256"])
        for r in records
    )


def make_samples(
    rows: Sequence[PromptRow], source: SoundSource, *, label: str, seed: int, batch_size: int, shard: tuple[int, int],
    folder: str | Path, index: str | Path, key: Mapping[str, Any],
) -> None:  # fmt: skip
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
            for batch in progress(batches, label, len(batches)):
                item = hashlib.sha256(repr(batch).encode()).hexdigest()
                if item not in journal.done or not _intact(journal.done[item], folder):
                    seeds = [seed_for(seed, row.clip_id, row.caption_id) for row in batch]
                    journal.add(item, _write_batch(batch, source, seeds, folder))
                records += journal.done[item]
        kept = {record["file"] for record in records if record["status"] == OK}
        for path in folder.glob("*.flac"):
            if path.name not in kept:  # left by an earlier run of another prompt set
                path.unlink()
        with whole(index) as temporary:
            pq.write_table(pa.Table.from_pylist(records, schema=INDEX_SCHEMA), temporary)
        journal_path.unlink()
