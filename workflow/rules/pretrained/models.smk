# Pretrained models and judges: checked against their checksums and put on record, so that everything after them knows
# which weights it was made with. Each is loaded once, on the CPU, so that a file that does not fit stops the run here;
# nothing is downloaded. Memory: that of the largest, Stable Audio Open with its text encoder and beside it, once, the
# published adapter with the backbone that it is compared with; and ImageBind, memory-mapped.

#: a table of weights of one's own; that of the package counts by the version of the stage
WEIGHTS_TABLE = PRETRAINED["judges"].get("table")


def model_settings(wildcards):
    """Settings of a pretrained model as JSON; a backbone's name becomes its folder."""
    entry = PRETRAINED["models"][wildcards.model]
    if entry.get("backbone"):
        entry = {**entry, "backbone": f"{RESULTS}/models/{entry['backbone']}"}
    return json.dumps(entry, sort_keys=True)


def backbone_of_model(wildcards):
    """Card of the backbone that a published adapter is compared with."""
    backbone = PRETRAINED["models"][wildcards.model].get("backbone")
    return [f"{RESULTS}/models/{backbone}/card.json"] if backbone else []


rule register_model:
    input:
        backbone=backbone_of_model,
        table=WEIGHTS_TABLE or [],
    output:
        "<results>/models/{model}/card.json",
    log:
        "<logs>/register_model/{model}.log",
    benchmark:
        "<benchmarks>/register_model/{model}.tsv"
    wildcard_constraints:
        model="|".join(PRETRAINED["models"]),
    priority: PRIORITY["sources"]
    threads: 1
    resources:
        mem_mb=scaled_memory(24000),
        runtime=30,
    params:
        settings=model_settings,
        # One table of weights for models and judges.
        table=["--weights-table", WEIGHTS_TABLE] if WEIGHTS_TABLE else [],
        folder=results_path("models/{model}"),
        code=stage_version("register_model"),
    shell:
        "cafa models register --settings {params.settings:q} {params.table:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule register_judge:
    input:
        table=WEIGHTS_TABLE or [],
    output:
        "<results>/models/judges/{judge}/card.json",
    log:
        "<logs>/register_judge/{judge}.log",
    benchmark:
        "<benchmarks>/register_judge/{judge}.tsv"
    priority: PRIORITY["sources"]
    threads: 1
    resources:
        mem_mb=scaled_memory(8000),
        runtime=30,
    params:
        settings=as_json(PRETRAINED["judges"]),
        folder=results_path("models/judges/{judge}"),
        code=stage_version("register_judge"),
    shell:
        "cafa judges register {wildcards.judge} --settings {params.settings:q} --output {params.folder:q}"
        " 2>&1 | tee {log:q}"


def reference_of_canaries(wildcards):
    """The same for the data set that the canaries of the judges use."""
    return [word for folder in reference_shards(config["evaluate"]) for word in ("--reference-embeddings", folder)]


rule check_judges:
    input:
        judges=judge_cards,
        reference=reference_files(config["evaluate"]),
        text=text_embeddings(config["evaluate"]),
        manifest=f"<results>/manifests/{config['evaluate']}.parquet",
    output:
        "<results>/judges.json",
    log:
        "<logs>/check_judges.log",
    benchmark:
        "<benchmarks>/check_judges.tsv"
    priority: PRIORITY["checks"]
    threads: 1
    resources:
        mem_mb=scaled_memory(16000),
        runtime=60,
        gpu=GPUS,
    params:
        judges=results_path("models/judges"),
        reference=reference_of_canaries,
        text=results_path(f"embeddings/{config['evaluate']}/{TEXT_FILE}"),
        settings=as_json({"thresholds": of_used_judges(PRETRAINED["canary"])}),
        device=config["device"],
        code=stage_version("judge_canary"),
    shell:
        "cafa judges canary --judges {params.judges:q} --settings {params.settings:q} {params.reference:q}"
        " --text {params.text:q} --manifest {input.manifest:q} --threads {threads}"
        " --device {params.device} --output {output:q} 2>&1 | tee {log:q}"
