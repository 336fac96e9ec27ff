# Arrays of the pretrained encoders, from normalised clips, each computed once: data set x kind (of latents: and backbone) x shard.


rule encode_clips:
    input:
        manifest="<results>/manifests/{dataset}.parquet",
        ingest="<results>/clips/{dataset}/{shard}.ledger.parquet",
        model=encoder_card,
        reused=reused_feature_files,
    output:
        features="<results>/features/{dataset}/{features}/{shard}.arrow",
        ledger="<results>/features/{dataset}/{features}/{shard}.ledger.parquet",
    log:
        "<logs>/encode_clips/{dataset}.{features}.{shard}.log",
    wildcard_constraints:
        features=folders_of("av_clip", "clip", "latents"),
    priority: 70
    conda:
        "../../../environment.yml"
    threads: config["features"]["encode"]["workers"] + 1
    resources:
        mem_mb=megabytes(16000),
        runtime=240,
        gpu=GPUS,
    params:
        shard=shard_argument,
        clips=below("clips/{dataset}/{shard}"),
        kind=encoded_kind,
        reuse=reused_features,
        model=encoder_folder,
        settings=setting({**config["features"]["encode"], "seconds": config["window"]["seconds"]}),
        device=config["device"],
        code=encoding_version,
    shell:
        "cafa features encode {params.kind} --model {params.model:q} --manifest {input.manifest:q}"
        " --clips {params.clips:q} --ingest-ledger {input.ingest:q} --shard {params.shard} --settings {params.settings:q}"
        " {params.reuse:q} --threads 1 --device {params.device} --output {output.features:q} --ledger {output.ledger:q} 2>&1 | tee {log:q}"


rule encode_text:
    input:
        manifest="<results>/manifests/{dataset}.parquet",
        prompts=prompts_if_any,
        model=encoder_card,
    output:
        "<results>/features/{dataset}/{features}/{shard}.arrow",
    log:
        "<logs>/encode_text/{dataset}.{features}.{shard}.log",
    wildcard_constraints:
        features=folders_of("text"),
    priority: 80
    conda:
        "../../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(8000),
        runtime=120,
        gpu=GPUS,
    params:
        prompts=each("--prompts", "prompts"),
        model=encoder_folder,
        shard=text_shard_argument,
        device=config["device"],
        code=stage_version("encode_text"),
    shell:
        "cafa features text --manifest {input.manifest:q} {params.prompts:q} --model {params.model:q}"
        " --shard {params.shard} --device {params.device} --output {output:q} 2>&1 | tee {log:q}"
