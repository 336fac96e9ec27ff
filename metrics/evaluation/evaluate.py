"""Evaluating folders of sounds: from files to a table, a table per clip and a protocol card.

The reference is embedded once for all systems, every file is decoded once for all judges, and an interrupted
evaluation continues. Every sound that was asked for is either scored or listed with a reason; where more are missing
than allowed, no number is printed at all.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator

from cafa.common.errors import InputError, MissingClipError
from cafa.common.files import atomic_write, folder_of_run, write_json
from cafa.common.folder_lock import only_writer_in
from cafa.common.ledger import OK, ledger_row, write_ledger
from cafa.common.seeds import seed_for
from cafa.common.stages import stage_version
from cafa.common.tables import records
from cafa.data.manifest import check_clip_id
from metrics.embedding.cache import EmbeddingCache
from metrics.embedding.embedder import Embedder, ItemStatus, SoundItem, write_generated, write_reference, write_text
from metrics.embedding.reading import SAMPLE_KEY
from metrics.embedding.store import PanelStore
from metrics.evaluation.clips_table import write_clips
from metrics.evaluation.pairs import PROTOCOL, Pairs, RowKey
from metrics.judges.interface import Panel
from metrics.judges.kinds import JUDGES, TEXT_FILE
from metrics.judges.published import UNVERIFIED_WEIGHTS
from metrics.tables.catalogue import METRICS
from metrics.tables.compute import BootstrapSettings, Table, TableSettings
from metrics.tables.sample_metrics import class_probabilities
from metrics.tables.scores import read_generated, read_reference, score_system
from metrics.tables.write import TableInputs, TableOutputs, write_table

REFERENCE, SHUFFLED = "reference", "shuffled"
CONTROLS = {
    REFERENCE: "the clips' own sound: what a perfect copy would score",
    SHUFFLED: "the own sound of another clip: real, but of the wrong clip",
}
#: Lost sounds that an error names.
NAMED = 20


class EvaluationSettings(BaseModel):
    """What is computed, and when it is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: Annotated[tuple[str, ...], Field(min_length=1, description="columns of the table")]
    max_loss: Annotated[float, Field(ge=0.0, lt=1.0, description="largest share of sounds that may be missing")] = 0.05
    controls: Annotated[bool, Field(description="add the clips' own sounds and shuffled ones as rows")] = False
    batch_size: Annotated[int, Field(ge=1, description="sounds that are judged together")] = 1
    workers: Annotated[int, Field(ge=0, description="threads that decode ahead; without effect on any value")] = 1
    inception_splits: Annotated[int, Field(ge=1, description="parts of the inception score (peers: 10)")] = 10
    bootstrap: BootstrapSettings = BootstrapSettings(set_resamples=100)

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        METRICS.check(*names)
        return names


def metrics_left_out(prompts: pd.DataFrame, classes: Collection[str]) -> dict[str, str]:
    """Metrics that a list of prompts, or a classifier with these `classes`, has not what it takes for; and why."""
    same = int((prompts["caption"] == prompts["own_caption"]).sum())
    reasons: dict[str, str] = {}
    if same:
        why = f"in {same} of {len(prompts)} rows the prompt is the clip's own caption, or no own_caption is given"
        reasons |= {name: why for name, metric in METRICS.items() if metric.other_captions_only}
    reasons |= {
        name: f"it needs {metric.least_rows} prompts, there are {len(prompts)}"
        for name, metric in METRICS.items()
        if len(prompts) < metric.least_rows
    }
    absent = {name for name, metric in METRICS.items() if metric.of_class not in (None, *classes)}
    reasons |= dict.fromkeys(sorted(absent), "these judges have no such class")
    return reasons


def default_metrics(prompts: pd.DataFrame, classes: Collection[str]) -> tuple[str, ...]:
    """Every metric but those of :func:`metrics_left_out`, and those that are computed only where they are asked for."""
    left_out = metrics_left_out(prompts, classes)
    return tuple(name for name, metric in METRICS.items() if metric.by_default and name not in left_out)


