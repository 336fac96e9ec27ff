"""Configuration, names of files, and the small functions that rules share. No rules here."""

import copy
import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.utils import min_version, update_config, validate

from cafa.models.registry import BACKBONES as BACKBONE_KINDS
from cafa.common.stages import stage_of_samples, stage_version

min_version("9.27.1")


configfile: "config/config.yaml"


validate(config, "../schemas/config.schema.yaml", set_default=False)

RESULTS = config["results"].rstrip("/")
TABLES = os.path.normpath(os.path.join(RESULTS, config["tables_folder"]))
DATASETS, SYSTEMS, ADAPTERS = config["datasets"], config["systems"], config["adapters"]
PRETRAINED = config["pretrained"]
#: text-to-audio models, each with encoders of its own for sound and captions
BACKBONES = (
    [name for name, entry in PRETRAINED["models"].items() if entry["kind"] in BACKBONE_KINDS]
    if PRETRAINED
    else ["backbone"]
)
#: kinds of video features that models see unless they say otherwise
VIDEO_KINDS = ["av_clip"]
#: GPUs of a job whose command takes --device; a profile says how many there are
GPUS = 0 if config["device"] == "cpu" else 1
#: Which of the jobs that could begin does: first what the longest chain waits for (clips, then the generator's training),
#: so that judges and references, which only scores wait for, fill the gaps; a table as soon as it can be made.
PRIORITY = {
    "sources": 100,
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


#: Note of an attempt that failed and was not killed, in a file named after its log; see `scaled_memory`.
JOB_ENDED = (
    'code=$?; if [ $code -ne 0 ] && [ $code -ne 137 ]; then text=${BASH_EXECUTION_STRING:-$(<"$0")}; '
    "log=${text##*tee }; log=${log//\\'/}; "
    f"mkdir -p {shlex.quote(RESULTS)}/.attempts; "
    f'echo $code >> {shlex.quote(RESULTS)}/.attempts/"${{log//[^A-Za-z0-9.-]/_}}"; fi; exit $code;'
)


# The command line of the same installation as Snakemake, whatever PATH says; one thread per process, so that
# no bit depends on --cores. OMP_NUM_THREADS is set again because torch reads it when it is imported. Large tensors stay
# with the process between training steps instead of being mapped anew each time (a fifth of the CPU time of AV-CLIP).
# Each job holds a shared lock, by which a later run knows of jobs that outlived their own. Jobs on one machine take GPUs of
# their own. SIGTERM is for the command to decide on: it ends in its own way, and `tee` writes its last words.
PREFIX = (
    "set -euo pipefail; trap '' TERM USR1; trap job_ended EXIT; "
    f"job_ended() {{ {JOB_ENDED} }}; "
    f"exec 9>>{shlex.quote(RESULTS)}/.jobs.lock; if command -v flock >/dev/null; then flock --shared 9 || true; fi; "
    f'export PATH={shlex.quote(os.path.dirname(sys.executable))}:"$PATH" '
    "CAFA_DEAL_GPUS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "
    "MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_TRIM_THRESHOLD_=2000000000 "
    # As --restart or --resume-anyway of a command. No param: what is finished does not depend on it.
    f"CAFA_ON_CHANGED={config.get('on_changed', 'stop')}; "
)
shell.prefix(PREFIX.replace("{", "{{").replace("}", "}}"))


def reused_by(dataset):
    """Data sets whose clips and features are taken where they are the same."""
    return DATASETS[dataset].get("reuse", [])


def backbone_of(entry):
    """Model folder of the backbone of an adapter or a system."""
    return entry.get("backbone", "backbone")


def names_of_kind(*kinds):
    """Wildcard constraint: the data sets of some kinds; matches nothing if there is none."""
    return "|".join(name for name, entry in DATASETS.items() if entry["kind"] in kinds) or "(?!)"


def dataset_of(table):
    """Data set that a table is made from."""
    return config["tables"][table].get("dataset", config["evaluate"])


def targets():
    """What a run is for: every table with its card, the costs, the figure, and the page of examples."""
    files = [f"{TABLES}/{table}.{end}" for table in config["tables"] for end in ("csv", "md", "card.json")]
    files += [f"{TABLES}/table5.{end}" for end in ("csv", "md") if config["costs"]]
    return [*files, *([f"{TABLES}/figure4.svg"] if config["figure"] else []), f"{TABLES}/examples.html"]


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


def scaled_memory(first):
    """Resource: memory of the first attempt, or a function of wildcards; more for each attempt that was killed.

    An attempt that failed in another way, by a time limit too, leaves a note (`JOB_ENDED`) and gets no more the next time:
    three times the memory may never be scheduled. One without a note was killed, as it happens to jobs that use more
    memory than they asked for. A profile sets `retries`.
    """

    def memory(wildcards, attempt, rulename):
        killed = attempt - 1 - failures(workflow.get_rule(rulename), wildcards) if attempt > 1 else 0
        return (first(wildcards) if callable(first) else first) * (1 + min(max(killed, 0), 2))

    return memory


def failures(rule, wildcards):
    """How many attempts of a job failed in this run and were not killed."""
    log = str(rule.log[0]).format(**wildcards)
    note = Path(RESULTS, ".attempts", re.sub(r"[^A-Za-z0-9.-]", "_", log))
    return len(note.read_text().splitlines()) if note.exists() else 0


wildcard_constraints:
    dataset="|".join(DATASETS),
    system="|".join(SYSTEMS),
    table="|".join(config["tables"]),
    shard=r"\d+",
