# Prompts, then the sound of every system: data set x system x shard of batches. No evaluation.


rule write_prompts:
    input:
        manifest="<results>/manifests/{dataset}.parquet",
        ledgers=clip_ledgers,
        file=prompts_file,
    output:
        prompts="<results>/prompts/{dataset}.parquet",
        excluded="<results>/prompts/{dataset}.excluded.ledger.parquet",
    log:
        "<logs>/write_prompts/{dataset}.log",
    priority: 60
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=10,
    params:
        ledgers=each("--ledger", "ledgers"),
        settings=prompts_settings,
        words=caption_words,
        seed=config["seed"],
        code=stage_version("prompts"),
    shell:
        "cafa prompts --manifest {input.manifest:q} {params.ledgers:q} --settings {params.settings:q}"
        " {params.words} --seed {params.seed} --output {output.prompts:q} --excluded {output.excluded:q} 2>&1 | tee {log:q}"


rule make_samples:
    input:
        unpack(sample_inputs),
    output:
        index="<results>/samples/{dataset}/{system}/{shard}.parquet",
    log:
        "<logs>/make_samples/{dataset}.{system}.{shard}.log",
    priority: 70
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(24000 if PRETRAINED else 4000),
        runtime=480,
        gpu=sample_gpus,
    params:
        settings=system_settings,
        truth=each("--truth", "truth"),
        features=below("features/{dataset}"),
        models=below("models"),
        clips=below("clips/{dataset}"),
        clip_shards=clip_shard_count,
        text=system_text,
        text_shards=text_shards_of_clips,
        shard=sample_shard_argument,
        batch_size=config["samples"]["batch_size"],
        seconds=sample_seconds,
        sample_rate=config["window"]["sample_rate"],
        folder=below("samples/{dataset}/{system}/{shard}"),
        seed=config["seed"],
        device=sample_device,
        code=samples_version,
    shell:
        "cafa samples make --system {wildcards.system} --settings {params.settings:q} --prompts {input.prompts:q}"
        " --features-folder {params.features:q} --models {params.models:q}"
        " --clips {params.clips:q} --clip-shards {params.clip_shards}"
        " --text {params.text} --text-shards {params.text_shards} {params.truth:q}"
        " --seconds {params.seconds} --sample-rate {params.sample_rate} --seed {params.seed}"
        " --shard {params.shard} --batch-size {params.batch_size} --threads {threads} --device {params.device}"
        " --output-folder {params.folder:q} --index {output.index:q} 2>&1 | tee {log:q}"