def evaluate(
    pairs: Pairs,
    panel: Panel,
    settings: EvaluationSettings,
    output: Path,
    extra: Mapping[str, Any],
    store: Path | None = None,
) -> Table:
    """Evaluate systems and write everything that was found below `output`.

    Writes ``table.csv``, ``table.md``, ``table.card.json``, ``table.differences.csv``, ``clips.parquet`` (a row per
    sound), ``categories.csv``, ``ledger.parquet`` and ``missing.csv``; ``cache`` may be deleted.

    Parameters
    ----------
    pairs : Pairs
    panel : Panel
        Has the judges that the metrics need.
    settings : EvaluationSettings
    output : path
    extra : mapping
        To record on the protocol card.
    store : path, optional
        Folder of embeddings of reference clips and captions that runs share (:mod:`metrics.embedding.store`).

    Raises
    ------
    MissingClipError
        If more sounds are missing than `max_loss` allows; ``missing.csv`` lists all of them.
    InputError
        If a metric cannot be computed from what was given.
    """
    samples = _with_controls(pairs, settings)
    _check(pairs, samples, panel, settings)
    with only_writer_in(output):
        _refuse_losses(_absent(pairs, samples, panel), settings.max_loss, output)
        with folder_of_run(output) as work:
            shared = PanelStore.in_folder(store, panel, settings.batch_size)
            indices = _embed(pairs, samples, panel, settings, output, work, shared)
            return _report(pairs, panel, settings, indices, work, extra)


def _embed(
    pairs: Pairs,
    samples: Mapping[str, Mapping[RowKey, SoundItem]],
    panel: Panel,
    settings: EvaluationSettings,
    output: Path,
    work: Path,
    store: PanelStore | None,
) -> dict[str, pd.DataFrame]:
    """Embed everything below `work`, and say what became of every sound in `output`: an index by system."""
    own = [SoundItem(f"{REFERENCE}/{clip_id}", clip_id, sound) for clip_id, sound in sorted(pairs.sounds.items())]
    folder = work / "embeddings"
    own_judges = _judges_of_reference(panel, settings)
    key = {
        "judges": panel.kind,
        "weights": {name: judge.weights_sha256 for name, judge in panel.judges.items()},
        "settings": panel.settings,
        "batch_size": settings.batch_size,
        "judges_of_reference": own_judges,
        "version": stage_version("evaluate"),
    }
    with EmbeddingCache(output / "cache", key) as cache:
        embedder = Embedder(panel, cache, settings.batch_size, settings.workers, store=store)
        embedder.embed_video(pairs.pictures)
        embedder.embed_audio(own, own_judges, "reference", stored=True)
        for system, items in samples.items():
            if system != REFERENCE:
                unique = {item.name: item for item in items.values()}
                embedder.embed_audio(list(unique.values()), list(panel.judges), system)
        indices = {system: _index(system, pairs, items, embedder) for system, items in samples.items()}
        _write_ledgers(own, indices, embedder, output / "ledger.parquet", folder / "reference.ledger.parquet")
        _refuse_losses(indices, settings.max_loss, output)
        good = [item for item in own if embedder.outcomes[item.name].status == OK]
        write_reference(embedder, good, folder / "reference_set", own_judges)
        for system, index in indices.items():
            ready = records(index[index["status"] == OK])
            rows = [(row, samples[system][row["clip_id"], row["caption_id"]].name) for row in ready]
            write_generated(embedder, rows, folder / system / "0")
    captions = [*pairs.prompts["caption"], *pairs.prompts["own_caption"]]
    for judge in panel.judges:
        if (file := JUDGES[judge].text_file) is not None:
            write_text(panel, captions, folder / file, judge, store)
    return indices


def _judges_of_reference(panel: Panel, settings: EvaluationSettings) -> list[str]:
    """Judges that embed the clips' own sounds: all if these are a row of the table, else those that metrics compare."""
    if settings.controls:
        return list(panel.judges)
    compared = (METRICS[name] for name in settings.metrics)
    needed = {"classifier", *(metric.judge for metric in compared if metric.needs_reference)}
    return [judge for judge in panel.judges if judge in needed]


def _with_controls(pairs: Pairs, settings: EvaluationSettings) -> dict[str, dict[RowKey, SoundItem]]:
    """Sounds of every system, of the controls first, by row."""
    systems: dict[str, dict[RowKey, SoundItem]] = {}
    if settings.controls:
        other = _shuffle(pairs)
        for control in CONTROLS:
            systems[control] = {}
            for clip_id, caption_id in zip(pairs.prompts["clip_id"], pairs.prompts["caption_id"], strict=True):
                sound = pairs.sounds[clip_id if control == REFERENCE else other[clip_id]]
                systems[control][clip_id, caption_id] = SoundItem(f"{control}/{clip_id}", clip_id, sound)
    for system, files in pairs.samples.items():
        check_clip_id(system)
        if system in ("reference_set", *CONTROLS):
            raise InputError(f"no system can be called {system!r}: give it another name, NAME=FOLDER")
        systems[system] = {key: SoundItem("/".join((system, *key)), key[0], file) for key, file in files.items()}
    return systems


