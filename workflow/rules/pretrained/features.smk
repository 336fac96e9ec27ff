# Arrays of the pretrained encoders, each computed once. Of clips: one job for each data set and shard, which reads a clip
# once for all kinds that are wanted of its data set; so there is a rule for each data set, with these files. Of captions:
# data set x backbone x shard.


def encoded_datasets():
    """Data sets of whose clips something is encoded."""
    return [name for name in DATASETS if features_of(name)]


def encoded_kinds(wildcards):
    """Kinds of a data set's features, in the order of their folders."""
    return [ENCODERS[folder][0] for folder in features_of(wildcards.dataset)]


def encoding_versions(wildcards):
    """Versions of the stages that make a data set's features."""
    return [version_of_features(kind) for kind in encoded_kinds(wildcards)]


def encoder_folders(wildcards):
    """Folders of the pretrained models that a data set's features are encoded with, as options."""
    names = [ENCODERS[folder][1] for folder in features_of(wildcards.dataset)]
    return [word for name in names for word in ("--model", f"{RESULTS}/models/{name}")]


def encoder_cards(wildcards):
    """Cards of those models."""
    return [f"{RESULTS}/models/{ENCODERS[folder][1]}/card.json" for folder in features_of(wildcards.dataset)]


def encoding_megabytes(wildcards):
    """Memory: 16 GB with one network and the clips that are decoded ahead, and 4 GB for each network more."""
    return 12000 + 4000 * len(features_of(wildcards.dataset))


def reused_folders(wildcards):
    """Data sets and folders of features whose rows are copied where they are of the same clips and encoder."""
    mine = features_of(wildcards.dataset)
    return [(name, kind) for name in reused_by(wildcards.dataset) for kind in features_of(name) if kind in mine]


def reused_feature_files(wildcards):
    """Files in those folders."""
    return [ancient(file) for name, kind in reused_folders(wildcards) for file in feature_files(name, kind)]


def reused_features(wildcards):
    """Those folders, as options."""
    return [
        word for name, kind in reused_folders(wildcards) for word in ("--reuse", f"{RESULTS}/features/{name}/{kind}")
    ]


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
        benchmark:
            "<benchmarks>/encode_clips/{dataset}.{shard}.tsv"
        wildcard_constraints:
            dataset=dataset,
        priority: PRIORITY["generation"]
        threads: config["features"]["encode"]["workers"] + 1
        resources:
            mem_mb=scaled_memory(encoding_megabytes),
            runtime=240,
            gpu=GPUS,
        params:
            kinds=encoded_kinds,
            models=encoder_folders,
            shard=shard_argument,
            clips=results_path("clips/{dataset}/{shard}"),
            reuse=reused_features,
            settings=as_json({**config["features"]["encode"], "seconds": config["window"]["seconds"]}),
            device=config["device"],
            outputs=repeat_option("--output", "features"),
            code=encoding_versions,
        # --keep: when one kind changes, Snakemake removes the files of all, and the job copies the others' rows.
        shell:
            "cafa features encode {params.kinds} {params.models:q} --manifest {input.manifest:q} --clips {params.clips:q}"
            " --ingest-ledger {input.ingest:q} --shard {params.shard} --settings {params.settings:q} {params.reuse:q}"
            " --threads 1 --device {params.device} {params.outputs:q} --keep --ledger {output.ledger:q} 2>&1 | tee {log:q}"


def text_folders():
    """Wildcard constraint: the folders of states of captions."""
    return "|".join(name for name, (kind, _) in ENCODERS.items() if kind == "text")


def text_encoder_folder(wildcards):
    """Folder of the backbone that captions are encoded with."""
    return f"{RESULTS}/models/{ENCODERS[wildcards.features][1]}"


def text_encoder_card(wildcards):
    """Its card."""
    return f"{text_encoder_folder(wildcards)}/card.json"


def text_wordings(wildcards):
    """Wordings of systems of the folder's backbone, as options."""
    return wordings_of(wildcards.dataset, ENCODERS[wildcards.features][1])


rule encode_text:
    input:
        manifest="<results>/manifests/{dataset}.parquet",
        prompts=prompts_if_any,
        model=text_encoder_card,
    output:
        "<results>/features/{dataset}/{features}/{shard}.arrow",
    log:
        "<logs>/encode_text/{dataset}.{features}.{shard}.log",
    benchmark:
        "<benchmarks>/encode_text/{dataset}.{features}.{shard}.tsv"
    wildcard_constraints:
        features=text_folders(),
    priority: PRIORITY["training"]
    threads: 1
    resources:
        mem_mb=scaled_memory(8000),
        runtime=120,
        gpu=GPUS,
    params:
        prompts=repeat_option("--prompts", "prompts"),
        model=text_encoder_folder,
        wordings=text_wordings,
        shard=text_shard_argument,
        device=config["device"],
        code=stage_version("encode_text"),
    shell:
        "cafa features text --manifest {input.manifest:q} {params.prompts:q} {params.wordings:q} --model {params.model:q}"
        " --shard {params.shard} --device {params.device} --output {output:q} 2>&1 | tee {log:q}"
