"""Sounds that are not sampled: a clip's own, another clip's, or somebody's published files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cafa.common.errors import ClipError, InputError
from cafa.common.seeds import seed_for
from cafa.common.shards import shard_of
from cafa.generation.sources import PromptRow, ReadSound, SampleContext
from cafa.generation.systems import ReferenceOfAnotherClipSystem, ReferenceSystem, SamplesSystem
from cafa.media.sound import ENOUGH, read_own_rate


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
    depends : mapping
        See :class:`SoundSource`.
    """

    clips: Path
    folders: dict[str, str]
    sample_rate: int
    seconds: float
    partners: dict[str, str] | None = None
    depends: Mapping[str, Any] = field(default_factory=dict)

    def sounds(self, rows: Sequence[PromptRow]) -> list[ReadSound | ClipError]:
        """See :class:`SoundSource`."""
        clip_ids = [self.partners[row.clip_id] if self.partners else row.clip_id for row in rows]
        paths = [self.clips / self.folders[clip_id] / f"{clip_id}.flac" for clip_id in clip_ids]
        return [read_sound_file(path, self.seconds, exact=False) for path in paths]


def open_reference(system: ReferenceSystem | ReferenceOfAnotherClipSystem, context: SampleContext) -> ReferenceSounds:
    """Sounds of clips of the data set; see :meth:`cafa.generation.systems.SystemKind.open_source`."""
    folders = {row.clip_id: str(shard_of(row.clip_id, context.files.clip_shards)) for row in context.rows}
    partners = other_clips(folders, context.seed) if system.of_another_clip else None
    return ReferenceSounds(context.files.clips, folders, context.sample_rate, context.seconds, partners)


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
    depends: Mapping[str, Any] = field(default_factory=dict)
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
        return [read_sound_file(self.path_of(row), self.seconds, exact=True) for row in rows]


def open_published(system: SamplesSystem, context: SampleContext) -> PublishedSounds:
    """Sounds of a folder; see :meth:`cafa.generation.systems.SystemKind.open_source`."""
    return PublishedSounds(system, context.sample_rate, context.seconds)


def read_sound_file(path: Path, seconds: float, *, exact: bool) -> ReadSound | ClipError:
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
