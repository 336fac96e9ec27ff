# What a person looks at and listens to.


def example_samples(wildcards):
    """Indices of the samples that the page of examples plays."""
    return samples_of(config["evaluate"], examples_here())


rule write_examples:
    input:
        prompts=f"<results>/prompts/{config['evaluate']}.parquet",
        clips=all_shards("clips/{dataset}/{shard}.ledger.parquet", config["evaluate"]),
        samples=example_samples,
    output:
        report("<tables>/examples.html", caption="../report/examples.rst", category="Examples"),
    log:
        "<logs>/write_examples.log",
    benchmark:
        "<benchmarks>/write_examples.tsv"
    priority: PRIORITY["training"]
    threads: 1
    resources:
        mem_mb=scaled_memory(2000),
        runtime=30,
    params:
        settings=as_json({**config["examples"], "systems": examples_here()}),
        clips=results_path(f"clips/{config['evaluate']}"),
        samples=results_path(f"samples/{config['evaluate']}"),
        shards=len(SAMPLE_SHARDS),
        clip_shards=DATASETS[config["evaluate"]]["shards"],
        code=stage_version("examples"),
    shell:
        "cafa examples --settings {params.settings:q} --prompts {input.prompts:q} --clips {params.clips:q}"
        " --clip-shards {params.clip_shards} --samples-folder {params.samples:q} --shards {params.shards}"
        " --output {output:q} 2>&1 | tee {log:q}"
