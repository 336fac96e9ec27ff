# Clips arrive: a rendered world is planned and drawn, a folder is listed, published lists are read and their clips fetched.
# Ends with a manifest and normalised clips.
#
# `localrule`, here and in other files: seconds of work in less than 400 MB without a GPU, so on a cluster it is done where
# Snakemake runs, instead of waiting in the queue. Not so for rules that open networks (register_model, register_judge,
# check_judges: gigabytes), draw many sounds and pictures (write_examples) or many resamples (make_table: minutes), or read
# all embeddings (score_system).

import copy


def world_arguments(wildcards):
    """Size and splits of a rendered data set, as options."""
    entry = DATASETS[wildcards.dataset]
    splits = [word for name, part in entry["splits"].items() for word in ("--split", f"{name}={part}")]
    return ["--clips-per-category", str(entry["clips_per_category"]), *splits, *wrong_sounds(wildcards)]


def wrong_sounds(wildcards):
    """Share of wrong sounds of a rendered data set, as an option; none where it has no such clips."""
    entry = DATASETS[wildcards.dataset]
    return ["--wrong-sounds", str(entry["wrong_sounds"])] if "wrong_sounds" in entry else []


rule plan_world:
    output:
        source="<results>/world/{dataset}.csv",
        event_times="<results>/world/{dataset}.event_times.parquet",
    log:
        "<logs>/plan_world/{dataset}.log",
    benchmark:
        "<benchmarks>/plan_world/{dataset}.tsv"
    priority: PRIORITY["sources"]
    localrule: True
    threads: 1
    resources:
        mem_mb=scaled_memory(1000),
        runtime=10,
    params:
        arguments=world_arguments,
        seed=config["seed"],
        code=stage_version("plan_world"),
    shell:
        "cafa world plan --dataset {wildcards.dataset} --seed {params.seed} {params.arguments:q}"
        " --source {output.source:q} --event-times {output.event_times:q} 2>&1 | tee {log:q}"


def manifest_source(wildcards):
    """Table that lists the clips: planned by us, or the one of the folder."""
    entry = DATASETS[wildcards.dataset]
    return entry["csv"] if entry["kind"] == "folder" else f"{RESULTS}/world/{wildcards.dataset}.csv"


def clips_root(wildcards):
    """Folder that the clips' paths are relative to."""
    entry = DATASETS[wildcards.dataset]
    return entry["root"] if entry["kind"] == "folder" else f"{RESULTS}/world/{wildcards.dataset}"


def manifest_arguments(wildcards):
    """How the columns of a folder's table are called, and what to write where there is none, as options."""
    entry = DATASETS[wildcards.dataset]
    columns = [word for theirs, ours in entry.get("columns", {}).items() for word in ("--column", f"{theirs}={ours}")]
    return [
        *columns,
        *(word for name, value in entry.get("defaults", {}).items() for word in ("--default", f"{name}={value}")),
        *(["--follow-links"] if entry.get("follow_links") else []),
        *caption_words(),
        *(word for name in ("encoding", "separator") if name in entry for word in (f"--{name}", entry[name])),
    ]


def names_of_kind(*kinds):
    """Wildcard constraint: the data sets of some kinds; matches nothing if there is none."""
    return "|".join(name for name, entry in DATASETS.items() if entry["kind"] in kinds) or "(?!)"


rule build_manifest:
    input:
        source=manifest_source,
    output:
        manifest="<results>/manifests/{dataset}.parquet",
        refused="<results>/manifests/{dataset}.refused.parquet",
    log:
        "<logs>/build_manifest/{dataset}.log",
    benchmark:
        "<benchmarks>/build_manifest/{dataset}.tsv"
    wildcard_constraints:
        dataset=names_of_kind("world", "folder"),
    priority: PRIORITY["sources"]
    localrule: True
    threads: 1
    resources:
        mem_mb=scaled_memory(1000),
        runtime=10,
    params:
        root=clips_root,
        arguments=manifest_arguments,
        code=stage_version("manifest"),
    shell:
        "cafa manifest --source {input.source:q} --root {params.root:q} {params.arguments:q}"
        " --output {output.manifest:q} --refused {output.refused:q} 2>&1 | tee {log:q}"


