"""Configuration, names of files, and the small functions that rules share. No rules here."""

import json
import os
import sys
from functools import cache
from pathlib import Path

from jsonschema.exceptions import ValidationError, best_match
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version, update_config, validate

from cafa.models.backbones import BACKBONES as BACKBONE_KINDS
from cafa.models.kinds import require_model_kind
from cafa.models.video_encoders import KINDS, video_kinds as kinds_of_video_features
from cafa.common.plugins import use_plugins
from cafa.common.errors import InputError
from cafa.common.schema_errors import said_shortly
from cafa.common.stages import stage_version, version_of_features
from cafa.generation.systems import parse_system, parts_of_system
from cafa.preflight.configuration import take_out_nulls

min_version("9.27.1")


#: The checkout that holds these rules: another folder than that of a run, where they are a module or named by `-s`.
REPOSITORY = Path(str(workflow.current_basedir)).resolve().parents[1]


def beside_rules(path):
    """A path of the configuration: below the folder of the run, or, where it is not there, below the checkout."""
    return path if os.path.exists(path) or os.path.isabs(path) else str(REPOSITORY / path)


configfile: beside_rules("config/config.yaml")


# Before any registry is asked: modules of other people, which register what they bring. Jobs get them by `PREFIX`.
if config.get("plugins"):
    use_plugins(config["plugins"])

# Before the schema, which would only say that the key is not known.
if "systems" in (config.get("figure") or {}):
    raise WorkflowError(
        "config figure: `systems` (system -> scale) is now `curves`, of which there can be several: "
        "write `curves: {CAFA: {0: cafa_gamma0, 0.5: cafa}}`"
    )

take_out_nulls(config)
try:
    validate(config, "../schemas/config.schema.yaml", set_default=False)
except WorkflowError as error:
    if not isinstance(error.__context__, ValidationError):
        raise
    # Snakemake's own message is the whole schema and the whole configuration.
    raise WorkflowError(said_shortly(best_match([error.__context__]), REPOSITORY / "workflow/schemas")) from None

RESULTS = config["results"].rstrip("/")
TABLES = os.path.normpath(os.path.join(RESULTS, config["tables_folder"]))
DATASETS, ADAPTERS = config["datasets"], config["adapters"]
#: systems of which sounds are made or read: a row of a table that is a mean of several takes is one for each
SYSTEMS = {part: entry for name, row in config["systems"].items() for part, entry in parts_of_system(name, row).items()}
PRETRAINED = config["pretrained"]
#: judges of this run and the settings of their training; one that a configuration laid over another sets to null is not used
JUDGES = {name: entry for name, entry in config["judges"].items() if entry is not None}
#: text-to-audio models, each with encoders of its own for sound and captions
BACKBONES = (
    [name for name, entry in PRETRAINED["models"].items() if entry["kind"] in BACKBONE_KINDS]
    if PRETRAINED
    else ["backbone", *config["backbones"]]
)
#: kinds of video features that models read unless they say otherwise
VIDEO_KINDS = ["av_clip"]
#: GPUs of a job whose command takes --device; a profile says how many there are
GPUS = 0 if config["device"] == "cpu" else 1
#: Which of the jobs that could begin does: first what the longest chain waits for (clips, then the generator's training),
#: so that judges and references, which only scores wait for, fill the gaps; a table as soon as it can be made, and before
#: it the page of examples, which takes as long as all tables.
PRIORITY = {
    "sources": 100,
    "examples": 95,
    "clips": 90,
    "tables": 90,
    "training": 80,
    "generation": 70,
    "judges": 65,
    "later": 60,
    "checks": 50,
    "references": 40,
}
SAMPLE_SHARDS = range(config["samples"]["shards"])


pathvars:
    results=RESULTS,
    tables=TABLES,
    logs=f"{RESULTS}/logs",
    benchmarks=f"{RESULTS}/benchmarks",


def reused_by(dataset):
    """Data sets whose clips and features are taken where they are the same."""
    return DATASETS[dataset].get("reuse", [])


@cache
def system_of(name):
    """Settings of a system, of whichever kind: they say what its samples need."""
    return parse_system(SYSTEMS[name])


def backbone_of(entry):
    """Model folder of the backbone of an adapter or a system."""
    return entry.get("backbone", "backbone")


def as_json(value):
    """Param: a value as JSON. A function, because Snakemake would read braces in a string as wildcards."""

    def text(wildcards):
        return json.dumps(value, sort_keys=True)

    return text


def config_json(path):
    """Param: a part of the configuration as JSON, as `judges/{judge}`; wildcards are filled in."""

    def text(wildcards):
        value = config
        for key in path.split("/"):
            value = value[key.format(**wildcards)]
        return json.dumps(value, sort_keys=True)

    return text


def results_path(pattern):
    """Input or param: a path below the results folder."""

    def path(wildcards):
        return f"{RESULTS}/{pattern.format(**wildcards)}"

    return path


def all_shards(pattern, dataset=None):
    """Input: one file for every shard of `dataset` (default: of the wildcard)."""

    def files(wildcards):
        name = dataset or wildcards.dataset
        return [f"{RESULTS}/{pattern.format(dataset=name, shard=shard)}" for shard in range(DATASETS[name]["shards"])]

    return files


def repeat_option(option, name):
    """Param: the option once for every input (or output) called `name`."""

    def words(wildcards, input, output):
        files = input.get(name, output.get(name, []))
        return [word for file in ([files] if isinstance(files, str) else files) for word in (option, file)]

    return words


wildcard_constraints:
    dataset="|".join(DATASETS),
    cut=r"(\.\d+(\.\d+)?s)?",
    system="|".join(SYSTEMS),
    table="|".join(config["tables"]),
    shard=r"\d+",
