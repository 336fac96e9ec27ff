"""The results of a table as one JSON document with its protocol, for leaderboards and programs.

:class:`ResultsDocument` is the form; ``results.schema.json`` beside it is the same as a JSON Schema.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cafa.common.errors import InputError
from metrics.judges.licences import licences_of
from metrics.results.best import contestants
from metrics.results.folder import Results
from metrics.tables.catalogue import METRICS

#: The schema, as it is handed on.
SCHEMA = Path(__file__).parent / "results.schema.json"
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MetricFacts(_Part):
    """What a column means."""

    name: str
    better: Literal["higher", "lower"] | None = Field(description="null: neither direction is better")
    judge: str = Field(description="key of `judges`")
    unit: str = Field(description="empty if it has none")
    meaning: str


class Judge(_Part):
    """A network that judges."""

    weights_sha256: str = Field(
        description="of its weights, or the version of a measurement without any; two results with "
        "other weights are not comparable"
    )
    licences: dict[str, str] = Field(
        default_factory=dict,
        description="of its published files, by row of the table of weights; empty: they are not the published ones",
    )


class Protocol(_Part):
    """What must be equal for two values to be comparable."""

    prompts: str = Field(description="rows of the prompt set that were used")
    prompts_sha256: Sha256 | None = Field(description="of the prompt set as it was used")
    list_sha256: Sha256 | None = Field(description="of the list that the user gave")
    seconds: list[float] = Field(description="lengths scored")
    sample_rates: list[int] = Field(description="rates of the files, Hz")
    reference_sounds: int | None = Field(description="real sounds behind metrics of sets")
    notes: dict[str, Any] = Field(description="how metrics were computed: splits, bandwidths...")
    judges: dict[str, Judge]
    intervals: dict[str, Any] = Field(description="how intervals were made")
    asked: int = Field(ge=1, description="prompts")
    n: int = Field(ge=1, description="prompts scored, the same for every system")
    n_clips: int = Field(ge=1, description="clips of them")
    missing: dict[str, dict[str, int]] = Field(description="system -> reason -> how many")


class Value(_Part):
    """A value with its interval."""

    value: float
    low: float
    high: float
    n: int = Field(ge=1)


class SystemResults(_Part):
    """A row."""

    name: str
    control: bool = Field(description="a floor or ceiling, not a contestant")
    competes: bool = Field(description="whether its values may be the best: no control, and not mostly silent")
    values: dict[str, Value] = Field(description="by name of metric")


class ResultsDocument(_Part):
    """Results of a table."""

    schema_version: Literal[1] = 1
    title: str
    meaning: str = Field(description="what the numbers may be compared with")
    protocol: Protocol
    metrics: list[MetricFacts]
    systems: list[SystemResults]
    differences: list[dict[str, str | float | int | None]] = Field(
        description="rows of the table of paired differences"
    )
    versions: dict[str, str] = Field(description="package -> version")


def document_of(results: Results) -> ResultsDocument:
    """The document of a table.

    Raises
    ------
    InputError
        If its card does not say what a document needs.
    """
    card = results.card
    competing = contestants(results)
    differences = results.differences
    try:
        notes = {name: value for name, value in card["notes"].items() if name not in ("findings", "reference_sounds")}
        return ResultsDocument(
            title=card["settings"]["title"] or card["table"],
            meaning=card["meaning"],
            protocol=Protocol(
                prompts=card["settings"]["protocol"],
                prompts_sha256=card["extra"].get("prompts_sha256"),
                list_sha256=card["extra"].get("list_sha256"),
                seconds=card["seconds_scored"],
                sample_rates=card["sample_rate"],
                reference_sounds=card["notes"].get("reference_sounds"),
                notes=notes,
                judges={name: _judge(name, judge["weights_sha256"]) for name, judge in card["judges"].items()},
                intervals=card["intervals"],
                asked=card["asked"],
                n=card["n"],
                n_clips=card["n_clips"],
                missing={system: facts["reasons"] for system, facts in card["missing"].items()},
            ),
            metrics=[_facts(name) for name in results.metrics],
            systems=[
                SystemResults(
                    name=system,
                    control=system in results.controls,
                    competes=system in competing,
                    values={m: Value(**vars(results.cell(system, m))) for m in results.metrics},
                )
                for system in results.systems
            ],
            differences=[] if differences is None else _without_gaps(differences.to_dict("records")),
            versions=card["versions"],
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"the card of {results.table} cannot be exported: {error}") from error


def _judge(name: str, weights_sha256: str) -> Judge:
    return Judge(weights_sha256=weights_sha256, licences=licences_of(name, weights_sha256))


def _facts(name: str) -> MetricFacts:
    metric = METRICS[name]
    return MetricFacts(name=name, better=metric.better, judge=metric.judge, unit=metric.unit, meaning=metric.meaning)


def _without_gaps(rows: list[dict[Any, Any]]) -> list[dict[str, Any]]:
    return [{str(name): None if value != value else value for name, value in row.items()} for row in rows]


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ResultsDocument.model_json_schema(),
    }
