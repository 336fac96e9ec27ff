"""Several takes of a sound, and what judges say of them: what the maker of sounds and its judges both know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cafa.common.errors import CafaError


class NoJudgesError(CafaError):
    """Nobody can judge these takes; the message says why."""


@dataclass(frozen=True)
class Takes:
    """What is to be judged.

    Attributes
    ----------
    picture : Path
        Video that the sounds were made for; its time 0 is theirs.
    prompt : str
    sounds : tuple of Path
        wav files.
    seconds : float
        Their length.
    miniature : bool
        Whether they are sounds of the miniature's models, which only the miniature's judges know.
    """

    picture: Path
    prompt: str
    sounds: tuple[Path, ...]
    seconds: float
    miniature: bool


@dataclass(frozen=True)
class TakeScore:
    """How good a take is.

    Attributes
    ----------
    total : float
        Higher is better.
    values : mapping of str to float
        What it is made of, by the names of the metrics.
    """

    total: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Judgement:
    """How good takes are.

    Attributes
    ----------
    scores : tuple of TakeScore
        In the order of the takes.
    judges : mapping of str to str
        Name -> SHA-256 of its weights.
    notes : tuple of str
        What was not judged, for a person.
    windows : int
        In how many parts, the same of every take, they were judged; the values are means over them.
    """

    scores: tuple[TakeScore, ...]
    judges: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    windows: int = 1


class TakeJudges(Protocol):
    """Judges of takes, opened once for any number of videos."""

    def __call__(self, takes: Takes) -> Judgement:
        """Judge takes.

        Raises
        ------
        NoJudgesError
            If there is no judge, or none that can judge these.
        """
        ...
