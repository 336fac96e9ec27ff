"""Which clips somebody's files are of: names that a pattern reads or does not, lengths, rates, what is missing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from cafa.baselines.published import PublishedSet
from cafa.common.errors import ClipError, InputError
from cafa.common.ledger import OK, ledger_row
from cafa.common.progress import progress
from cafa.generation.name_patterns import NamePattern
from cafa.generation.sound_archives import ArchiveFiles, FolderFiles
from cafa.generation.sound_sources import read_sound_file
from cafa.media.sound import ENOUGH

STAGE = "baselines"
SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".mp4", ".webm", ".mkv", ".mov")
#: names that messages list
LISTED = 20


@dataclass
class Checked:
    """What was found.

    Attributes
    ----------
    rows
        Of a ledger: one for each sound, for each name that no pattern reads, and for each prompt without a sound.
    unmatched
        Names of sounds that no pattern reads.
    other
        Names of files that are no sounds.
    lengths, rates, channels
        Seconds (to a tenth), samples per second, channels -> number of sounds.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    lengths: Counter[float] = field(default_factory=Counter)
    rates: Counter[int] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)

    def count(self, status: str) -> int:
        """Rows of a status."""
        return sum(row["status"] == status for row in self.rows)

    def text(self, entry: PublishedSet | None = None) -> str:
        """For a person; beside it what is known of the set."""
        lost = Counter(row["status"] for row in self.rows if row["status"] != OK)
        lines = [
            f"sounds that are usable: {self.count(OK)}" + _beside(entry.expected if entry else None),
            f"seconds: {_counts(self.lengths)}" + _beside(entry.seconds if entry else None),
            f"samples per second: {_counts(self.rates)}" + _beside(entry.sample_rate if entry else None),
            f"channels: {_counts(self.channels)}" + _beside(entry.channels if entry else None),
            *(f"{status}: {number}" for status, number in sorted(lost.items())),
        ]
        if self.unmatched:
            lines.append(f"names that the pattern does not read: {_listed(self.unmatched)}")
        if self.other:
            lines.append(f"files that are no sounds: {_listed(self.other)}")
        return "\n".join(lines)


def _beside(stated: float | None) -> str:
    return "" if stated is None else f" (stated: {stated:g})"


def _counts(counter: Mapping[Any, int]) -> str:
    return ", ".join(f"{value:g} x {number}" for value, number in sorted(counter.items())) or "-"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{len(names)}: {', '.join(names[:LISTED])}{more}"


def patterns_for(name: str, entry: PublishedSet, given: Sequence[str], files: Sequence[str]) -> list[NamePattern]:
    """Patterns that were given, or those of the set.

    Raises
    ------
    InputError
        If none is given and the names of the set could not be found: with those that are there.
    """
    texts = tuple(given) or entry.names
    if not texts:
        raise InputError(
            f"how {name} names its files could not be found when its entry was written: give --pattern (fields: "
            f"cafa.generation.name_patterns), and the same `pattern` to its system. Its names are {_listed(files)}"
        )
    return [NamePattern(text) for text in texts]


def check_sounds(
    files: FolderFiles | ArchiveFiles,
    patterns: Sequence[NamePattern],
    *,
    seconds: float,
    prompts: pd.DataFrame | None = None,
) -> Checked:
    """Read every sound of a folder or of archives.

    Parameters
    ----------
    files : FolderFiles or ArchiveFiles
    patterns : sequence of NamePattern
        Tried in their order.
    seconds : float
        Least length.
    prompts : DataFrame, optional
        A prompt set: sounds of other clips are `not_selected`, clips without a sound `missing_sample`.

    Raises
    ------
    InputError
        If no pattern reads any of the names.
    """
    checked, seen = Checked(), set()
    wanted = None if prompts is None else set(prompts["clip_id"])
    for name in progress(files.names, "sounds", len(files.names)):
        if PurePosixPath(name).suffix.lower() not in SOUNDS:
            checked.other.append(name)
            continue
        fields = next((found for pattern in patterns if (found := pattern.read(name)) is not None), None)
        if fields is None:
            checked.unmatched.append(name)
            checked.rows.append(ledger_row(name, STAGE, "unmatched_name", "no pattern reads this name"))
            continue
        clip_id = fields["clip_id"]
        if wanted is not None and clip_id not in wanted:
            checked.rows.append(ledger_row(clip_id, STAGE, "not_selected", f"{name}: no prompt names the clip"))
            continue
        seen.add(clip_id)
        checked.rows.append(_row_of_sound(files, name, clip_id, seconds, checked))
    if len(checked.unmatched) + len(checked.other) == len(files.names):
        raise InputError(
            f"{' and '.join(repr(pattern.text) for pattern in patterns)} reads none of the names: "
            f"{_listed(checked.unmatched or checked.other)}"
        )
    missing = sorted((wanted or set()) - seen)
    checked.rows += [ledger_row(clip_id, STAGE, "missing_sample", "no file of the clip") for clip_id in missing]
    return checked


def _row_of_sound(
    files: FolderFiles | ArchiveFiles, name: str, clip_id: str, seconds: float, checked: Checked
) -> dict[str, Any]:
    with files.path_of(name) as path:
        # A second is asked for, so that lengths are counted of files that are too short as well.
        sound = read_sound_file(path, min(seconds, 1.0), exact=True, name=name)
    if isinstance(sound, ClipError):
        return ledger_row(clip_id, STAGE, sound.reason, sound.detail)
    length = sound.samples.shape[1] / sound.sample_rate
    checked.lengths[round(length, 1)] += 1
    checked.rates[sound.sample_rate] += 1
    checked.channels[len(sound.samples)] += 1
    if length < ENOUGH * seconds:
        return ledger_row(clip_id, STAGE, "short", f"{name} holds {length:.2f} s of {seconds:g} s")
    return ledger_row(
        clip_id, STAGE, OK, f"{name}: {length:.2f} s, {sound.sample_rate} Hz, {len(sound.samples)} channels"
    )
