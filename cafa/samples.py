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
from cafa.media.sound import read_sound, write_sound
from cafa.media.usable_sound import check_finite
from cafa.progress import progress
from cafa.seeds import seed_for
from cafa.shards import batches_of_shard
from cafa.systems import SamplesSystem

INDEX_SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()), ("caption_id", pa.string()), ("protocol", pa.string()), ("caption", pa.string()),
        ("label", pa.string()), ("file", pa.string()), ("seed", pa.int64()), ("seconds", pa.float64()),
        ("sample_rate", pa.int64()), ("sha256", pa.string()), ("status", pa.string()), ("detail", pa.string()),
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


class SoundSource(Protocol):
    """What gives the sounds of a system."""

    sample_rate: int

    def sounds(self, rows: Sequence[PromptRow]) -> list[np.ndarray | ClipError]:
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
    sample_rate, seconds
        What is read.
    partners : dict of str to str, optional
        Clip -> the clip whose sound it gets (:func:`other_clips`).
    """

    clips: Path
    folders: dict[str, str]
    sample_rate: int
    seconds: float
    partners: dict[str, str] | None = None

    def sounds(self, rows: Sequence[PromptRow]) -> list[np.ndarray | ClipError]:
        """See :class:`SoundSource`."""
        heard = [self.partners[row.clip_id] if self.partners else row.clip_id for row in rows]
        paths = [self.clips / self.folders[clip_id] / f"{clip_id}.flac" for clip_id in heard]
        return [read_window(path, self.sample_rate, self.seconds) for path in paths]


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
    """A folder of somebody's generations, named by a pattern."""

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

    def sounds(self, rows: Sequence[PromptRow]) -> list[np.ndarray | ClipError]:
        """See :class:`SoundSource`."""
        return [read_window(self.path_of(row), self.sample_rate, self.seconds) for row in rows]


def read_window(path: Path, sample_rate: int, seconds: float) -> np.ndarray | ClipError:
    """Sound of a file's first `seconds`, or why it cannot be had."""
    if not path.is_file():
        return ClipError("missing_sample", f"{path.name} is not there")
    try:
        sound = read_sound(path, sample_rate=sample_rate, seconds=seconds)
    except ClipError as error:
        return error
    wanted = round(seconds * sample_rate)
    if len(sound) < 0.98 * wanted:
        return ClipError("short", f"{path.name} holds {len(sound) / sample_rate:.2f} s of {seconds} s")
    return np.pad(sound, (0, max(0, wanted - len(sound))))[:wanted]


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


def _write_batch(rows: Sequence[PromptRow], source: SoundSource, seeds: Sequence[int], folder: Path) -> list[Any]:
    records = []
    for row, seed, sound in zip(rows, seeds, source.sounds(rows), strict=True):
        record: dict[str, Any] = {**row._asdict(), "seed": seed, "sample_rate": source.sample_rate, "status": OK}
        if not isinstance(sound, ClipError):
            try:
                check_finite(sound, source.sample_rate, row.file_name)
            except ClipError as error:
                sound = error
        if isinstance(sound, ClipError):
            records.append({**record, "status": sound.reason, "detail": sound.detail})
            continue
        path = folder / row.file_name
        sound, detail = within_full_scale(sound)
        write_sound(path, sound, source.sample_rate)
        seconds = sound.shape[-1] / source.sample_rate
        records.append({**record, "file": path.name, "seconds": seconds, "sha256": sha256_file(path), "detail": detail})
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
