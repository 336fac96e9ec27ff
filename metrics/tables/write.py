"""From files to files: gather what a table needs, compute it, write csv, markdown, protocol card and differences."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cafa.common.errors import InputError
from cafa.common.files import atomic_write, read_json, sha256_file, write_json
from cafa.common.ledger import read_ledgers
from cafa.common.provenance import versions
from cafa.common.shards import shard_files
from cafa.media.usable_sound import FINDINGS
from metrics.embedding.reading import CLIP_KEY, SAMPLE_KEY, Embeddings, read_embeddings, read_frame, same_judge
from metrics.judge_quality.verdict import check_judges
from metrics.judges.kinds import JUDGES
from metrics.tables.card import protocol_card
from metrics.tables.catalogue import METRICS
from metrics.tables.categories import write_categories
from metrics.tables.clip_choice import chosen_rows
from metrics.tables.compute import (
    OVER,
    SystemData,
    Table,
    TableSettings,
    build_table,
    differences_frame,
    pick_scores,
    table_frame,
)
from metrics.tables.coverage import ROW, common_rows
from metrics.tables.markdown import render
from metrics.tables.scores import COLUMNS, read_sample_index


@dataclass(frozen=True)
class TableInputs:
    """Where a table's inputs are.

    Attributes
    ----------
    scores
        Long tables, of one system each.
    embeddings_folder
        Holds ``<system>/<shard>/<judge>.parquet``.
    prompts
        The prompt set.
    samples_folder
        Holds ``<system>/<shard>.parquet``, the indices of samples; or ``<system>/<shard>/index.parquet``, as the
        judges left them.
    judges
        The check of the judges, JSON.
    ledgers
        Of the stages before.
    published
        Values of the paper, csv.
    reference
        Folders of ``<judge>.parquet`` of the clips themselves; by default ``<embeddings_folder>/reference_set``.
    shards
        How many shards a system's samples have; by default as many as there are files.
    """

    scores: Sequence[Path]
    embeddings_folder: Path
    prompts: Path
    samples_folder: Path
    judges: Path
    ledgers: Sequence[Path] = ()
    published: Path | None = None
    reference: Sequence[Path] = ()
    shards: int | None = None


@dataclass(frozen=True)
class TableOutputs:
    """Where a table goes; `categories` (every metric of clips by category) where it is wanted."""

    csv: Path
    markdown: Path
    card: Path
    differences: Path
    categories: Path | None = None


def _read_scores(paths: Sequence[Path], settings: TableSettings) -> dict[str, pd.DataFrame]:
    """Scores of every system of the table on its protocol."""
    if not paths:
        raise InputError("no file of scores was given")
    scores = pd.concat([read_frame(path, COLUMNS, "a table of scores") for path in paths], ignore_index=True)
    if scores.duplicated(list(COLUMNS[:-1])).any():
        raise InputError("a system's scores were given twice")
    rows = list(dict.fromkeys(part for name in settings.systems for part in settings.parts_of(name)))
    if absent := [name for name in rows if name not in set(scores["system"])]:
        raise InputError(f"no scores of {', '.join(absent)}, only of {', '.join(sorted(set(scores['system'])))}")
    scores = scores[scores["protocol"] == settings.protocol]
    return {name: scores[scores["system"] == name] for name in rows}


def _read_index(inputs: TableInputs, system: str, protocol: str) -> pd.DataFrame:
    paths = shard_files(inputs.samples_folder / system, "{}.parquet", "{}/index.parquet", shards=inputs.shards)
    index = read_sample_index(paths)
    return index[index["protocol"] == protocol].reset_index(drop=True)


def _read_sets(
    inputs: TableInputs, system: str, rows: pd.DataFrame, reference: Mapping[str, Embeddings]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Embeddings of a system's rows by judge, and logits of the judges that have some."""
    found: dict[str, np.ndarray] = {}
    logits: dict[str, np.ndarray] = {}
    for judge, own in reference.items():
        paths = shard_files(inputs.embeddings_folder / system, f"{{}}/{judge}.parquet", shards=inputs.shards)
        columns = [name for name in ("embedding", "logits") if name in JUDGES[judge].columns]
        embeddings = read_embeddings(paths, SAMPLE_KEY, columns)
        same_judge(embeddings, own)
        found[judge] = embeddings.take(rows, "embedding")
        if "logits" in columns:
            logits[judge] = embeddings.take(rows, "logits")
    return found, logits


def _read_reference(inputs: TableInputs, judges: Mapping[str, Any], metrics: Sequence[str]) -> dict[str, Embeddings]:
    """The reference sets of a table's metrics, by judge; those of the judges that were checked."""
    folders = inputs.reference or [inputs.embeddings_folder / "reference_set"]
    needed = dict.fromkeys(["classifier", *(METRICS[name].judge for name in metrics if METRICS[name].of_sets)])
    reference = {}
    for judge in needed:
        reference[judge] = read_embeddings(
            [folder / f"{judge}.parquet" for folder in folders], CLIP_KEY, ("embedding",)
        )
        checked, found = judges.get(judge, {}).get("weights_sha256"), reference[judge].weights_sha256
        if found not in (None, checked):
            raise InputError(
                f"{reference[judge].source} was made by a {judge} (weights {found}), not by the one that was checked "
                f"(weights {checked}): embed again, or check the judges again"
            )
    return reference


