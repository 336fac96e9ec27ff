# One value for every clip, prompt and metric of a system. A missing clip is an error.


def system_samples(wildcards):
    """Indices of the samples of the wildcard's system."""
    return judged_of(wildcards.dataset, [wildcards.system], wildcards.cut)


def system_embeddings(wildcards):
    """Embeddings of the wildcard's system."""
    return embeddings_of(wildcards.dataset, wildcards.system, wildcards.cut)


def embedding_folders(wildcards):
    """Folders of a system's embeddings, as options."""
    folder = results_path("embeddings/{dataset}{cut}/{system}")(wildcards)
    return [word for shard in SAMPLE_SHARDS for word in ("--embeddings", f"{folder}/{shard}")]


rule score_system:
    input:
        prompts="<results>/prompts/{dataset}.parquet",
        index=system_samples,
        embeddings=system_embeddings,
        reference=reference_embeddings,
        text=text_of_dataset,
    output:
        "<results>/scores/{dataset}{cut}/{system}.parquet",
    log:
        "<logs>/score_system/{dataset}{cut}.{system}.log",
    benchmark:
        "<benchmarks>/score_system/{dataset}{cut}.{system}.tsv"
    priority: PRIORITY["generation"]
    threads: 1
    resources:
        mem_mb=scaled_memory(2000),
        runtime=60,
    params:
        index=repeat_option("--index", "index"),
        embeddings=embedding_folders,
        reference=reference_folders,
        text=results_path(f"embeddings/{{dataset}}/{TEXT_FILE}"),
        code=stage_version("score"),
    shell:
        "cafa score --system {wildcards.system} --prompts {input.prompts:q} {params.embeddings:q} {params.reference:q}"
        " --text {params.text:q} {params.index:q} --output {output:q} 2>&1 | tee {log:q}"