def _shuffle(pairs: Pairs) -> dict[str, str]:
    """For every clip another one, each taken once; of another category wherever one turn of the ring allows it."""
    labels = dict(zip(pairs.prompts["clip_id"], pairs.prompts["own_label"], strict=True))
    ring = sorted(labels, key=lambda clip_id: seed_for(0, SHUFFLED, clip_id))
    if len(ring) < 2:
        raise InputError("controls need at least two clips")

    def same(turn: int) -> int:
        return sum(labels[ring[at]] == labels[ring[at - turn]] for at in range(len(ring)))

    turn = min(range(1, min(len(ring), 50)), key=lambda turn: (same(turn), turn))
    return {clip_id: ring[at - turn] for at, clip_id in enumerate(ring)}


def _check(pairs: Pairs, samples: Mapping[str, Any], panel: Panel, settings: EvaluationSettings) -> None:
    """Refuse what cannot end well before hours are spent on it."""
    if not pairs.samples:
        raise InputError("no system to evaluate")
    asked: dict[str, list[str]] = {}
    for name in settings.metrics:
        asked.setdefault(METRICS[name].judge, []).append(name)
    for judge, metrics in asked.items():
        if judge not in panel.judges:
            raise InputError(f"{', '.join(sorted(metrics))} needs the judge {judge}, which was not loaded")
    check_metrics(pairs.prompts, panel.reported_classes, settings)


def check_metrics(prompts: pd.DataFrame, classes: Collection[str], settings: EvaluationSettings) -> None:
    """Refuse metrics that cannot be computed, before any network is loaded.

    Raises
    ------
    InputError
        With the reason of each.
    """
    reasons = metrics_left_out(prompts, classes)
    if lacking := [f"{name} cannot be computed: {reasons[name]}" for name in settings.metrics if name in reasons]:
        raise InputError("; ".join(lacking))


def _absent(pairs: Pairs, samples: Mapping[str, Mapping[RowKey, SoundItem]], panel: Panel) -> dict[str, pd.DataFrame]:
    """Index of every system, so far only by whether the files are there."""
    indices = {}
    for system, items in samples.items():
        rows = []
        for (clip_id, caption_id), item in items.items():
            needed = [("missing_sample", item.file), ("missing_file", pairs.sounds[clip_id])]
            needed += [("missing_file", pairs.pictures[clip_id])] * panel.needs_video
            status, detail = next(((why, file.detail) for why, file in needed if not file.found), (OK, ""))
            rows.append((clip_id, caption_id, status, detail))
        frame = pd.DataFrame(rows, columns=["clip_id", "caption_id", "status", "detail"])
        indices[system] = frame.merge(pairs.prompts, on=["clip_id", "caption_id"], validate="1:1")
    return indices


def _index(system: str, pairs: Pairs, items: Mapping[RowKey, SoundItem], embedder: Embedder) -> pd.DataFrame:
    """What became of every row of a system, in the columns of an index of samples."""
    records = []
    for row in pairs.prompts.to_dict("records"):
        item = items[row["clip_id"], row["caption_id"]]
        outcome, own = embedder.outcomes[item.name], embedder.outcomes[f"{REFERENCE}/{row['clip_id']}"]
        status = "missing_sample" if outcome.status == "missing_file" and not item.file.found else outcome.status
        detail = outcome.detail
        if status == OK and own.status != OK:
            status, detail = own.status, f"the clip's own sound: {own.detail}"
        good = status == OK
        records.append(
            {
                **{name: row[name] for name in (*SAMPLE_KEY, "caption", "label")},
                "file": str(item.file.path.name) if item.file.path is not None else None,
                "seconds": embedder.panel.seconds if good else None,
                "sample_rate": outcome.facts.get("sample_rate"),
                "sha256": outcome.facts.get("sha256"),
                "status": status,
                "detail": detail or outcome.facts.get("note", ""),
                "finding": outcome.facts.get("finding", "") if good else "",
                "over_full_scale": outcome.facts.get("over", 0) if good else 0,
            }
        )
    return pd.DataFrame(records)


def _write_ledgers(
    own: list[SoundItem], indices: Mapping[str, pd.DataFrame], embedder: Embedder, of_all: Path, of_clips: Path
) -> None:
    """The ledger of everything; and that of the clips alone, for the card."""

    def row(clip_id: str, stage: str, outcome: ItemStatus) -> dict[str, Any]:
        return ledger_row(clip_id, stage, outcome.status, outcome.detail or outcome.facts.get("note", ""))

    clips = [row(item.clip_id, REFERENCE, embedder.outcomes[item.name]) for item in own]
    rows = [
        ledger_row(
            one["clip_id"], f"samples {system}", one["status"], f"{one['caption_id']}: {one['detail']}".rstrip(": ")
        )
        for system, index in indices.items()
        for one in records(index)
    ]
    write_ledger(of_clips, clips)
    write_ledger(of_all, [*clips, *rows])


