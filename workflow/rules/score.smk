# One value for every clip, prompt and metric of a system. A missing clip is an error.


rule score_system:
    input:
        prompts="<results>/prompts/{dataset}.parquet",
        index=system_samples,
        embeddings=system_embeddings,
        truth=truth_embeddings,
        text="<results>/embeddings/{dataset}/text.parquet",
    output:
        "<results>/scores/{dataset}/{system}.parquet",
    log:
        "<logs>/score_system/{dataset}.{system}.log",
    priority: 70
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=60,
    params:
        index=each("--index", "index"),
        embeddings=embedding_folders,
        truth=truth_folders,
        code=stage_version("score"),
    shell:
        "cafa score --system {wildcards.system} --prompts {input.prompts:q} {params.embeddings:q} {params.truth:q}"
        " --text {input.text:q} {params.index:q} --output {output:q} 2>&1 | tee {log:q}"