def compute_table(
    settings: TableSettings, inputs: TableInputs, judges: Mapping[str, Any]
) -> tuple[Table, dict[str, list[float]]]:
    """Compute a table from its files; `judges` are those that were checked, by name.

    Returns
    -------
    Table
    dict
        ``seconds`` and ``sample_rate`` of the scored sounds: the values that occur.
    """
    prompts = read_frame(inputs.prompts, SAMPLE_KEY, "a prompt set")
    prompts = prompts[prompts["protocol"] == settings.protocol]
    scores = _read_scores(inputs.scores, settings)
    indices = {name: _read_index(inputs, name, settings.protocol) for name in settings.sounding}
    chosen: dict[str, Any] = {}
    if settings.clips is not None:
        prompts, chosen = chosen_rows(settings.clips, prompts, indices)
    scored = {name: frame[["clip_id", "caption_id"]].drop_duplicates() for name, frame in scores.items()}
    coverage = common_rows(prompts, scored, indices, settings.max_loss)

    wanted = [name for name in settings.metrics if not METRICS[name].of_sets]
    companions = [METRICS[name].companion for name in wanted]
    wanted = list(dict.fromkeys([*wanted, *(name for name in companions if name is not None)]))
    reference = _read_reference(inputs, judges, settings.metrics)

    def data_of(name: str) -> SystemData:
        picked = pick_scores(scores[name], coverage.rows, wanted, name)
        return SystemData(picked, *_read_sets(inputs, name, coverage.rows, reference))

    for name in scores:  # what is missing or not finite is refused before the first system takes its minutes
        data_of(name)
    used = pd.concat([indices[name][indices[name]["status"] == "ok"] for name in scores])
    sound = {name: sorted(used[name].dropna().unique().tolist()) for name in ("seconds", "sample_rate")}
    if settings.seconds is not None and sound["seconds"] != [settings.seconds]:
        raise InputError(f"the table is of {settings.seconds:g} s, and the sounds were judged on {sound['seconds']} s")
    own = {judge: embeddings.column("embedding") for judge, embeddings in reference.items()}
    table = build_table(settings, coverage, data_of, own)
    table.notes["findings"] = {
        name: _sum([_findings(indices[part], coverage.rows) for part in settings.parts_of(name)])
        for name in settings.systems
    }
    if chosen:
        table.notes["clips"] = chosen
    if (protocol := reference["classifier"].audio_protocol) is not None:
        table.notes["audio_protocol"] = protocol
    return table, sound


def _findings(index: pd.DataFrame, rows: pd.DataFrame) -> dict[str, int]:
    """How many of a table's sounds are silent, constant..., or pass full scale; none where the index does not say."""
    here = rows[list(ROW)].merge(index, on=list(ROW), how="left")
    counts: Mapping[Any, int] = here["finding"].value_counts().to_dict() if "finding" in here else {}
    found = {name: int(counts[name]) for name in FINDINGS if name in counts}
    if "over_full_scale" in here and (beyond := int((here["over_full_scale"] > 0).sum())):
        found[OVER] = beyond
    return found


def _sum(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Counts of several takes together."""
    total: Counter[str] = Counter()
    for found in counts:
        total.update(found)
    return dict(total)


def _mean_of_takes(scores: Mapping[str, pd.DataFrame], settings: TableSettings) -> dict[str, pd.DataFrame]:
    """Scores of every row of the table; of several takes the mean of each sound's values."""
    found = {}
    for name in settings.systems:
        parts = [scores[part] for part in settings.parts_of(name)]
        keys = ["protocol", "clip_id", "caption_id", "metric"]
        found[name] = parts[0] if len(parts) == 1 else pd.concat(parts).groupby(keys)["value"].mean().reset_index()
    return found


def write_table(
    name: str, settings: TableSettings, inputs: TableInputs, outputs: TableOutputs, extra: Mapping[str, Any]
) -> Table:
    """Compute a table and write its files.

    Parameters
    ----------
    name : str
        Of the table, e.g. ``table1``.
    settings : TableSettings
    inputs : TableInputs
    outputs : TableOutputs
    extra : mapping
        To record on the protocol card: seeds, settings of the run.

    Returns
    -------
    Table

    Raises
    ------
    InputError
        If a judge is not good, or an input does not fit the settings.
    MissingClipError
        If more rows are missing than the settings allow.
    """
    judges = read_json(inputs.judges)
    check_judges(judges)
    table, sound = compute_table(settings, inputs, judges["judges"])
    card = protocol_card(
        name,
        table,
        judges=judges,
        sound=sound,
        ledgers=read_ledgers(inputs.ledgers),
        versions=versions(),
        extra={**extra, "prompts_sha256": sha256_file(inputs.prompts)},
    )
    published = pd.read_csv(inputs.published, dtype=str, keep_default_na=False) if inputs.published else None
    _write_csv(outputs.csv, table_frame(table))
    _write_csv(outputs.differences, differences_frame(table))
    with atomic_write(outputs.markdown) as temporary:
        temporary.write_text(render(name, table, card, published), encoding="utf-8")
    if outputs.categories is not None:
        scores = _mean_of_takes(_read_scores(inputs.scores, settings), settings)
        write_categories(outputs.categories, table.coverage.rows, scores, settings.bootstrap)
    write_json(outputs.card, card)
    return table


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    with atomic_write(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