def _refuse_losses(indices: Mapping[str, pd.DataFrame], max_loss: float, output: Path) -> None:
    """Write ``missing.csv``, and refuse to go on if more is missing than allowed."""
    columns = ["system", "clip_id", "caption_id", "caption", "status", "detail"]
    lost = pd.concat([index[index["status"] != OK].assign(system=system) for system, index in indices.items()])[columns]
    path = output / "missing.csv"
    with atomic_write(path) as temporary:
        lost.rename(columns={"status": "reason"}).to_csv(temporary, index=False, lineterminator="\n")
    asked = len(next(iter(indices.values())))
    share = len(lost[["clip_id", "caption_id"]].drop_duplicates()) / asked
    if share > max_loss or share == 1:
        names = [f"{row.system} {row.clip_id} ({row.status}: {row.detail})" for row in lost.itertuples()]
        more = f"; and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise MissingClipError(
            f"{share:.1%} of {asked} prompts cannot be scored in every system, more than --max-loss {max_loss:.1%}: "
            f"{'; '.join(names[:NAMED])}{more}. All are listed in {path}"
        )


def _report(
    pairs: Pairs,
    panel: Panel,
    settings: EvaluationSettings,
    indices: Mapping[str, pd.DataFrame],
    output: Path,
    extra: Mapping[str, Any],
) -> Table:
    """Score what is embedded below `output`, and write the table there."""
    folder = output / "embeddings"
    with atomic_write(output / "prompts.parquet") as temporary:
        pairs.prompts.to_parquet(temporary, index=False)
    reference = read_reference([folder / "reference_set"], folder / TEXT_FILE)
    scores = {}
    for system, index in indices.items():
        generated = read_generated([folder / system / "0"], list(panel.judges))
        scores[system] = score_system(system, pairs.prompts, generated, reference, index)
        with atomic_write(output / "scores" / f"{system}.parquet") as temporary:
            scores[system].to_parquet(temporary, index=False)
        with atomic_write(output / "samples" / system / "0.parquet") as temporary:
            index.to_parquet(temporary, index=False)
    write_json(output / "judges.json", panel.check)
    inputs = TableInputs(
        [output / "scores" / f"{system}.parquet" for system in indices],
        folder,
        output / "prompts.parquet",
        output / "samples",
        output / "judges.json",
        [folder / "reference.ledger.parquet"],
    )
    outputs = TableOutputs(
        csv=output / "table.csv",
        markdown=output / "table.md",
        card=output / "table.card.json",
        differences=output / "table.differences.csv",
        categories=output / "categories.csv",
    )
    facts = {"judges": panel.kind, **panel.settings, **extra}
    if panel.reported_classes:
        logits = reference.audio("classifier").column("logits")
        found = class_probabilities(logits, panel.reported_classes)
        own = {name: round(float(values.mean()), 4) for name, values in found.items()}
        facts["mean_probability_in_the_clips_own_sounds"] = own
    table = write_table("table", _table_settings(settings, panel, list(indices)), inputs, outputs, facts)
    write_clips(output / "clips.parquet", pairs.prompts, indices, scores)
    return table


def _table_settings(settings: EvaluationSettings, panel: Panel, systems: list[str]) -> TableSettings:
    contestants = [name for name in systems if name not in CONTROLS]
    controls = tuple(name for name in systems if name in CONTROLS)
    if panel.kind == "real":
        meaning = (
            f"Judged by the published networks on the first {panel.seconds:g} s of each sound: comparable with tables "
            "of the same weights, length and clips."
        )
        if UNVERIFIED_WEIGHTS in panel.settings:
            meaning += " These weights are not verified: no SHA-256 is recorded to compare theirs with."
    else:
        meaning = "Judged by the small judges of the rendered world: comparable with nothing but their own tables."
    return TableSettings(
        protocol=PROTOCOL,
        systems=tuple(systems),
        metrics=settings.metrics,
        compare=tuple((contestants[0], other) for other in contestants[1:]),
        bootstrap=settings.bootstrap,
        inception_splits=settings.inception_splits,
        max_loss=settings.max_loss,
        title="Evaluation",
        meaning=meaning,
        descriptions={name: CONTROLS[name] for name in controls},
        controls=controls,
    )
