# What the judges make of each audio set: of the clips' own sound once per data set, of every system by shard.


rule embed_reference:
    input:
        judges=judge_cards,
        manifest="<results>/manifests/{dataset}.parquet",
        frames=all_shards("features/{dataset}/frames/{shard}.arrow"),
        mel=all_shards("features/{dataset}/mel/{shard}.arrow"),
    output:
        expand("<results>/embeddings/{{dataset}}/reference_set/{judge}.parquet", judge=REFERENCE_JUDGES),
    log:
        "<logs>/embed_reference/{dataset}.log",
    benchmark:
        "<benchmarks>/embed_reference/{dataset}.tsv"
    priority: PRIORITY["references"]
    threads: 1
    resources:
        mem_mb=scaled_memory(4000),
        runtime=120,
        gpu=GPUS,
    params:
        judges=results_path("models/judges"),
        frames=repeat_option("--frames", "frames"),
        mel=repeat_option("--mel", "mel"),
        folder=results_path("embeddings/{dataset}/reference_set"),
        device=config["device"],
        code=stage_version("embed"),
    shell:
        "cafa embed reference --judges {params.judges:q} {params.frames:q} {params.mel:q} --manifest {input.manifest:q}"
        " --threads {threads} --device {params.device} --output-folder {params.folder:q} 2>&1 | tee {log:q}"


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
            mem_mb=scaled_memory(4000),
            runtime=60,
            gpu=GPUS,
        params:
            judges=results_path("models/judges"),
            text=results_path(f"embeddings/{{dataset}}/{TEXT_FILE}"),
            device=config["device"],
            code=stage_version("embed"),
        shell:
            "cafa embed text --judges {params.judges:q} --prompts {input.prompts:q} --threads {threads}"
            " --device {params.device} --output {params.text:q} 2>&1 | tee {log:q}"


rule embed_samples:
    input:
        judges=judge_cards,
        index="<results>/samples/{dataset}/{system}/{shard}.parquet",
        frames=all_shards("features/{dataset}/frames/{shard}.arrow"),
    output:
        expand("<results>/embeddings/{{dataset}}/{{system}}/{{shard}}/{judge}.parquet", judge=JUDGES),
    log:
        "<logs>/embed_samples/{dataset}.{system}.{shard}.log",
    benchmark:
        "<benchmarks>/embed_samples/{dataset}.{system}.{shard}.tsv"
    priority: PRIORITY["generation"]
    threads: 1
    resources:
        mem_mb=scaled_memory(4000),
        runtime=240,
        gpu=GPUS,
    params:
        judges=results_path("models/judges"),
        frames=repeat_option("--frames", "frames"),
        batch_size=config["embed"]["batch_size"],
        folder=results_path("embeddings/{dataset}/{system}/{shard}"),
        device=config["device"],
        code=stage_version("embed"),
    shell:
        "cafa embed samples --judges {params.judges:q} --index {input.index:q} {params.frames:q}"
        " --batch-size {params.batch_size} --threads {threads} --device {params.device}"
        " --output-folder {params.folder:q} 2>&1 | tee {log:q}"
