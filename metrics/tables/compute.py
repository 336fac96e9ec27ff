"""Tables of systems by metrics, with intervals, and paired differences between systems.

All numbers of a table are computed on the same (clip, caption) rows, with the same draws of the bootstrap.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cafa.common.errors import InputError
from cafa.media.usable_sound import CONSTANT, SILENT
from metrics.functional.bootstrap import ClipBootstrap, Estimate, mean_of
from metrics.functional.differences import detectable_difference, holm, p_value, standard_error
from metrics.tables.catalogue import METRICS
from metrics.tables.clip_choice import ClipChoice
from metrics.tables.coverage import ROW, Coverage
from metrics.tables.set_metrics import SetInputs
from metrics.tables.verdict import NO_DIRECTION, better_of

#: Sounds with values beyond full scale, among the findings of a system.
OVER = "over_full_scale"
#: A system of which a larger share is silent or constant is no contestant: judges score what is no sound.
LARGEST_SILENT_SHARE = 0.05


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BootstrapSettings(_Settings):
    """How intervals are made."""

    resamples: Annotated[int, Field(ge=100, description="draws of clips; below 100 an interval has no ends")] = 500
    set_resamples: Annotated[
        int | None,
        Field(ge=100, description="draws for FAD, KAD and IS, which take minutes; null: as many as for the others"),
    ] = 100
    seed: Annotated[int, Field(ge=0, description="of the draws")] = 0
    level: Annotated[float, Field(gt=0.5, lt=1.0, description="share of the draws inside the interval")] = 0.95


class Block(_Settings):
    """Rows of a table under a heading."""

    name: Annotated[str, Field(min_length=1, description="heading, as V2A")]
    systems: Annotated[tuple[str, ...], Field(description="rows, in order")]


class TableSettings(_Settings):
    """What a table shows."""

    protocol: Annotated[str, Field(description="rows of the prompt set to use: matched, cross...")]
    systems: Annotated[tuple[str, ...], Field(description="rows of the table, in order; or give `blocks`")] = ()
    blocks: Annotated[
        tuple[Block, ...],
        Field(description="in place of `systems`: rows under headings, in order; the best value is marked in each"),
    ] = ()
    seconds: Annotated[
        float | None,
        Field(gt=0, description="length that is judged, of sounds and of real ones; null: that of `embed.pretrained`"),
    ] = None
    clips: Annotated[ClipChoice | None, Field(description="which clips are taken; null: all of the protocol")] = None
    takes: Annotated[
        dict[str, tuple[str, ...]], Field(description="row -> systems whose values it is the mean of: takes of a row")
    ] = {}
    left_out: Annotated[dict[str, str], Field(description="system that has no row here -> why")] = {}
    metrics: Annotated[
        tuple[str, ...],
        Field(min_length=1, description="columns of the table, in order: metrics of metrics.tables.catalogue.METRICS"),
    ]
    compare: Annotated[
        tuple[tuple[str, str], ...], Field(description="pairs of systems whose difference is given")
    ] = ()
    bootstrap: BootstrapSettings = BootstrapSettings()
    inception_splits: Annotated[int, Field(ge=1, description="parts of the inception score (peers: 10)")] = 10
    inception_seed: Annotated[int, Field(ge=0, description="shuffle of the inception score (peers: 2020)")] = 2020
    max_loss: Annotated[
        float, Field(ge=0.0, lt=1.0, description="largest share of prompts that may be missing in some system")
    ] = 0.05
    title: Annotated[str, Field(description="heading; by default the table's name")] = ""
    meaning: Annotated[
        str, Field(description="one sentence on what the numbers may be compared with, printed first")
    ] = ""
    descriptions: Annotated[dict[str, str], Field(description="system -> one line that explains its row")] = {}
    published_notes: Annotated[
        dict[str, str],
        Field(description="column -> what is to be known of the paper's values in it, printed where it is shown"),
    ] = {}
    controls: Annotated[
        tuple[str, ...], Field(description="systems that are no contestants: never in bold (oracle, reference...)")
    ] = ()

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        METRICS.check(*names)
        return names

    @model_validator(mode="before")
    @classmethod
    def _rows_of_blocks(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or not fields.get("blocks"):
            return fields
        blocks = [block.model_dump() if isinstance(block, Block) else block for block in fields["blocks"]]
        names = [name for block in blocks for name in block.get("systems", ())]
        if fields.get("systems") and list(fields["systems"]) != names:
            raise ValueError(f"give `systems` or `blocks`, not both: {list(fields['systems'])} and {names}")
        return {**fields, "systems": names}

    @model_validator(mode="after")
    def _known_systems(self) -> "TableSettings":
        if not self.systems:
            raise ValueError("a table needs at least one row: give `systems` or `blocks`")
        if len({block.name for block in self.blocks}) != len(self.blocks):
            raise ValueError("two blocks have one name")
        if len(set(self.systems)) != len(self.systems) or len(set(self.metrics)) != len(self.metrics):
            raise ValueError("a system or metric is named twice")
        named = {*self.descriptions, *self.controls, *(system for pair in self.compare for system in pair)}
        if strange := sorted(named - set(self.systems)):
            raise ValueError(f"compare, descriptions or controls name systems without a row: {strange}")
        if selves := [pair for pair in self.compare if pair[0] == pair[1]]:
            raise ValueError(f"a system cannot be compared with itself: {selves}")
        if strange := sorted(set(self.takes) - set(self.systems)):
            raise ValueError(f"takes are of rows, and {strange} have none")
        if self.clips is not None and self.clips.of_system in self.takes:
            raise ValueError(f"`clips.of_system` {self.clips.of_system} is a mean of takes: name one of them")
        return self

    def parts_of(self, system: str) -> tuple[str, ...]:
        """Systems whose values a row is the mean of: several takes, or itself."""
        return self.takes.get(system, (system,))

    @property
    def sounding(self) -> tuple[str, ...]:
        """All systems of which samples are read: those of the rows, and of the choice of clips."""
        names = [part for system in self.systems for part in self.parts_of(system)]
        chosen = self.clips.of_system if self.clips is not None else None
        return tuple(dict.fromkeys([*names, *([chosen] if chosen is not None and not set(names) & {chosen} else [])]))

    @property
    def row_groups(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Headings and their rows; one without a heading where there are no blocks."""
        return tuple((block.name, block.systems) for block in self.blocks) or (("", self.systems),)

    def recorded(self) -> dict[str, Any]:
        """As a protocol card has them: what is special to few tables only where it is set."""
        special = ("blocks", "seconds", "clips", "takes", "left_out")
        return self.model_dump(mode="json", exclude={name for name in special if not getattr(self, name)})


