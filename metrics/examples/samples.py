"""The samples that a page of examples can show, what failed among them, and the choice of prompts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import pandas as pd

from cafa.common.errors import InputError, MissingClipError
from cafa.common.ledger import OK, REASONS
from cafa.common.seeds import seed_for
from cafa.common.shards import shard_files
from cafa.common.tables import records, row_tuples
from cafa.data.manifest import check_clip_id
from cafa.data.sample_index import keyed, lost_samples, read_sounds
from metrics.examples.scores import ScoreTable
from metrics.examples.settings import ExampleSources, ExamplesSettings
from metrics.tables.catalogue import METRICS
from metrics.tables.verdict import printed

#: What became of a failure: there is no sound; there is one without scores; it has the worst score.
Kind = Literal["lost", "not judged", "worst"]


@dataclass(frozen=True)
class Failure:
    """A sample that failed.

    Attributes
    ----------
    kind : {"lost", "not judged", "worst"}
    system : str
    key : str
        ``clip_id/caption_id/protocol``.
    caption : str
    reason : str
        Of the ledger; or which score is the worst.
    detail : str
        Of the ledger; or the score.
    """

    kind: Kind
    system: str
    key: str
    caption: str
    reason: str
    detail: str

    @property
    def meaning(self) -> str:
        """What the reason of a ledger means; empty of a score."""
        return REASONS[self.reason].meaning if self.reason in REASONS else ""


def read_indices(sources: ExampleSources, systems: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Samples that are ok, by system, indexed by ``clip_id/caption_id/protocol``, with ``path`` of the sound.

    Raises
    ------
    InputError
        If a system has no index of samples, or not of every shard.
    """
    found = {}
    for system in systems:
        check_clip_id(system)
        index = read_sounds(sources.samples / system, sources.sample_shards)
        if not index.index.is_unique:
            raise InputError(
                f"a sample of {system} is in two indices below {sources.samples}: say how many shards there are"
            )
        found[system] = index
    return found


def lost_of(sources: ExampleSources, system: str) -> list[Failure]:
    """Samples of a system that there are none of, and those that the judges could not judge, with their reasons."""
    lost = lost_samples(sources.samples / system, sources.sample_shards)
    found = [_failure("lost", system, row) for row in records(lost)]
    if sources.judged is None:
        return found
    paths = shard_files(sources.judged / system, "{}/index.parquet", shards=sources.sample_shards)
    judged = keyed(pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True))
    unjudged = judged[(judged["status"] != OK) & ~judged.index.isin(lost.index)]
    return found + [_failure("not judged", system, row) for row in records(unjudged)]


def _failure(kind: Kind, system: str, row: Mapping[str, object]) -> Failure:
    key = "/".join(str(row[name]) for name in ("clip_id", "caption_id", "protocol"))
    return Failure(kind, system, key, str(row["caption"]), str(row["status"]), str(row["detail"] or ""))


def worst_of(
    scores: ScoreTable, captions: pd.Series, among: Mapping[str, pd.Index], settings: ExamplesSettings
) -> list[Failure]:
    """Samples with the worst scores.

    Parameters
    ----------
    scores : ScoreTable
    captions : pandas.Series
        Of prompts, by key.
    among : mapping of str to pandas.Index
        System whose failures are looked for -> keys of its sounds.
    settings : ExamplesSettings
    """
    found = []
    shown = {system: keys.intersection(captions.index) for system, keys in among.items()}
    for system, key, metric, value in scores.worst(settings.worst, settings.failures, shown):
        unit = f" {METRICS[metric].unit}".rstrip() if metric in METRICS else ""
        said = printed(value, METRICS[metric].decimals) if metric in METRICS else f"{value:.3g}"
        found.append(Failure("worst", system, key, str(captions[key]), f"worst {metric}", said + unit))
    return found


def choose_rows(prompts: pd.DataFrame, indices: Mapping[str, pd.DataFrame], settings: ExamplesSettings) -> list[str]:
    """Keys of the prompts to show, clip by clip.

    Only prompts that every system has a sound for. Clips come in the order of a hash of their id, first one of each
    category; a clip's own caption comes before the prompts of other categories, which come in the order of a hash too.

    Raises
    ------
    MissingClipError
        If there are not enough clips with enough prompts.
    """
    rows = keyed(prompts)
    for index in indices.values():
        rows = rows[rows.index.isin(index.index)]
    rows = rows.assign(own=rows["caption"] == rows["own_caption"]).drop_duplicates(["clip_id", "caption"])
    rows = rows.assign(order=[seed_for(settings.seed, row.clip_id, row.caption_id) for row in row_tuples(rows)])
    rows = rows.sort_values(["own", "order"], ascending=[False, True])
    enough = {
        str(clip_id): group.head(settings.prompts_per_clip)
        for clip_id, group in rows.groupby("clip_id")
        if len(group) >= settings.prompts_per_clip
    }
    if len(enough) < settings.clips:
        raise MissingClipError(
            f"only {len(enough)} clips have {settings.prompts_per_clip} prompts in all of {', '.join(indices)}, "
            f"{settings.clips} were asked for: ask for fewer clips, prompts or systems"
        )
    ordered = sorted(enough, key=lambda clip_id: seed_for(settings.seed, clip_id))
    labels = [enough[clip_id]["own_label"].iloc[0] for clip_id in ordered]
    again = [labels.index(label) != place for place, label in enumerate(labels)]
    ordered = [clip_id for _, clip_id in sorted(zip(again, ordered, strict=True), key=lambda pair: pair[0])]
    return [str(key) for clip_id in ordered[: settings.clips] for key in enough[clip_id].index]


def shown_keys(
    chosen: Sequence[str], failures: Sequence[Failure], settings: ExamplesSettings, can_show: Callable[[str], bool]
) -> list[str]:
    """Keys of the prompts on the page: those that were chosen, then those of failures.

    Of samples without a sound or scores, so many of each system as the settings say, in the order of a hash, of those
    that `can_show` allows.
    """
    keys = dict.fromkeys([*chosen, *(one.key for one in failures if one.kind == "worst")])
    for system in settings.systems:
        lost = [one.key for one in failures if one.system == system and one.kind != "worst"]
        lost.sort(key=lambda key: seed_for(settings.seed, key))
        keys |= dict.fromkeys(islice(filter(can_show, lost), settings.lost))
    return list(keys)
