# Models of the generator and judges of its sound, each trained on its own data set; the gate that judges must pass.
# Training goes on from <output>/.resume after an interruption, to the same bits.

TRAIN_ON, JUDGES_TRAIN_ON, JUDGES_CHECK_ON = config["train_on"], config["judges_train_on"], config["judges_check_on"]


rule train_autoencoder:
    input:
        manifest=f"<results>/manifests/{TRAIN_ON}.parquet",
        mel=shards("features/{dataset}/mel/{shard}.arrow", TRAIN_ON),
    output:
        model="<results>/models/autoencoder/model.safetensors",
        card="<results>/models/autoencoder/card.json",
    log:
        "<logs>/train_autoencoder.log",
    priority: 70
    conda:
        "../../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=60,
    params:
        mel=each("--mel", "mel"),
        settings=setting(config["training"]["autoencoder"]),
        seed=config["seed"],
        folder=below("models/autoencoder"),
        code=stage_version("train_autoencoder"),
    shell:
        "cafa train autoencoder {params.mel:q} --manifest {input.manifest:q} --settings {params.settings:q}"
        " --seed {params.seed} --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_av_clip:
    input:
        manifest=f"<results>/manifests/{TRAIN_ON}.parquet",
        frames=shards("features/{dataset}/frames/{shard}.arrow", TRAIN_ON),
        mel=shards("features/{dataset}/mel/{shard}.arrow", TRAIN_ON),
    output:
        model="<results>/models/av_clip/model.safetensors",
        card="<results>/models/av_clip/card.json",
        loss="<results>/models/av_clip/loss.parquet",
    log:
        "<logs>/train_av_clip.log",
    priority: 70
    conda:
        "../../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=240,
        gpu=GPUS,
    params:
        frames=each("--frames", "frames"),
        mel=each("--mel", "mel"),
        settings=setting(config["training"]["av_clip"]),
        seed=config["seed"],
        folder=below("models/av_clip"),
        device=config["device"],
        code=stage_version("train_av_clip"),
    shell:
        "cafa train av-clip {params.frames:q} {params.mel:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q} --seed {params.seed} --threads {threads} --device {params.device}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_backbone:
    input:
        manifest=f"<results>/manifests/{TRAIN_ON}.parquet",
        latents=shards("features/{dataset}/latents/{shard}.arrow", TRAIN_ON),
        text=text_files(TRAIN_ON),
    output:
        model="<results>/models/backbone/model.safetensors",
        card="<results>/models/backbone/card.json",
        loss="<results>/models/backbone/loss.parquet",
    log:
        "<logs>/train_backbone.log",
    priority: 80
    conda:
        "../../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=480,
        gpu=GPUS,
    params:
        latents=each("--latents", "latents"),
        text=each("--text", "text"),
        settings=setting({**config["training"]["backbone"], "seconds": config["window"]["seconds"]}),
        seed=config["seed"],
        folder=below("models/backbone"),
        device=config["device"],
        code=stage_version("train_backbone"),
    shell:
        "cafa train backbone {params.latents:q} {params.text:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q} --seed {params.seed} --threads {threads} --device {params.device}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_joint:
    input:
        manifest=f"<results>/manifests/{TRAIN_ON}.parquet",
        latents=shards("features/{dataset}/latents/{shard}.arrow", TRAIN_ON),
        video=shards("features/{dataset}/av_clip/{shard}.arrow", TRAIN_ON),
        text=text_files(TRAIN_ON),
    output:
        model="<results>/models/joint/model.safetensors",
        card="<results>/models/joint/card.json",
        loss="<results>/models/joint/loss.parquet",
    log:
        "<logs>/train_joint.log",
    priority: 60
    conda:
        "../../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=480,
        gpu=GPUS,
    params:
        latents=each("--latents", "latents"),
        text=each("--text", "text"),
        video=each("--video", "video"),
        settings=setting({**config["training"]["joint"], "seconds": config["window"]["seconds"]}),
        seed=config["seed"],
        folder=below("models/joint"),
        device=config["device"],
        code=stage_version("train_joint"),
    shell:
        "cafa train joint {params.latents:q} {params.video:q} {params.text:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q} --seed {params.seed} --threads {threads} --device {params.device}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_judge:
    input:
        manifest=f"<results>/manifests/{JUDGES_TRAIN_ON}.parquet",
        frames=shards("features/{dataset}/frames/{shard}.arrow", JUDGES_TRAIN_ON),
        mel=shards("features/{dataset}/mel/{shard}.arrow", JUDGES_TRAIN_ON),
    output:
        model="<results>/models/judges/{judge}/model.safetensors",
        card="<results>/models/judges/{judge}/card.json",
        loss="<results>/models/judges/{judge}/loss.parquet",
    log:
        "<logs>/train_judge/{judge}.log",
    priority: 65
    conda:
        "../../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=240,
        gpu=GPUS,
    params:
        frames=each("--frames", "frames"),
        mel=each("--mel", "mel"),
        settings=judge_settings,
        seed=config["seed"],
        folder=below("models/judges/{judge}"),
        device=config["device"],
        code=stage_version("train_judge"),
    shell:
        "cafa judges train {wildcards.judge} {params.frames:q} {params.mel:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q} --seed {params.seed} --threads {threads} --device {params.device}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule check_judges:
    input:
        judges=expand("<results>/models/judges/{judge}/card.json", judge=config["judges"]),
        manifest=f"<results>/manifests/{JUDGES_CHECK_ON}.parquet",
        truth=f"<results>/world/{JUDGES_CHECK_ON}.truth.parquet",
        frames=shards("features/{dataset}/frames/{shard}.arrow", JUDGES_CHECK_ON),
        mel=shards("features/{dataset}/mel/{shard}.arrow", JUDGES_CHECK_ON),
    output:
        "<results>/judges.json",
    log:
        "<logs>/check_judges.log",
    priority: 50
    conda:
        "../../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=60,
        gpu=GPUS,
    params:
        judges=below("models/judges"),
        frames=each("--frames", "frames"),
        mel=each("--mel", "mel"),
        settings=setting(config["judges_gate"]),
        seed=config["seed"],
        device=config["device"],
        code=stage_version("check_judges"),
    shell:
        "cafa judges check --judges {params.judges:q} {params.frames:q} {params.mel:q} --manifest {input.manifest:q}"
        " --truth {input.truth:q} --settings {params.settings:q} --seed {params.seed} --threads {threads}"
        " --device {params.device} --output {output:q} 2>&1 | tee {log:q}"
