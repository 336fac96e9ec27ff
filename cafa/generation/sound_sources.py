"""Sounds that are not sampled: a clip's own, another clip's, or somebody's published files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cafa.common.errors import ClipError, InputError
from cafa.common.seeds import seed_for
from cafa.common.shards import shard_of
from cafa.generation.samples_system import SamplesSystem
from cafa.generation.sound_archives import opened
from cafa.generation.sources import PromptRow, ReadSound, SampleContext
from cafa.generation.systems import ReferenceOfAnotherClipSystem, ReferenceSystem
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


class PublishedSounds:
    """Somebody's generations, in a folder or in archives, named by patterns.

    Each file has at least `seconds`; it keeps its channels and rate; `sample_rate` is that of other systems.

    Parameters
    ----------
    system : SamplesSystem
        Of several takes, the one to read.
    sample_rate : int
    seconds : float

    Raises
    ------
    InputError
        If the folder or an archive is not there or not readable, or several takes are wanted at once.
    """

    def __init__(self, system: SamplesSystem, sample_rate: int, seconds: float) -> None:
        if len(system.takes) > 1:
            raise InputError(
                f"one index of samples holds one sound of a row, and `takes` names {list(system.takes)}: make the "
                "samples of each by itself, with `takes: [number]` (the workflow does), and let a table average them"
            )
        self.system, self.sample_rate, self.seconds = system, sample_rate, seconds
        self._take = system.takes[0] if system.takes else None
        self._files = opened(system.folder, system.archive, system.name_field)
        self.depends: Mapping[str, Any] = {} if system.folder is not None else {"archives": self._files.digest}
        self._names = set(self._files.names)
        self._ends = _ends(self._files.names) if any(p.anywhere for p in system.patterns) else {}

    def close(self) -> None:
        """Close the archives."""
        self._files.close()

    def candidates(self, row: PromptRow) -> list[str]:
        """Names that the row's file may have, in the order in which they are tried."""
        fields = {**row._asdict(), "prompt": self.system.prompt_of(row), "take": self._take}
        return [pattern.name_of(fields) for pattern in self.system.patterns]

    def name_of(self, row: PromptRow) -> str:
        """Name of the row's file, in the folder or archives.

        Raises
        ------
        ClipError
            ``missing_sample``, or ``ambiguous`` if several folders have such a file.
        """
        tried = self.candidates(row)
        for pattern, name in zip(self.system.patterns, tried, strict=True):
            found = self._ends.get(name, []) if pattern.anywhere else [name] if name in self._names else []
            if len(found) > 1:
                raise ClipError("ambiguous", f"{name} is there as {', '.join(found[:3])}")
            if found:
                return found[0]
        raise ClipError("missing_sample", f"{' and '.join(tried)} {'is' if len(tried) == 1 else 'are'} not there")

    def require_some(self, rows: Sequence[PromptRow]) -> None:
        """Refuse files of which none belongs to any row: then it is the pattern that is wrong.

        Raises
        ------
        InputError
            Names what was looked for, and what is there.
        """
        if not rows or any(self._is_there(row) for row in rows):
            return
        strange = [name for name in self._files.names if not any(p.read(name) for p in self.system.patterns)]
        read = len(self._files.names) - len(strange)
        patterns = " or ".join(repr(pattern.text) for pattern in self.system.patterns)
        raise InputError(
            f"none of the {len(rows)} prompts has a file: looked for {', '.join(self.candidates(rows[0]))} ... "
            f"There are {len(self._files.names)} files, of which {read} have names of the pattern {patterns}"
            + (f"; names that it does not read: {', '.join(strange[:5])}" if strange else " but of other clips")
            + ". Set `pattern` in the system's settings"
        )

    def _is_there(self, row: PromptRow) -> bool:
        try:
            self.name_of(row)
        except ClipError as error:
            return error.reason == "ambiguous"
        return True

    def sounds(self, rows: Sequence[PromptRow]) -> list[ReadSound | ClipError]:
        """See :class:`SoundSource`."""
        return [self._sound(row) for row in rows]

    def _sound(self, row: PromptRow) -> ReadSound | ClipError:
        try:
            name = self.name_of(row)
            with self._files.path_of(name) as path:
                return read_sound_file(path, self.seconds, exact=True, name=name)
        except ClipError as error:
            return error


def _ends(names: Iterable[str]) -> dict[str, list[str]]:
    """Names by each of their ends: ``c.wav``, ``b/c.wav``, ``a/b/c.wav``."""
    ends: dict[str, list[str]] = {}
    for name in names:
        parts = name.split("/")
        for first in range(len(parts)):
            ends.setdefault("/".join(parts[first:]), []).append(name)
    return ends


def open_published(system: SamplesSystem, context: SampleContext) -> PublishedSounds:
    """Sounds of a folder or of archives; see :meth:`cafa.generation.systems.SystemKind.open_source`."""
    source = PublishedSounds(system, context.sample_rate, context.seconds)
    source.require_some(context.rows)
    return source


def read_sound_file(path: Path, seconds: float, *, exact: bool, name: str | None = None) -> ReadSound | ClipError:
    """A file's sound with its channels and rate, or why it cannot be had.

    `seconds` are judged: up to 2 % of them may be missing, and are silence. `name` is what messages call the file.
    """
    if not path.is_file():
        return ClipError("missing_sample", f"{name or path.name} is not there")
    try:
        sound, rate = read_own_rate(path, used=seconds)
    except ClipError as error:
        return ClipError(error.reason, error.detail.replace(str(path), name or str(path)))
    wanted, have = round(seconds * rate), sound.shape[1]
    if have < ENOUGH * wanted:
        return ClipError("short", f"{name or path.name} holds {have / rate:.2f} s of {seconds} s")
    return ReadSound(np.pad(sound, ((0, 0), (0, max(0, wanted - have)))), rate, seconds, exact)
