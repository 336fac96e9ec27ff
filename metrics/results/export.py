"""`cafa export`: results as a bundle for a leaderboard or a paper."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import InputError
from cafa.common.files import atomic_write, folder_of_run, sha256_file, write_json
from cafa.common.folder_lock import only_writer_in
from cafa.data.manifest import check_clip_id
from metrics.results.document import SCHEMA, document_of
from metrics.results.folder import Results, read_results
from metrics.results.portable import copy_without_folders
from metrics.results.printed import latex_table, markdown_table
from metrics.results.research_object import CRATE, crate_of
from metrics.tables.catalogue import METRICS


class ExportSettings(BaseModel):
    """What a bundle says that no result knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field("unnamed", min_length=1, description="name of the clips, as a leaderboard shows it")
    dataset_id: str = Field("unnamed", min_length=1, description="id of the data set on the hub, owner/name")
    split: str | None = Field(None, description="of the data set")
    task: str = Field("video-to-audio", min_length=1, description="task of the model cards")
    licence: str = Field("CC-BY-4.0", min_length=1, description="of the numbers, SPDX identifier or address")
    author: str = Field("", description="who hands them out")
    source: str | None = Field(None, pattern="^https?://", description="address where the evaluation is described")


def export_results(place: Path, output: Path, settings: ExportSettings) -> str:
    """Write a bundle of results.

    ``results.json`` (form: ``results.schema.json``), ``table.tex``, ``table.md``, ``model-index/<system>.md`` (the head
    of a model card, one per contestant), the files they were made from in ``source``, without the folders that their
    messages name (:mod:`metrics.results.portable`), and ``ro-crate-metadata.json`` with the SHA-256 of every file.

    Parameters
    ----------
    place : path
        Output folder of `cafa evaluate`, or a table's csv.
    output : path
        Folder to write. Files in it with the names of the bundle are replaced.
    settings : ExportSettings

    Returns
    -------
    str
        What was written.

    Raises
    ------
    InputError
        If there are no results, or their card cannot be exported.
    """
    results = read_results(place)
    if output.resolve() == results.table.parent.resolve():
        raise InputError(f"--output {output} is the folder of the results themselves: name another one")
    document = document_of(results)
    with only_writer_in(output), folder_of_run(output) as work:
        write_json(work / "results.json", document.model_dump(mode="json"))
        _copy(SCHEMA, work / SCHEMA.name)
        _write(work / "table.tex", latex_table(results))
        _write(work / "table.md", markdown_table(results))
        for system in results.systems:
            if system not in results.controls:
                _write(work / "model-index" / f"{check_clip_id(system)}.md", model_card_head(results, system, settings))
        for file in results.files:
            copy_without_folders(file, work / "source" / file.name)
        files = sorted(path for path in work.rglob("*") if path.is_file())
        facts = {path.relative_to(work).as_posix(): (sha256_file(path), path.stat().st_size) for path in files}
        write_json(work / CRATE, crate_of(document, facts, settings.licence, settings.author))
    return f"{output}: {len(facts) + 1} files, {document.protocol.n} sounds of {len(results.systems)} rows"


def model_card_head(results: Results, system: str, settings: ExportSettings) -> str:
    """The metadata of a system's model card: ``model-index`` in the hub's form, between lines of ``---``."""
    card = results.card
    protocol: Mapping[str, Any] = {
        "seconds": list(card["seconds_scored"]),
        "level": results.level,
        "prompts_sha256": card["extra"].get("prompts_sha256"),
    }
    found = []
    for metric in results.metrics:
        cell = results.cell(system, metric)
        weights = card["judges"].get(METRICS[metric].judge, {}).get("weights_sha256")
        found.append(
            EvalResult(
                task_type=settings.task,
                dataset_type=settings.dataset_id,
                dataset_name=settings.dataset,
                dataset_split=settings.split,
                metric_type=metric.lower(),
                metric_name=metric,
                metric_value=cell.value,
                metric_args={"low": cell.low, "high": cell.high, "n": cell.n, "judge_sha256": weights, **protocol},
                source_name="cafa evaluate" if settings.source else None,
                source_url=settings.source,
            )
        )
    return f"---\n{ModelCardData(model_name=system, eval_results=found).to_yaml()}\n---\n"


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    with atomic_write(target) as temporary:
        temporary.write_bytes(source.read_bytes())