@dataclass(frozen=True)
class SystemData:
    """What is known of a system on the rows of the table.

    Attributes
    ----------
    scores
        metric -> value of every row, shape (rows,).
    embeddings
        judge -> its embedding of every row, shape (rows, d), for the metrics of sets.
    logits
        judge -> its logits of every row, shape (rows, classes), of the judges that have some.
    """

    scores: Mapping[str, np.ndarray]
    embeddings: Mapping[str, np.ndarray]
    logits: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Table:
    """A computed table.

    Attributes
    ----------
    settings, coverage
        As given.
    estimates
        system -> metric -> estimate.
    notes
        Facts for the protocol card: ties, windows, rank deficiency, bandwidth.
    """

    settings: TableSettings
    coverage: Coverage
    estimates: dict[str, dict[str, Estimate]]
    notes: dict[str, Any] = field(default_factory=dict)

    def silent_share(self, system: str) -> float:
        """Share of a system's sounds that are silent or constant."""
        found: Mapping[str, int] = self.notes.get("findings", {}).get(system, {})
        return (found.get(SILENT, 0) + found.get(CONSTANT, 0)) / max(1, self.sounds_of(system))

    def sounds_of(self, system: str) -> int:
        """Sounds behind a row."""
        return self.coverage.n * len(self.settings.parts_of(system))

    @property
    def contestants(self) -> list[str]:
        """Systems that may have a best value: no controls, and none of which too many sounds are silent."""
        names = [name for name in self.settings.systems if name not in self.settings.controls]
        return [name for name in names if self.silent_share(name) <= LARGEST_SILENT_SHARE]

    def difference(self, first: str, second: str, metric: str) -> Estimate:
        """Paired difference, `first` minus `second`."""
        return self.estimates[first][metric].minus(self.estimates[second][metric])


