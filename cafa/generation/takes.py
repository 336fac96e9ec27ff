"""Several takes of one sound: who says which is best, and how.

Judging is not this library's: whoever calls gives a function (the command line gives
:class:`metrics.evaluation.rank_takes.TakePanel`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cafa.common.files import digest_of, read_json, write_json
from cafa.common.judged_takes import NoJudgesError, TakeJudges, Takes
from cafa.media.sound import write_sound

RECORD = "takes.json"


@dataclass(frozen=True)
class Chosen:
    """Takes that are kept, best first.

    Attributes
    ----------
    seeds : tuple of int
    scores : mapping of int to mapping
        By the seed of every take: ``total``, and the values it is made of; empty where nobody judged.
    judges : mapping of str to str
    windows : int
        See :class:`~cafa.common.judged_takes.Judgement`.
    """

    seeds: tuple[int, ...]
    scores: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    judges: Mapping[str, str] = field(default_factory=dict)
    windows: int = 1

    def facts(self, seed: int, count: int) -> dict[str, Any]:
        """What is recorded of a kept take, as JSON has it."""
        scores = {str(other): dict(values) for other, values in self.scores.items()}
        rank = self.seeds.index(seed) + 1
        return {"of": count, "rank": rank, "scores": scores, "judges": dict(self.judges), "windows": self.windows}


def choose_takes(
    sounds: Mapping[int, tuple[Any, int]],
    keep: int,
    judges: TakeJudges | None,
    picture: Path,
    prompt: str,
    *,
    miniature: bool,
    say: Callable[[str], None],
) -> Chosen:
    """Have takes judged, and choose the best; without a judge, the first.

    Parameters
    ----------
    sounds : mapping of int to (ndarray, int)
        seed -> waveform and sample rate.
    keep : int
    judges : callable, optional
    picture, prompt, miniature
        See :class:`~cafa.common.judged_takes.Takes`.
    say : callable
        Gets the scores, or why there are none.
    """
    seeds = tuple(sounds)
    first = Chosen(seeds[:keep])
    if judges is None:
        say(f"takes are not ranked, since no judge was given: seed {_listed(first.seeds)} of {len(seeds)} is kept")
        return first
    with TemporaryDirectory() as folder:
        paths = []
        for seed, (waveform, rate) in sounds.items():
            paths.append(Path(folder) / f"{seed}.wav")
            write_sound(paths[-1], waveform, rate)
        waveform, rate = sounds[seeds[0]]
        try:
            found = judges(Takes(picture, prompt, tuple(paths), waveform.shape[-1] / rate, miniature))
        except NoJudgesError as error:
            say(f"takes are not ranked ({error}): seed {_listed(first.seeds)} of {len(seeds)} is kept")
            return first
    for note in found.notes:
        say(f"note: {note}")
    over = f"; mean of {found.windows} windows" if found.windows > 1 else ""
    best = sorted(range(len(seeds)), key=lambda k: (-found.scores[k].total, k))
    for place, k in enumerate(best):
        values = ", ".join(f"{name} {value:.3f}" for name, value in found.scores[k].values.items())
        kept = "kept" if place < keep else "left"
        say(f"  take with seed {seeds[k]}: {found.scores[k].total:.3f} ({values}{over}), {kept}")
    scores = {seed: {"total": score.total, **score.values} for seed, score in zip(seeds, found.scores, strict=True)}
    return Chosen(tuple(seeds[k] for k in best[:keep]), scores, found.judges, found.windows)


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


class TakesRecord:
    """Which takes were kept, so that a run that goes on need not make all of them again.

    Parameters
    ----------
    folder : Path
        Of the results.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / RECORD

    def kept(self, asked: Mapping[str, Any]) -> tuple[int, ...] | None:
        """Seeds that judges chose for a request, best first; None where they did not choose yet."""
        entry = self._read().get(digest_of(dict(asked)))
        return tuple(entry["kept"]) if entry and entry["judges"] else None

    def last(self, asked: Mapping[str, Any]) -> tuple[int, ...]:
        """Seeds that were kept for a request, by judges or without."""
        return tuple(self._read()[digest_of(dict(asked))]["kept"])

    def add(self, asked: Mapping[str, Any], chosen: Chosen) -> None:
        """Record a choice."""
        scores = {str(seed): dict(values) for seed, values in chosen.scores.items()}
        entry = dict(asked) | {"kept": list(chosen.seeds), "scores": scores, "judges": dict(chosen.judges)}
        entry["windows"] = chosen.windows
        write_json(self._path, self._read() | {digest_of(dict(asked)): entry})

    def _read(self) -> dict[str, Any]:
        return dict(read_json(self._path)) if self._path.is_file() else {}
