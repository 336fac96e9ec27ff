# Arrays of the pretrained encoders, each computed once. Of clips: one job for each data set and shard, which reads a clip
# once for all kinds that are wanted of its data set; so there is a rule for each data set, with these files. Of captions:
# data set x backbone x shard.


for dataset in encoded_datasets():

    rule:
        name:
            f"encode_clips_{dataset}"
        input:
            manifest="<results>/manifests/{dataset}.parquet",
            ingest="<results>/clips/{dataset}/{shard}.ledger.parquet",
            models=encoder_cards,
            reused=reused_feature_files,
        output:
            features=expand("<results>/features/{{dataset}}/{kind}/{{shard}}.arrow", kind=features_of(dataset)),
            ledger="<results>/features/{dataset}/encoded/{shard}.ledger.parquet",
        log:
            "<logs>/encode_clips/{dataset}.{shard}.log",
        wildcard_constraints:
            dataset=dataset,
        priority: 70
        conda:
            "../../../environment.yml"
        threads: config["features"]["encode"]["workers"] + 1
        resources:
            mem_mb=megabytes(encoding_megabytes),
            runtime=240,
            gpu=GPUS,
        params:
            kinds=encoded_kinds,
            models=encoder_folders,
            shard=shard_argument,
            clips=below("clips/{dataset}/{shard}"),
            reuse=reused_features,
            settings=setting({**config["features"]["encode"], "seconds": config["window"]["seconds"]}),
            device=config["device"],
            outputs=each("--output", "features"),
            code=encoding_versions,
        # --keep: when one kind changes, Snakemake removes the files of all, and the job copies the others' rows.
        shell:
            "cafa features encode {params.kinds} {params.models:q} --manifest {input.manifest:q} --clips {params.clips:q}"
            " --ingest-ledger {input.ingest:q} --shard {params.shard} --settings {params.settings:q} {params.reuse:q}"
            " --threads 1 --device {params.device} {params.outputs:q} --keep --ledger {output.ledger:q} 2>&1 | tee {log:q}"


rule encode_text:
    input:
        manifest="<results>/manifests/{dataset}.parquet",
        prompts=prompts_if_any,
        model=text_encoder_card,
    output:
        "<results>/features/{dataset}/{features}/{shard}.arrow",
    log:
        "<logs>/encode_text/{dataset}.{features}.{shard}.log",
    wildcard_constraints:
        features=text_folders(),
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
        model=text_encoder_folder,
        shard=text_shard_argument,
        device=config["device"],
        code=stage_version("encode_text"),
    shell:
        "cafa features text --manifest {input.manifest:q} {params.prompts:q} --model {params.model:q}"
        " --shard {params.shard} --device {params.device} --output {output:q} 2>&1 | tee {log:q}"
