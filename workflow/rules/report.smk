# What a person looks at and listens to.


rule write_examples:
    input:
        prompts=f"<results>/prompts/{config['evaluate']}.parquet",
        clips=shards("clips/{dataset}/{shard}.ledger.parquet", config["evaluate"]),
        samples=example_samples,
    output:
        report("<tables>/examples.html", caption="../report/examples.rst", category="Examples"),
    log:
        "<logs>/write_examples.log",
    priority: 80
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=30,
    params:
        settings=setting(config["examples"]),
        clips=below(f"clips/{config['evaluate']}"),
        samples=below(f"samples/{config['evaluate']}"),
        shards=len(SAMPLE_SHARDS),
        clip_shards=DATASETS[config["evaluate"]]["shards"],
        code=stage_version("examples"),
    shell:
        "cafa examples --settings {params.settings:q} --prompts {input.prompts:q} --clips {params.clips:q}"
        " --clip-shards {params.clip_shards} --samples-folder {params.samples:q} --shards {params.shards}"
        " --output {output:q} 2>&1 | tee {log:q}"
