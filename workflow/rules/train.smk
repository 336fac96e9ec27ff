# Adapters on a frozen backbone: one job for every entry of `adapters`, each of which may start from another (phases).
# Training goes on from <output>/.resume after an interruption, to the same bits.


rule train_adapter:
    input:
        unpack(adapter_inputs),
    output:
        model="<results>/models/{adapter}/model.safetensors",
        card="<results>/models/{adapter}/card.json",
        loss="<results>/models/{adapter}/loss.parquet",
    log:
        "<logs>/train_adapter/{adapter}.log",
    wildcard_constraints:
        adapter="|".join(config["adapters"]),
    priority: 80
    conda:
        "../../environment.yml"
    threads: adapter_cpus
    resources:
        mem_mb=megabytes(adapter_megabytes),
        runtime=4320 if PRETRAINED else 480,
        gpu=adapter_gpus,
    params:
        backbone=adapter_backbone,
        latents=each("--latents", "latents"),
        video=each("--video", "video"),
        text=each("--text", "text"),
        start=adapter_start,
        processes=adapter_processes,
        settings=adapter_settings,
        seed=config["seed"],
        folder=below("models/{adapter}"),
        device=config["device"],
        code=stage_version("train_adapter"),
    shell:
        "cafa train adapter --backbone {params.backbone:q} {params.start:q} {params.latents:q} {params.video:q}"
        " {params.text:q} --manifest {input.manifest:q} --settings {params.settings:q} --seed {params.seed}"
        " --processes {params.processes} --threads 1 --device {params.device} --output {params.folder:q} 2>&1 | tee {log:q}"
