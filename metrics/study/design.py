"""Which pairs a study shows, and which rater sees which pair on which side.

The design follows the paper's study (section 4, Table 3): pairs of the studied system and one opponent for the same
clip and caption, three independent questions, random order and sides. Added: a balanced assignment of pairs to raters,
and attention checks, whose answer is known.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cafa.common.errors import InputError
from cafa.common.seeds import seed_for

#: criterion -> question of the paper; the prompt stands in its text
QUESTIONS = {
    "prompt_adherence": "Which audio better matches the description '{caption}'?",
    "alignment": "Which audio better aligns with the timing of visual movements and events in the video?",
    "quality": (
        "Which audio has higher overall technical quality (considering naturalness, clarity, and lack of artifacts)?"
    ),
}
#: what a check asks: the criteria whose answer is known
CHECKS = {"silence": tuple(QUESTIONS), "other_caption": ("prompt_adherence",)}
#: Names that checks have in place of a system: the clip's own sound, none, and that of a clip of another category.
OWN, SILENT, OTHER = "own sound", "silence", "sound of another clip"


class StudySettings(BaseModel):
    """What a study asks, of how many."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,60}$", description="name of the study")] = "study"
    system: Annotated[str, Field(description="system whose win rate is reported")]
    opponents: Annotated[tuple[str, ...], Field(min_length=1, description="systems that it is compared with")]
    protocols: Annotated[
        tuple[str, ...], Field(min_length=1, description="protocols of the prompt sets: own captions, and others'")
    ] = ("matched", "cross")
    pairs: Annotated[int, Field(ge=1, description="pairs of each opponent and protocol")] = 50
    ratings: Annotated[int, Field(ge=1, description="raters of each pair")] = 5
    pairs_per_rater: Annotated[int, Field(ge=1, description="pairs that one rater sees, checks apart")] = 20
    checks: Annotated[int, Field(ge=0, description="attention checks of each rater")] = 2
    ties: Annotated[bool, Field(description="whether 'no difference' may be answered; the paper's study had none")] = (
        False
    )
    seed: Annotated[int, Field(ge=0, description="of the choice of pairs, of order and sides")] = 0

    @model_validator(mode="after")
    def _different(self) -> "StudySettings":
        if self.system in self.opponents or len(set(self.opponents)) < len(self.opponents):
            raise ValueError(f"{self.system!r} and opponents {list(self.opponents)}: each system once")
        return self


@dataclass(frozen=True)
class Pair:
    """Two sounds of one picture that are compared.

    Attributes
    ----------
    pair : str
        Name of the pair, without a meaning.
    kind : {"pair", "silence", "other_caption"}
        Two systems, or a check.
    clip_id, caption_id, protocol, caption : str
    first, second : str
        System and opponent; of checks: the answer that is right, and the other.
    """

    pair: str
    kind: str
    clip_id: str
    caption_id: str
    protocol: str
    caption: str
    first: str
    second: str


@dataclass(frozen=True)
class Shown:
    """A pair as one rater sees it: whether `first` is on the left."""

    pair: str
    first_left: bool


