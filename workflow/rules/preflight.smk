"""What a run needs of the machine, as settings of `cafa check`: of the jobs that it is going to do, or of all."""

import subprocess
from collections import Counter, namedtuple

from snakemake.logging import logger

from cafa.preflight.disk import estimate

#: a job: its rule, wildcards, files, and what it asks for
Planned = namedtuple("Planned", ["rule", "wildcards", "files", "needs"])
#: different captions of a data set whose list does not say so: those of VGGSound, and of its part VGGSound-Sparse
LABELS = {"vggsound_sparse": 12}
#: clips of a list that does not say how many are expected: all rows of VGGSound's
CLIPS = 200_000


def check_machine():
    """Say all that would stop the jobs of this run, before the first of them, and stop.

    It is looked at where Snakemake runs. With jobs on other machines GPUs are for `snakemake preflight` in a job there.
    """
    jobs = planned_jobs()
    settings = needs_of(jobs)
    if any(job.needs["partition"] for job in jobs):
        settings["device"] = "cpu"
    words = [os.path.join(os.path.dirname(sys.executable), "cafa"), "check", "--settings", json.dumps(settings)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0 and config.get("check_first", "stop") == "stop":
        raise WorkflowError(f"{done.stdout}{done.stderr}(`--config check_first=warn` begins all the same, for one run)")
    if said := f"{done.stdout}{done.stderr}".rstrip():
        logger.warning(said)


def planned_jobs():
    """Jobs of this run."""
    return [
        Planned(
            job.rule.name,
            dict(job.wildcards.items()),
            {str(file) for file in (*job.input, *job.output)},
            {
                "memory_mb": int(job.resources.get("mem_mb", 0)),
                "threads": int(job.threads),
                "minutes": int(job.resources.get("runtime", 0)),
                "gpus": int(job.resources.get("gpu", 0)),
                "partition": None if job.is_local else job.resources.get("slurm_partition"),
            },
        )
        for job in workflow.dag.needrun_jobs()
    ]


def all_jobs():
    """Jobs of a run that makes everything which the configuration names; of these, what each makes."""
    jobs = [("register_model", {"model": name}) for name in PRETRAINED["models"]] if PRETRAINED else []
    jobs += [("register_judge", {"judge": name}) for name in JUDGES] if PRETRAINED else []
    jobs += [("train_adapter", {"adapter": name}) for name in ADAPTERS]
    for dataset, entry in DATASETS.items():
        tables = [table for table in tables_here() if dataset_of(table) == dataset]
        systems = {name for table in tables for name in sounding_of(table)}
        jobs += [("choose_clips", {"table": table}) for table in tables if table in tables_by_vggsounder()]
        jobs += [("build_published", {"dataset": dataset})] if entry["kind"] == "published" else []
        for shard in range(entry["shards"]):
            place = {"dataset": dataset, "shard": str(shard)}
            jobs += [("fetch_clips", place)] if entry["kind"] == "published" else []
            jobs += [("ingest_clips", place)]
            jobs += [(f"encode_clips_{dataset}", place)] if PRETRAINED and features_of(dataset) else []
            jobs += [("embed_reference", place)] if systems else []
        jobs += [
            ("make_samples", {"dataset": dataset, "system": name, "shard": str(shard)})
            for name in systems
            for shard in SAMPLE_SHARDS
        ]
    return [Planned(rule, wildcards, set(), None) for rule, wildcards in jobs]


def preflight_settings(wildcards):
    """What a run of everything needs, as JSON."""
    return json.dumps({**needs_of(all_jobs()), "device": config["device"]}, sort_keys=True)


def needs_of(jobs):
    """What jobs need, as settings of `cafa check`."""
    by_rule = {}
    for job in jobs:
        by_rule.setdefault(job.rule, []).append(job)
    files = set().union(*(job.files for job in jobs)) if jobs else set()
    fetching = sorted({job.wildcards["dataset"] for job in by_rule.get("fetch_clips", [])})
    packages = {"httpx": "lists and mirrors", "tenacity": "lists and mirrors"} if fetching else {}
    if any(adapter_processes(training_of(job)) > 1 for job in by_rule.get("train_adapter", [])):
        packages["accelerate"] = "training in several processes"
    needs = {
        "results": RESULTS,
        "device": config["device"] if any(job.needs and job.needs["gpus"] for job in jobs) else "cpu",
        "disk": estimate(items_of(by_rule), config["window"]["seconds"], config["window"]["sample_rate"]),
        "paths": needed_places(by_rule),
        "lists": local_lists(by_rule),
        "fetch": {name: DATASETS[name]["fetch"] for name in fetching},
        "packages": packages,
        "jobs": most_of(jobs),
    }
    return {**needs, **needed_weights(by_rule, files)} if PRETRAINED else needs


def training_of(job):
    """Wildcards of a job of training, as functions of wildcards take them."""
    return namedtuple("Wildcards", job.wildcards)(**job.wildcards)


def needed_weights(by_rule, files):
    """Pretrained models and judges that are registered, or that a job opens by their cards."""

    def used(rule, name, card):
        return (
            any(name in job.wildcards.values() for job in by_rule.get(rule, [])) or f"{RESULTS}/models/{card}" in files
        )

    models, judges = PRETRAINED["models"], PRETRAINED["judges"]
    return {
        "models": {name: models[name] for name in models if used("register_model", name, f"{name}/card.json")},
        "judges": [name for name in JUDGES if used("register_judge", name, f"judges/{name}/card.json")],
        "judge_settings": judges,
        "weights_table": judges.get("table"),
    }


def needed_places(by_rule):
    """Folders of sounds of other systems, and lists that nothing fetches."""
    found = {}
    for job in by_rule.get("make_samples", []):
        name = job.wildcards["system"]
        found |= {folder: f"system {name}" for folder in system_of(name).folders()}
    for job in by_rule.get("build_published", []):
        name = job.wildcards["dataset"]
        found |= {list_file(part): f"list of {name}" for part in lists_of(DATASETS[name]["build"]) if "url" not in part}
    for job in by_rule.get("choose_clips", []):
        part = annotations_of(job.wildcards["table"])
        found |= {list_file(part): "list of VGGSounder"} if "url" not in part else {}
    return found


def local_lists(by_rule):
    """Lists that are read from where they lie, and the SHA-256 that the configuration gives them."""
    datasets = [job.wildcards["dataset"] for job in by_rule.get("build_published", [])]
    parts = [part for dataset in datasets for part in lists_of(DATASETS[dataset]["build"])]
    chosen = [job.wildcards["table"] for job in by_rule.get("choose_clips", [])]
    parts += [annotations_of(table) for table in chosen]
    fetched = fetched_lists()
    return {list_file(part): part.get("sha256") for part in parts if list_name(part) not in fetched}


def most_of(jobs):
    """For every rule and partition the most that its jobs ask for."""
    found = {}
    for job in jobs:
        if job.needs:
            asked = found.setdefault((job.rule, job.needs["partition"]), {"rule": job.rule, **job.needs})
            for name in ("memory_mb", "threads", "minutes", "gpus"):
                asked[name] = max(asked[name], job.needs[name])
    return sorted(found.values(), key=lambda asked: (asked["rule"], asked["partition"] or ""))


def items_of(by_rule):
    """How many clips, rows, sounds and models are still to be made, by kind."""
    found = Counter()
    for name, jobs in by_rule.items():
        for job in jobs:
            dataset = job.wildcards.get("dataset")
            clips = clip_count(dataset) / DATASETS[dataset]["shards"] if dataset else 0
            if name == "fetch_clips" and any(s.get("kind") != "folder" for s in DATASETS[dataset]["fetch"]["sources"]):
                found["fetched"] += clips
            elif name == "ingest_clips" and not reused_by(dataset):  # clips of another data set are links
                found["normalised"] += clips
            elif name.startswith("encode_clips_"):
                for folder in features_of(dataset):
                    found[ENCODERS[folder][0]] += clips
            elif name == "encode_text":
                found["text"] += clip_count(dataset) / text_shard_count(dataset)
            elif name == "make_samples":
                found["samples"] += prompt_count(dataset) / len(SAMPLE_SHARDS)
            elif name == "embed_reference":
                found["judged_sounds"] += clips
                found["judged_pictures"] += clips
            elif name == "train_adapter":
                found["adapters"] += 1
    return dict(found)


def clip_count(dataset):
    """Clips of a data set: those of its manifest, if it is there; those that are expected; or rows of its lists."""
    entry, manifest = DATASETS[dataset], f"{RESULTS}/manifests/{dataset}.parquet"
    if os.path.exists(manifest):
        from pyarrow import parquet

        return parquet.read_metadata(manifest).num_rows
    if entry["kind"] == "world":
        return entry["clips_per_category"] * 12
    if entry["kind"] == "folder":
        return lines_of(entry["csv"])
    if expected := sum((entry["build"].get("expected") or {}).values()):
        return expected
    lists = [list_file(part) for part in entry["build"]["lists"]]
    return sum(lines_of(path) if os.path.exists(path) else CLIPS for path in lists)


def lines_of(path):
    """Lines of a list."""
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def prompt_count(dataset):
    """Prompts of a data set, at most."""
    prompts, clips = DATASETS[dataset]["prompts"], clip_count(dataset)
    if "file" in prompts:
        return lines_of(prompts["file"]) if os.path.exists(prompts["file"]) else clips
    others = (prompts.get("cross") or {}).get("captions_per_clip") or LABELS.get(DATASETS[dataset].get("list"), 309) - 1
    return clips * sum(others if name == "cross" else 1 for name in prompts)


# What a run needs of the machine, looked at before it: `snakemake --cores 1 preflight --configfile config/paper.yaml`. Run it
# where the jobs will run: on a cluster, in a job with a GPU. It has no output: it looks anew each time.


rule preflight:
    log:
        "<logs>/preflight.log",
    benchmark:
        "<benchmarks>/preflight.tsv"
    localrule: True
    threads: 1
    resources:
        mem_mb=scaled_memory(2000),
        runtime=10,
    params:
        settings=preflight_settings,
    shell:
        "cafa check --settings {params.settings:q} 2>&1 | tee {log:q}"
