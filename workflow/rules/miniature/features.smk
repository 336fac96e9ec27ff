# Arrays of clips and captions, each computed once. No training, no scoring.


rule extract_media:
    input:
        manifest="<results>/manifests/{dataset}.parquet",
        ingest="<results>/clips/{dataset}/{shard}.ledger.parquet",
    output:
        frames="<results>/features/{dataset}/frames/{shard}.arrow",
        mel="<results>/features/{dataset}/mel/{shard}.arrow",
        ledger="<results>/features/{dataset}/media/{shard}.ledger.parquet",
    log:
        "<logs>/extract_media/{dataset}.{shard}.log",
    benchmark:
        "<benchmarks>/extract_media/{dataset}.{shard}.tsv"
    priority: PRIORITY["training"]
    threads: 1
    resources:
        mem_mb=scaled_memory(2000),
        runtime=120,
    params:
        shard=shard_argument,
        clips=results_path("clips/{dataset}/{shard}"),
        settings=as_json({**config["features"]["media"], "seconds": config["window"]["seconds"]}),
        code=stage_version("features_media"),
    shell:
        "cafa features media --manifest {input.manifest:q} --clips {params.clips:q} --ingest-ledger {input.ingest:q}"
        " --shard {params.shard} --settings {params.settings:q} --frames {output.frames:q} --mel {output.mel:q}"
        " --ledger {output.ledger:q} 2>&1 | tee {log:q}"


rule encode_latents:
    input:
        mel="<results>/features/{dataset}/mel/{shard}.arrow",
        autoencoder="<results>/models/autoencoder/card.json",
    output:
        "<results>/features/{dataset}/latents/{shard}.arrow",
    log:
        "<logs>/encode_latents/{dataset}.{shard}.log",
    benchmark:
        "<benchmarks>/encode_latents/{dataset}.{shard}.tsv"
    priority: PRIORITY["generation"]
    threads: 1
    resources:
        mem_mb=scaled_memory(2000),
        runtime=120,
    params:
        model=results_path("models/autoencoder"),
        code=stage_version("features_latents"),
    shell:
        "cafa features latents --mel {input.mel:q} --autoencoder {params.model:q} --output {output:q} 2>&1 | tee {log:q}"


rule encode_av_clip:
    input:
        frames="<results>/features/{dataset}/frames/{shard}.arrow",
        model="<results>/models/av_clip/card.json",
    output:
        "<results>/features/{dataset}/av_clip/{shard}.arrow",
    log:
        "<logs>/encode_av_clip/{dataset}.{shard}.log",
    benchmark:
        "<benchmarks>/encode_av_clip/{dataset}.{shard}.tsv"
    priority: PRIORITY["generation"]
    threads: 1
    resources:
        mem_mb=scaled_memory(2000),
        runtime=240,
    params:
        model=results_path("models/av_clip"),
        code=stage_version("features_av_clip"),
    shell:
        "cafa features av-clip --frames {input.frames:q} --model {params.model:q} --threads {threads}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule encode_clip:
    input:
        frames="<results>/features/{dataset}/frames/{shard}.arrow",
        model="<results>/models/clip/card.json",
    output:
        "<results>/features/{dataset}/clip/{shard}.arrow",
    log:
        "<logs>/encode_clip/{dataset}.{shard}.log",
    benchmark:
        "<benchmarks>/encode_clip/{dataset}.{shard}.tsv"
    priority: PRIORITY["generation"]
    threads: 1
    resources:
        mem_mb=scaled_memory(2000),
        runtime=120,
    params:
        model=results_path("models/clip"),
        code=stage_version("features_clip"),
    shell:
        "cafa features clip --frames {input.frames:q} --model {params.model:q} --threads {threads}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule filter_clips:
    input:
        manifest="<results>/manifests/{dataset}.parquet",
        frames=all_shards("features/{dataset}/frames/{shard}.arrow"),
        mel=all_shards("features/{dataset}/mel/{shard}.arrow"),
        model="<results>/models/av_clip/card.json",
    output:
        manifest="<results>/correspondence/{dataset}_kept.parquet",
        scores="<results>/correspondence/{dataset}_scores.parquet",
        ledger="<results>/correspondence/{dataset}.ledger.parquet",
    log:
        "<logs>/filter_clips/{dataset}.log",
    benchmark:
        "<benchmarks>/filter_clips/{dataset}.tsv"
    priority: PRIORITY["generation"]
    threads: 1
    resources:
        mem_mb=scaled_memory(2000),
        runtime=120,
    params:
        frames=repeat_option("--frames", "frames"),
        mel=repeat_option("--mel", "mel"),
        model=results_path("models/av_clip"),
        settings=config_json("datasets/{dataset}/correspondence"),
        code=stage_version("correspondence"),
    shell:
        "cafa features correspondence --manifest {input.manifest:q} {params.frames:q} {params.mel:q} --model {params.model:q}"
        " --settings {params.settings:q} --threads {threads} --output {output.manifest:q} --scores {output.scores:q}"
        " --ledger {output.ledger:q} 2>&1 | tee {log:q}"


rule write_filter_table:
    input:
        scores="<results>/correspondence/{dataset}_scores.parquet",
        event_times="<results>/world/{dataset}.event_times.parquet",
    output:
        csv=report("<tables>/filter_{dataset}.csv", caption="../../report/filter.rst", category="Tables"),
        markdown="<tables>/filter_{dataset}.md",
    log:
        "<logs>/write_filter_table/{dataset}.log",
    benchmark:
        "<benchmarks>/write_filter_table/{dataset}.tsv"
    priority: PRIORITY["tables"]
    localrule: True
    threads: 1
    resources:
        mem_mb=scaled_memory(1000),
        runtime=10,
    params:
        code=stage_version("filter_table"),
    shell:
        "cafa world filter-table --scores {input.scores:q} --event-times {input.event_times:q} --csv {output.csv:q}"
        " --markdown {output.markdown:q} 2>&1 | tee {log:q}"


def text_wordings(wildcards):
    """What systems are told of rows in place of their captions, as options."""
    return wordings_of(wildcards.dataset, "backbone")


rule encode_text:
    input:
        manifest="<results>/manifests/{dataset}.parquet",
        prompts=prompts_if_any,
    output:
        "<results>/features/{dataset}/text/{shard}.arrow",
    log:
        "<logs>/encode_text/{dataset}.{shard}.log",
    benchmark:
        "<benchmarks>/encode_text/{dataset}.{shard}.tsv"
    priority: PRIORITY["training"]
    threads: 1
    resources:
        mem_mb=scaled_memory(2000),
        runtime=60,
    params:
        prompts=repeat_option("--prompts", "prompts"),
        settings=as_json(config["features"]["text"]),
        wordings=text_wordings,
        shard=text_shard_argument,
        code=stage_version("features_text"),
    shell:
        "cafa features text --manifest {input.manifest:q} {params.prompts:q} {params.wordings:q} --settings {params.settings:q}"
        " --shard {params.shard} --output {output:q} 2>&1 | tee {log:q}"