def names_of_lists():
    """Wildcard constraint: the lists that are fetched; matches nothing if there is none."""
    return "|".join(re.escape(name) for name in fetched_lists()) or "(?!)"


def list_settings(wildcards):
    """What the configuration says of a list, as JSON."""
    return json.dumps({**fetched_lists()[wildcards.list], "path": None}, sort_keys=True)


# The only rule beside fetch_clips that needs the internet; machines that people log in to mostly have it. The digest that
# it finds where none is configured lies in `{list}.digest.json` beside the list, which no rule removes.
rule fetch_list:
    output:
        "<results>/lists/{list}",
    log:
        "<logs>/fetch_list/{list}.log",
    benchmark:
        "<benchmarks>/fetch_list/{list}.tsv"
    wildcard_constraints:
        list=names_of_lists(),
    priority: PRIORITY["sources"]
    localrule: True
    threads: 1
    resources:
        mem_mb=scaled_memory(1000),
        runtime=60,
        downloads=1,
    params:
        settings=list_settings,
    shell:
        "cafa dataset list --settings {params.settings:q} --output {output:q} 2>&1 | tee {log:q}"


def published_builder(wildcards):
    """Kind of the lists of a published data set."""
    return DATASETS[wildcards.dataset]["list"]


def published_settings(wildcards):
    """Settings of the builder as JSON."""
    build = copy.deepcopy(DATASETS[wildcards.dataset]["build"])
    for part in lists_of(build):
        part["path"] = list_file(part)
    return json.dumps(build, sort_keys=True)


def published_lists(wildcards):
    """Files of the lists of a published data set."""
    return [list_file(part) for part in lists_of(DATASETS[wildcards.dataset]["build"])]


rule build_published:
    input:
        lists=published_lists,
    output:
        manifest="<results>/manifests/{dataset}.parquet",
        refused="<results>/manifests/{dataset}.refused.parquet",
    log:
        "<logs>/build_published/{dataset}.log",
    benchmark:
        "<benchmarks>/build_published/{dataset}.tsv"
    wildcard_constraints:
        dataset=names_of_kind("published"),
    priority: PRIORITY["sources"]
    localrule: True
    threads: 1
    resources:
        mem_mb=scaled_memory(2000),
        runtime=30,
    params:
        builder=published_builder,
        settings=published_settings,
        code=stage_version("dataset"),
    shell:
        "cafa dataset build {params.builder} --settings {params.settings:q} --output {output.manifest:q}"
        " --refused {output.refused:q} 2>&1 | tee {log:q}"


def fetch_again(wildcards):
    """Request to ask for some clips again, where there is one (`cafa ledger retry`)."""
    request = f"{RESULTS}/fetched/{wildcards.dataset}/{wildcards.shard}.ledger.retry.json"
    return request if os.path.exists(request) else []


# A clip that is gone stays gone whatever our code says, so this rule alone has no digest of its code: asking the web
# again is for `cafa ledger retry`, which leaves the file that this rule watches.
rule fetch_clips:
    input:
        manifest="<results>/manifests/{dataset}.parquet",
        retry=fetch_again,
    output:
        fetched="<results>/fetched/{dataset}/{shard}.parquet",
        ledger="<results>/fetched/{dataset}/{shard}.ledger.parquet",
    log:
        "<logs>/fetch_clips/{dataset}.{shard}.log",
    benchmark:
        "<benchmarks>/fetch_clips/{dataset}.{shard}.tsv"
    priority: PRIORITY["clips"]
    threads: 1
    resources:
        mem_mb=scaled_memory(1000),
        runtime=1440,
        downloads=1,
    params:
        shard=shard_argument,
        folder=results_path("raw"),
        settings=config_json("datasets/{dataset}/fetch"),
    shell:
        "cafa fetch --manifest {input.manifest:q} --settings {params.settings:q} --shard {params.shard}"
        " --folder {params.folder:q} --output {output.fetched:q} --ledger {output.ledger:q} 2>&1 | tee {log:q}"


