# Pretrained models and judges: checked against their checksums and put on record, so that everything after them knows
# which weights it was made with. Each is loaded once, on the CPU, so that a file that does not fit stops the run here;
# nothing is downloaded. Memory: that of the largest, Stable Audio Open with its text encoder and beside it, once, the
# published adapter with the backbone that it is compared with; and ImageBind, memory-mapped.


rule register_model:
    input:
        backbone=backbone_of_model,
    output:
        "<results>/models/{model}/card.json",
    log:
        "<logs>/register_model/{model}.log",
    wildcard_constraints:
        model="|".join(PRETRAINED["models"]),
    priority: 100
    conda:
        "../../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(24000),
        runtime=30,
    params:
        settings=model_settings,
        # One table of weights for models and judges.
        table=PRETRAINED["judges"].get("table") or "config/weights.tsv",
        folder=below("models/{model}"),
        code=stage_version("register_model"),
    shell:
        "cafa models register --settings {params.settings:q} --weights-table {params.table:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule register_judge:
    output:
        "<results>/models/judges/{judge}/card.json",
    log:
        "<logs>/register_judge/{judge}.log",
    priority: 100
    conda:
        "../../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(8000),
        runtime=30,
    params:
        settings=setting(PRETRAINED["judges"]),
        folder=below("models/judges/{judge}"),
        code=stage_version("register_judge"),
    shell:
        "cafa judges register {wildcards.judge} --settings {params.settings:q} --output {params.folder:q}"
        " 2>&1 | tee {log:q}"


rule check_judges:
    input:
        judges=judge_cards,
        truth=truth_of(config["evaluate"]),
        text=f"<results>/embeddings/{config['evaluate']}/text.parquet",
        manifest=f"<results>/manifests/{config['evaluate']}.parquet",
    output:
        "<results>/judges.json",
    log:
        "<logs>/check_judges.log",
    priority: 50
    conda:
        "../../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(16000),
        runtime=60,
        gpu=GPUS,
    params:
        judges=below("models/judges"),
        truth=canary_truth,
        settings=setting({"thresholds": PRETRAINED["canary"]}),
        device=config["device"],
        code=stage_version("judge_canary"),
    shell:
        "cafa judges canary --judges {params.judges:q} --settings {params.settings:q} {params.truth:q}"
        " --text {input.text:q} --manifest {input.manifest:q} --threads {threads}"
        " --device {params.device} --output {output:q} 2>&1 | tee {log:q}"
