# Clips arrive: a rendered world is planned and drawn, a folder is listed, published lists are read and their clips fetched.
# Ends with a manifest and normalised clips.
#
# `localrule`, here and in other files: seconds of work in less than 400 MB without a GPU, so on a cluster it is done where
# Snakemake runs, instead of waiting in the queue. Not so for rules that open networks (register_model, register_judge,
# check_judges: gigabytes), draw many sounds and pictures (write_examples) or many resamples (make_table: minutes), or read
# all embeddings (score_system).


rule plan_world:
    output:
        source="<results>/world/{dataset}.csv",
        truth="<results>/world/{dataset}.truth.parquet",
    log:
        "<logs>/plan_world/{dataset}.log",
    priority: 100
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=10,
    params:
        arguments=world_arguments,
        seed=config["seed"],
        code=stage_version("plan_world"),
    shell:
        "cafa world plan --dataset {wildcards.dataset} --seed {params.seed} {params.arguments:q}"
        " --source {output.source:q} --truth {output.truth:q} 2>&1 | tee {log:q}"


rule build_manifest:
    input:
        source=manifest_source,
    output:
        manifest="<results>/manifests/{dataset}.parquet",
        refused="<results>/manifests/{dataset}.refused.parquet",
    log:
        "<logs>/build_manifest/{dataset}.log",
    wildcard_constraints:
        dataset=names_of_kind("world", "folder"),
    priority: 100
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=10,
    params:
        root=clips_root,
        arguments=manifest_arguments,
        code=stage_version("manifest"),
    shell:
        "cafa manifest --source {input.source:q} --root {params.root:q} {params.arguments:q}"
        " --output {output.manifest:q} --refused {output.refused:q} 2>&1 | tee {log:q}"


# The only rule beside fetch_clips that needs the internet; machines that people log in to mostly have it. The digest that
# it finds where none is configured lies in `{list}.digest.json` beside the list, which no rule removes.
rule fetch_list:
    output:
        "<results>/lists/{list}",
    log:
        "<logs>/fetch_list/{list}.log",
    wildcard_constraints:
        list=names_of_lists(),
    priority: 100
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=60,
        downloads=1,
    params:
        settings=list_settings,
    shell:
        "cafa dataset list --settings {params.settings:q} --output {output:q} 2>&1 | tee {log:q}"


rule build_published:
    input:
        lists=published_lists,
    output:
        manifest="<results>/manifests/{dataset}.parquet",
        refused="<results>/manifests/{dataset}.refused.parquet",
    log:
        "<logs>/build_published/{dataset}.log",
    wildcard_constraints:
        dataset=names_of_kind("published"),
    priority: 100
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=30,
    params:
        builder=published_builder,
        settings=published_settings,
        code=stage_version("dataset"),
    shell:
        "cafa dataset build {params.builder} --settings {params.settings:q} --output {output.manifest:q}"
        " --refused {output.refused:q} 2>&1 | tee {log:q}"


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
    priority: 90
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=1440,
        downloads=1,
    params:
        shard=shard_argument,
        folder=below("raw"),
        settings=fetch_settings,
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
    priority: 90
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=60,
    params:
        shard=shard_argument,
        folder=below("world/{dataset}"),
        seed=config["seed"],
        code=stage_version("render_world"),
    shell:
        "cafa world render --manifest {input.manifest:q} --seed {params.seed}"
        " --shard {params.shard} --output-folder {params.folder:q} --ledger {output.ledger:q} 2>&1 | tee {log:q}"


rule ingest_clips:
    input:
        manifest="<results>/manifests/{dataset}.parquet",
        raw=raw_clips,
        reused=reused_ledgers,
    output:
        ledger="<results>/clips/{dataset}/{shard}.ledger.parquet",
    log:
        "<logs>/ingest_clips/{dataset}.{shard}.log",
    priority: 90
    conda:
        "../../environment.yml"
    # A resource, because a change of patience alone must not normalise anything again, as a change of a param would.
    threads: config["ingest"]["workers"]
    resources:
        mem_mb=megabytes(1000 + 1000 * config["ingest"]["workers"]),
        runtime=240,
        seconds_per_clip=config["ingest"]["seconds_per_clip"],
    params:
        shard=shard_argument,
        where=raw_place,
        reuse=reused_clips,
        folder=below("clips/{dataset}/{shard}"),
        settings=setting(config["media"]),
        code=stage_version("ingest"),
    shell:
        "cafa ingest --manifest {input.manifest:q} {params.where:q} {params.reuse:q} --shard {params.shard}"
        " --settings {params.settings:q} --workers {threads} --seconds-per-clip {resources.seconds_per_clip}"
        " --output-folder {params.folder:q} --ledger {output.ledger:q} 2>&1 | tee {log:q}"