rule render_world:
    input:
        manifest="<results>/manifests/{dataset}.parquet",
    output:
        ledger="<results>/world/{dataset}.{shard}.ledger.parquet",
    log:
        "<logs>/render_world/{dataset}.{shard}.log",
    benchmark:
        "<benchmarks>/render_world/{dataset}.{shard}.tsv"
    priority: PRIORITY["clips"]
    threads: 1
    resources:
        mem_mb=scaled_memory(1000),
        runtime=60,
    params:
        shard=shard_argument,
        folder=results_path("world/{dataset}"),
        wrong=wrong_sounds,
        seed=config["seed"],
        code=stage_version("render_world"),
    shell:
        "cafa world render --manifest {input.manifest:q} --seed {params.seed} {params.wrong:q}"
        " --shard {params.shard} --output-folder {params.folder:q} --ledger {output.ledger:q} 2>&1 | tee {log:q}"


def raw_clips(wildcards):
    """What must be there before clips are normalised: rendered files, or the table of those that were fetched."""
    kind = DATASETS[wildcards.dataset]["kind"]
    if kind == "world":
        return f"{RESULTS}/world/{wildcards.dataset}.{wildcards.shard}.ledger.parquet"
    return fetched_table(wildcards) if kind == "published" else []


def fetched_table(wildcards):
    """Where every raw file of a shard is."""
    return f"{RESULTS}/fetched/{wildcards.dataset}/{wildcards.shard}.parquet"


def raw_place(wildcards):
    """Where the raw files are, as options."""
    if DATASETS[wildcards.dataset]["kind"] == "published":
        table = fetched_table(wildcards)
        return ["--fetched", table, "--fetch-ledger", table.replace(".parquet", ".ledger.parquet")]
    links = ["--follow-links"] if DATASETS[wildcards.dataset].get("follow_links") else []
    return ["--root", clips_root(wildcards), *links]


INGESTED = "clips/{dataset}/{shard}.ledger.parquet"


def reused_ledgers(wildcards):
    """Ledgers of ingest of the data sets whose normalised clips are taken where they are the same."""
    return [ancient(file) for name in reused_by(wildcards.dataset) for file in all_shards(INGESTED, name)(wildcards)]


def reused_clips(wildcards):
    """Folders of normalised clips of those data sets, as options."""
    return [word for name in reused_by(wildcards.dataset) for word in ("--reuse", f"{RESULTS}/clips/{name}")]


def ingest_workers(wildcards, threads):
    """Processes that normalise beside that of the job; none for rendered clips where there would be one.

    Its work is to die in place of the job of a file that hangs or crashes its reader, which no rendered clip does.
    """
    return 0 if threads == 1 and DATASETS[wildcards.dataset]["kind"] == "world" else threads


rule ingest_clips:
    input:
        manifest="<results>/manifests/{dataset}.parquet",
        raw=raw_clips,
        reused=reused_ledgers,
    output:
        ledger="<results>/clips/{dataset}/{shard}.ledger.parquet",
    log:
        "<logs>/ingest_clips/{dataset}.{shard}.log",
    benchmark:
        "<benchmarks>/ingest_clips/{dataset}.{shard}.tsv"
    priority: PRIORITY["clips"]
    # Resources, because a change of patience alone must not normalise anything again, as a change of a param would.
    threads: config["ingest"]["workers"]
    resources:
        mem_mb=scaled_memory(1000 + 1000 * config["ingest"]["workers"]),
        runtime=240,
        seconds_per_clip=config["ingest"]["seconds_per_clip"],
        workers=ingest_workers,
    params:
        shard=shard_argument,
        where=raw_place,
        reuse=reused_clips,
        folder=results_path("clips/{dataset}/{shard}"),
        settings=as_json(config["media"]),
        code=stage_version("ingest"),
    shell:
        "cafa ingest --manifest {input.manifest:q} {params.where:q} {params.reuse:q} --shard {params.shard}"
        " --settings {params.settings:q} --workers {resources.workers} --seconds-per-clip {resources.seconds_per_clip}"
        " --output-folder {params.folder:q} --ledger {output.ledger:q} 2>&1 | tee {log:q}"