@dataclass(frozen=True)
class Design:
    """Pairs and who sees them.

    Attributes
    ----------
    pairs : dict of str to Pair
    sets : tuple of tuple of Shown
        What one rater sees, in order; there are as many sets as raters are needed.
    """

    pairs: dict[str, Pair]
    sets: tuple[tuple[Shown, ...], ...]

    def as_json(self) -> dict[str, Any]:
        """As JSON has it."""
        pairs = {name: asdict(pair) for name, pair in self.pairs.items()}
        return {"pairs": pairs, "sets": [[asdict(shown) for shown in one] for one in self.sets]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Design":
        """From :meth:`as_json`."""
        pairs = {name: Pair(**pair) for name, pair in value["pairs"].items()}
        return cls(pairs, tuple(tuple(Shown(**shown) for shown in one) for one in value["sets"]))


def choose_pairs(rows: pd.DataFrame, available: Mapping[str, set[str]], settings: StudySettings) -> list[Pair]:
    """Pairs of every opponent and protocol, on as many different clips as there are.

    Parameters
    ----------
    rows : pandas.DataFrame
        Prompts: ``clip_id``, ``caption_id``, ``protocol``, ``caption``.
    available : mapping of str to set of str
        System -> ``clip_id/caption_id/protocol`` of its samples.
    settings : StudySettings

    Raises
    ------
    InputError
        If a comparison has fewer pairs than are asked for; says how many there are.
    """
    chosen = []
    for opponent in settings.opponents:
        for protocol in settings.protocols:
            keys = rows["clip_id"] + "/" + rows["caption_id"] + "/" + rows["protocol"]
            both = available[settings.system] & available[opponent]
            usable = rows[(rows["protocol"] == protocol) & keys.isin(both)]
            if len(usable) < settings.pairs:
                raise InputError(
                    f"{settings.system} against {opponent}, {protocol}: {len(usable)} prompts have samples of both, "
                    f"{settings.pairs} pairs are asked for: give `pairs` that are no more, or make more samples"
                )
            order = [
                _digest(settings.seed, row.clip_id, row.caption_id, protocol, "order") for row in usable.itertuples()
            ]
            usable = usable.assign(order=order).sort_values("order")
            turn = usable.groupby("clip_id").cumcount()  # first prompts of all clips before second ones of any
            usable = usable.assign(turn=turn).sort_values(["turn", "order"], kind="stable").head(settings.pairs)
            for row in usable.itertuples():
                name = _digest(settings.seed, opponent, row.clip_id, row.caption_id, protocol)
                identity = (str(row.clip_id), str(row.caption_id), protocol, str(row.caption))
                chosen.append(Pair(name, "pair", *identity, settings.system, opponent))
    return chosen


def choose_checks(rows: pd.DataFrame, settings: StudySettings) -> list[Pair]:
    """Attention checks of both kinds, each on a clip of its own.

    A clip's own sound against silence has one answer to every question; its own sound against that of a clip of
    another category has one answer to "which matches the description".

    Parameters
    ----------
    rows : pandas.DataFrame
        Prompts of the clips' own captions: ``clip_id``, ``caption_id``, ``protocol``, ``caption``, ``label``.
    settings : StudySettings

    Raises
    ------
    InputError
        If there are not enough clips, or all are of one category.
    """
    if not settings.checks:
        return []
    own = rows.drop_duplicates("clip_id")
    if len(own) < settings.checks or own["label"].nunique() < 2:
        raise InputError(
            f"{settings.checks} attention checks need as many clips, of two categories at least: there are {len(own)} "
            f"clips of {own['label'].nunique()}"
        )
    order = [_digest(settings.seed, clip_id, "check") for clip_id in own["clip_id"]]
    own = own.assign(order=order).sort_values("order").head(max(settings.checks, 2) * 4)
    kinds: tuple[tuple[str, str], ...] = (("silence", SILENT), ("other_caption", OTHER))
    checks = []
    for number, row in enumerate(own.itertuples()):
        kind, wrong = kinds[number % 2]
        name = _digest(settings.seed, row.clip_id, kind)
        checks.append(
            Pair(name, kind, str(row.clip_id), str(row.caption_id), str(row.protocol), str(row.caption), OWN, wrong)
        )
    return checks


def assign(pairs: Sequence[Pair], checks: Sequence[Pair], settings: StudySettings) -> Design:
    """Assign pairs to raters: each pair equally often, no pair twice to one rater, each side equally often.

    Every rater gets the pairs that were assigned least often so far; among these a random choice. A pair's sides
    alternate from rater to rater. Checks stand at random places, never first.
    """
    size = min(settings.pairs_per_rater, len(pairs))
    raters = -(-len(pairs) * settings.ratings // size)
    rng = np.random.default_rng(seed_for(settings.seed, "assignment"))
    times: Counter[str] = Counter()
    sets = []
    for rater in range(raters):
        order = rng.permutation(len(pairs))
        picked = sorted((pairs[int(number)] for number in order), key=lambda pair: times[pair.pair])[:size]
        shown = []
        for pair in picked:
            turn = int(_digest(settings.seed, pair.pair, "side"), 16) % 2
            shown.append(Shown(pair.pair, (times[pair.pair] + turn) % 2 == 0))
            times[pair.pair] += 1
        rng.shuffle(shown)
        for number in range(settings.checks if checks else 0):
            check = checks[(rater * settings.checks + number) % len(checks)]
            shown.insert(int(rng.integers(1, len(shown) + 1)), Shown(check.pair, bool(rng.integers(2))))
        sets.append(tuple(shown))
    return Design({pair.pair: pair for pair in (*pairs, *checks)}, tuple(sets))


def media_name(pair: Pair, which: Literal["first", "second"], seed: int) -> str:
    """Name of a file that raters can see: it tells nothing about the system."""
    return f"{_digest(seed, pair.pair, which, 'media')}.mp4"


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]