def pick_scores(scores: pd.DataFrame, rows: pd.DataFrame, metrics: Sequence[str], system: str) -> dict[str, np.ndarray]:
    """Values of one system's clip metrics in the order of the table's rows.

    Parameters
    ----------
    scores : pandas.DataFrame
        Long table of the system and protocol: clip_id, caption_id, metric, value.
    rows : pandas.DataFrame
        clip_id, caption_id.
    metrics : sequence of str

    Raises
    ------
    InputError
        If a row has no value of a metric.
    """
    keys = pd.MultiIndex.from_frame(rows[list(ROW)])
    picked = {}
    for metric in metrics:
        values = scores[scores["metric"] == metric].set_index(list(ROW))["value"].reindex(keys)
        if values.isna().any():
            reason = (
                "it is defined only where the prompt differs from the clip's own caption"
                if metric in METRICS and METRICS[metric].other_captions_only
                else "score the system again"
            )
            raise InputError(f"{system}: {int(values.isna().sum())} of {len(rows)} rows have no {metric}: {reason}")
        picked[metric] = values.to_numpy(dtype=np.float64)
    return picked


def build_table(
    settings: TableSettings,
    coverage: Coverage,
    systems: Callable[[str], SystemData],
    reference: Mapping[str, np.ndarray],
) -> Table:
    """Compute a table.

    Parameters
    ----------
    settings : TableSettings
    coverage : Coverage
        The rows.
    systems : callable (str) -> SystemData
        A system's arrays in the order of the rows; of a row that is a mean of takes, those of each. Asked once for each
        and let go before the next: arrays of one system are in memory at a time.
    reference : mapping of str to numpy.ndarray, each of shape (clips of the data set, d)
        judge -> embeddings of the real sounds: the reference set of FAD and KAD.
    """
    bootstrap = ClipBootstrap(coverage.rows["clip_id"].to_list(), settings.bootstrap.resamples, settings.bootstrap.seed)
    notes: dict[str, object] = {"reference_sounds": len(reference["classifier"])}
    of_sets = {name: METRICS[name] for name in settings.metrics if METRICS[name].of_sets}
    prepared = {
        name: metric.of_set.prepare(reference[metric.judge])
        for name, metric in of_sets.items()
        if metric.of_set is not None and metric.of_set.prepare is not None
    }

    def inputs_of(name: str, data: SystemData) -> SetInputs:
        judge = METRICS[name].judge
        return SetInputs(
            data.embeddings[judge],
            data.logits.get(judge, np.empty((0, 0))),
            reference[judge],
            bootstrap.row_counts[: settings.bootstrap.set_resamples],
            prepared.get(name),
            settings.inception_splits,
            settings.inception_seed,
        )

    def estimate(name: str, data: SystemData) -> Estimate:
        how = METRICS[name].of_set
        return bootstrap.mean(data.scores[name]) if how is None else how.compute(inputs_of(name, data))

    parts = {system: settings.parts_of(system) for system in settings.systems}
    of_parts: dict[str, dict[str, Estimate]] = {}
    ties: dict[str, int] = {}
    for part in dict.fromkeys(part for names in parts.values() for part in names):
        data = systems(part)
        of_parts[part] = {name: estimate(name, data) for name in settings.metrics}
        if "Acc" in settings.metrics:
            ties[part] = int((data.scores["Acc_margin"] == 0).sum())
        if len(of_parts) == 1:
            notes |= _notes_of_first(settings, data, {name: inputs_of(name, data) for name in of_sets})
        del data  # before the next system's are read
    estimates = {
        system: {name: mean_of([of_parts[part][name] for part in names]) for name in settings.metrics}
        for system, names in parts.items()
    }
    for name in settings.metrics:
        for what in sorted({what for found in of_parts.values() for what in found[name].facts}):
            notes[f"{name}_{what}"] = {part: found[name].facts[what] for part, found in of_parts.items()}
    if ties:
        notes["Acc_ties"] = {system: sum(ties[part] for part in names) for system, names in parts.items()}
    return Table(settings, coverage, estimates, notes)


