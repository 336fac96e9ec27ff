# What the pretrained judges make of each audio set: of the clips' own sound and picture by shard of clips, of every
# system by shard of samples. Every file is decoded once for all judges. What is made for tables of another length than
# `embed.pretrained.seconds` lies beside, in folders called {dataset}.5s and the like.


def judging_settings(wildcards):
    """How the judges work, as JSON; the length of a cut takes the place of the usual one."""
    own = {"seconds": float(wildcards.cut.strip(".s"))} if wildcards.cut else {}
    return json.dumps({**config["embed"]["pretrained"], **own}, sort_keys=True)


rule embed_reference:
    input:
        judges=judge_cards,
        manifest="<results>/manifests/{dataset}.parquet",
        ingest="<results>/clips/{dataset}/{shard}.ledger.parquet",
    output:
        judged=expand("<results>/embeddings/{{dataset}}{{cut}}/reference_set/{{shard}}/{judge}.parquet", judge=JUDGES),
        video=expand("<results>/embeddings/{{dataset}}{{cut}}/reference_set/{{shard}}/{file}", file=VIDEO_FILES),
        ledger="<results>/embeddings/{dataset}{cut}/reference_set/{shard}/ledger.parquet",
    log:
        "<logs>/embed_reference/{dataset}{cut}.{shard}.log",
    benchmark:
        "<benchmarks>/embed_reference/{dataset}{cut}.{shard}.tsv"
    priority: PRIORITY["references"]
    threads: config["embed"]["pretrained"]["workers"] + 1
    resources:
        mem_mb=scaled_memory(24000),
        runtime=240,
        gpu=GPUS,
    params:
        judges=results_path("models/judges"),
        clips=results_path("clips/{dataset}/{shard}"),
        shard=shard_argument,
        settings=judging_settings,
        folder=results_path("embeddings/{dataset}{cut}/reference_set/{shard}"),
        device=config["device"],
        code=stage_version("embed_pretrained"),
    shell:
        "cafa embed reference --judges {params.judges:q} --manifest {input.manifest:q} --clips {params.clips:q}"
        " --ingest-ledger {input.ingest:q} --shard {params.shard} --settings {params.settings:q} --threads 1"
        " --device {params.device} --output-folder {params.folder:q} 2>&1 | tee {log:q}"


if TEXT_FILES:

    rule embed_text:
        input:
            judges=judge_cards,
            prompts="<results>/prompts/{dataset}.parquet",
        output:
            expand("<results>/embeddings/{{dataset}}/{file}", file=TEXT_FILES),
        log:
            "<logs>/embed_text/{dataset}.log",
        benchmark:
            "<benchmarks>/embed_text/{dataset}.tsv"
        priority: PRIORITY["references"]
        threads: 1
        resources:
            mem_mb=scaled_memory(8000),
            runtime=60,
            gpu=GPUS,
        params:
            judges=results_path("models/judges"),
            text=results_path(f"embeddings/{{dataset}}/{TEXT_FILE}"),
            device=config["device"],
            code=stage_version("embed_pretrained"),
        shell:
            "cafa embed text --judges {params.judges:q} --prompts {input.prompts:q} --threads {threads}"
            " --device {params.device} --output {params.text:q} 2>&1 | tee {log:q}"


rule embed_samples:
    input:
        judges=judge_cards,
        index="<results>/samples/{dataset}/{system}/{shard}.parquet",
        reference=reference_embeddings,
    output:
        judged=expand("<results>/embeddings/{{dataset}}{{cut}}/{{system}}/{{shard}}/{judge}.parquet", judge=JUDGES),
        index="<results>/embeddings/{dataset}{cut}/{system}/{shard}/index.parquet",
    log:
        "<logs>/embed_samples/{dataset}{cut}.{system}.{shard}.log",
    benchmark:
        "<benchmarks>/embed_samples/{dataset}{cut}.{system}.{shard}.tsv"
    priority: PRIORITY["generation"]
    threads: config["embed"]["pretrained"]["workers"] + 1
    resources:
        mem_mb=scaled_memory(24000),
        runtime=480,
        gpu=GPUS,
    params:
        judges=results_path("models/judges"),
        reference=reference_folders,
        settings=judging_settings,
        folder=results_path("embeddings/{dataset}{cut}/{system}/{shard}"),
        device=config["device"],
        code=stage_version("embed_pretrained"),
    shell:
        "cafa embed samples --judges {params.judges:q} --index {input.index:q} {params.reference:q}"
        " --settings {params.settings:q} --threads 1 --device {params.device}"
        " --output-folder {params.folder:q} 2>&1 | tee {log:q}"
