"""Write `workflow/schemas/settings.schema.json`: the settings of every command, as the libraries define them.

The configuration is checked before any rule without importing torch, so the models' schemas are kept as a file, in JSON
because Snakemake reads it anew for every reference; a test keeps the file equal to the models:

    python workflow/scripts/settings_schema.py > workflow/schemas/settings.schema.json
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

COMMENT = "Written by workflow/scripts/settings_schema.py from the libraries' settings: do not edit."

#: fields that the rules fill in from elsewhere in the configuration
FILLED_IN = {
    "AdapterTraining": ("seconds",),
    "BackboneTraining": ("seconds",),
    "JointTraining": ("seconds",),
    "MediaSettings": ("seconds",),
    "EncodeSettings": ("seconds",),
    "TableSettings": ("bootstrap", "takes", "left_out"),
    "ConflictCurveSettings": ("bootstrap",),
    "SpectrogramSettings": ("sample_rate",),
}
#: fields that the rules fill in where the configuration does not name them
FILLED_IN_IF_ABSENT = {"SpectrogramSettings": ("systems",)}
#: models beside whose fields the configuration has keys of its own
EXTENDED = (
    "ConflictCurveSettings",
    "EncodeSettings",
    "ExamplesSettings",
    "FigureSettings",
    "JudgingSettings",
    "SpectrogramSettings",
    "StudySettings",
    "TableSettings",
)


def of_packages(registry: Mapping[str, type[BaseModel]]) -> list[type[BaseModel]]:
    """Settings of a registry's entries, without those of plugins: the file is the same for everybody."""
    return [entry for entry in registry.values() if entry.__module__.startswith(("cafa.", "metrics."))]


def models() -> list[type[BaseModel]]:
    """Every model of settings that the configuration holds."""
    from cafa.data import published_datasets as build
    from cafa.data.fetch.settings import FetchSettings
    from cafa.data.ingest import IngestSettings
    from cafa.data.prompts import PromptSettings
    from cafa.features.correspondence import CorrespondenceSettings
    from cafa.features.encode import EncodeSettings
    from cafa.features.from_media import MediaSettings
    from cafa.generation import systems
    from cafa.media.normalise import NormaliseSettings
    from cafa.models.encoders.miniature_autoencoder import AutoencoderSettings
    from cafa.models.encoders.miniature_text import TextSettings
    from cafa.models.kinds import settings_of_kinds
    from cafa.training.adapter import AdapterTraining
    from cafa.training.av_clip import AVClipTraining
    from cafa.training.backbone import BackboneTraining
    from cafa.training.clip import CLIPTraining
    from cafa.training.joint import JointTraining
    from metrics.embedding.published import JudgingSettings
    from metrics.examples.settings import ExamplesSettings
    from metrics.judges.registry import PretrainedSettings
    from metrics.judges.training.settings import JudgeSettings
    from metrics.study.build import PageSettings
    from metrics.study.design import StudySettings
    from metrics.tables.compute import BootstrapSettings, TableSettings
    from metrics.tables.conflict import ConflictCurveSettings
    from metrics.tables.figure import FigureSettings
    from metrics.tables.spectrograms import SpectrogramSettings

    return [
        NormaliseSettings,
        PromptSettings,
        MediaSettings,
        TextSettings,
        AutoencoderSettings,
        AVClipTraining,
        CLIPTraining,
        BackboneTraining,
        AdapterTraining,
        JointTraining,
        JudgeSettings,
        TableSettings,
        BootstrapSettings,
        FigureSettings,
        SpectrogramSettings,
        ConflictCurveSettings,
        StudySettings,
        PageSettings,
        ExamplesSettings,
        *of_packages(systems.SYSTEM_KINDS),
        FetchSettings,
        *of_packages(build.DATASET_KINDS),
        IngestSettings,
        EncodeSettings,
        CorrespondenceSettings,
        PretrainedSettings,
        JudgingSettings,
        *settings_of_kinds(),
    ]


def judges_gate() -> dict[str, Any]:
    """Schema of the thresholds that the judges must pass."""
    from metrics.judge_quality.verdict import trained_measures

    def measure(direction: str, threshold: float) -> dict[str, Any]:
        return {"type": "number", "description": f"must be {direction} this; {threshold} unless given"}

    return {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "description": "thresholds of a judge of a plugin",
            "additionalProperties": {"type": "number", "description": "threshold of a measure"},
        },
        "properties": {
            judge: {
                "type": "object",
                "description": f"thresholds of the judge {judge}",
                "additionalProperties": False,
                "properties": {name: measure(*entry) for name, entry in measures.items()},
            }
            for judge, measures in trained_measures().items()
        },
    }


def without_titles(schema: Any) -> Any:
    """Drop the titles that pydantic makes from names; a property called `title` stays."""
    if isinstance(schema, list):
        return [without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: without_titles(value) for key, value in schema.items() if key != "title" or isinstance(value, dict)}


def build() -> str:
    """Text of the schema file."""
    _, combined = models_json_schema([(model, "validation") for model in models()], ref_template="#/$defs/{model}")
    definitions = without_titles(combined["$defs"])
    for name, fields in FILLED_IN.items():
        for field in fields:
            del definitions[name]["properties"][field]
        if required := set(definitions[name].pop("required", [])) - set(fields):
            definitions[name]["required"] = sorted(required)
    for name, fields in FILLED_IN_IF_ABSENT.items():
        definitions[name]["required"] = sorted(set(definitions[name]["required"]) - set(fields))
    for name in EXTENDED:
        del definitions[name]["additionalProperties"]
    definitions["JudgesGate"] = judges_gate()
    # what is not given of a judge's training has the judge's own default
    definitions["JudgeLoop"] = {key: value for key, value in definitions["LoopSettings"].items() if key != "required"}
    definitions["JudgeSettings"]["properties"]["loop"]["$ref"] = "#/$defs/JudgeLoop"
    definitions["JudgeSettings"].pop("required", None)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$comment": COMMENT, "$defs": definitions}
    return json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(build(), end="")