def _notes_of_first(
    settings: TableSettings, data: SystemData, inputs_of_sets: Mapping[str, SetInputs]
) -> dict[str, object]:
    """Facts that are the same for all systems, from the data of the first."""
    notes: dict[str, object] = {}
    for name, inputs in inputs_of_sets.items():
        how = METRICS[name].of_set
        if how is not None and how.notes is not None:
            notes |= {f"{name}_{what}": value for what, value in how.notes(inputs).items()}
    if "DeSync" in settings.metrics:
        notes["DeSync_rows_of_one_window"] = int((data.scores["DeSync_windows"] == 1).sum())
    return notes


def six_digits(value: float) -> float:
    """`value` rounded to six significant digits: what a csv holds."""
    return float(f"{value:.6g}")


def table_frame(table: Table) -> pd.DataFrame:
    """The table for machines: system, n, n_clips, then M, M_low, M_high, M_n of every metric M.

    Before these ``block``, where the table has blocks, and after n_clips ``takes``, where a row is the mean of several.
    """
    rows = []
    block_of = {system: name for name, systems in table.settings.row_groups for system in systems}
    for system, estimates in table.estimates.items():
        row: dict[str, object] = {"block": block_of[system]} if table.settings.blocks else {}
        row |= {"system": system, "n": table.coverage.n, "n_clips": table.coverage.clips}
        if table.settings.takes:
            row["takes"] = len(table.settings.parts_of(system))
        for metric, estimate in estimates.items():
            low, high = estimate.interval(table.settings.bootstrap.level)
            row[metric] = six_digits(estimate.value)
            row[f"{metric}_low"], row[f"{metric}_high"] = six_digits(low), six_digits(high)
            row[f"{metric}_n"] = estimate.n
        rows.append(row)
    return pd.DataFrame(rows)


def differences_frame(table: Table) -> pd.DataFrame:
    """Paired differences: metric, a, b, difference (a - b), low, high, better, n, n_clips, p, p_holm, ....

    ``better`` is the system that the whole interval speaks for, or ``undecided``, both by the printed numbers
    (:func:`metrics.tables.verdict.better_of`), ``no direction`` where neither end of a
    metric is better; ``not compared`` where more than
    :data:`LARGEST_SILENT_SHARE` of a system's sounds are silent or constant: judges' values of them mean nothing.
    ``p_holm`` is p corrected for all pairs compared in this metric, ``better_holm`` what is left of ``better`` then.
    ``detectable`` is the smallest true difference that so many clips would show with a probability of 80 %.
    """
    columns = ["metric", "a", "b", "difference", "low", "high", "better", "n", "n_clips", "p", "detectable"]
    level = table.settings.bootstrap.level
    rows = []
    for first, second in table.settings.compare:
        for metric in table.settings.metrics:
            estimate = table.difference(first, second, metric)
            low, high = estimate.interval(level)
            better = better_of(metric, first, second, estimate.value, (low, high))
            if max(table.silent_share(first), table.silent_share(second)) > LARGEST_SILENT_SHARE:
                better = "not compared"
            error = standard_error(estimate.replicates)
            numbers = [six_digits(value) for value in (estimate.value, low, high)]
            last = [six_digits(p_value(estimate.value, error)), six_digits(detectable_difference(error, level))]
            rows.append([metric, first, second, *numbers, better, estimate.n, table.coverage.clips, *last])
    frame = pd.DataFrame(rows, columns=columns)
    return corrected_for_many(frame, level)


def corrected_for_many(differences: pd.DataFrame, level: float) -> pd.DataFrame:
    """The differences with ``p_holm`` and ``better_holm``: Holm's rule over all pairs that a metric compares."""
    frame = differences.assign(p_holm=np.nan)
    compared = frame[frame["better"] != "not compared"]
    for _, group in compared.groupby("metric", sort=False):
        frame.loc[group.index, "p_holm"] = [six_digits(p) for p in holm(group["p"].tolist())]
    lost = ~frame["better"].isin(["not compared", NO_DIRECTION]) & ~(frame["p_holm"] <= 1 - level)
    return frame.assign(better_holm=frame["better"].mask(lost, "undecided"))
