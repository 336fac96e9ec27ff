# Models of the generator and judges of its sound, each trained on its own data set; the gate that judges must pass.
# Training goes on from <output>/.resume after an interruption, to the same bits.

TRAIN_ON, JUDGES_TRAIN_ON, JUDGES_CHECK_ON = config["train_on"], config["judges_train_on"], config["judges_check_on"]


rule train_autoencoder:
    input:
        manifest=f"<results>/manifests/{TRAIN_ON}.parquet",
        mel=all_shards("features/{dataset}/mel/{shard}.arrow", TRAIN_ON),
    output:
        model="<results>/models/autoencoder/model.safetensors",
        card="<results>/models/autoencoder/card.json",
    log:
        "<logs>/train_autoencoder.log",
    benchmark:
        "<benchmarks>/train_autoencoder.tsv"
    priority: PRIORITY["generation"]
    threads: 1
    resources:
        mem_mb=scaled_memory(4000),
        runtime=60,
    params:
        mel=repeat_option("--mel", "mel"),
        settings=as_json(config["training"]["autoencoder"]),
        seed=config["seed"],
        folder=results_path("models/autoencoder"),
        code=stage_version("train_autoencoder"),
    shell:
        "cafa train autoencoder {params.mel:q} --manifest {input.manifest:q} --settings {params.settings:q}"
        " --seed {params.seed} --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_av_clip:
    input:
        manifest=f"<results>/manifests/{TRAIN_ON}.parquet",
        frames=all_shards("features/{dataset}/frames/{shard}.arrow", TRAIN_ON),
        mel=all_shards("features/{dataset}/mel/{shard}.arrow", TRAIN_ON),
    output:
        model="<results>/models/av_clip/model.safetensors",
        card="<results>/models/av_clip/card.json",
        loss="<results>/models/av_clip/loss.parquet",
    log:
        "<logs>/train_av_clip.log",
    benchmark:
        "<benchmarks>/train_av_clip.tsv"
    priority: PRIORITY["generation"]
    threads: 1
    resources:
        mem_mb=scaled_memory(4000),
        runtime=240,
        gpu=GPUS,
    params:
        frames=repeat_option("--frames", "frames"),
        mel=repeat_option("--mel", "mel"),
        settings=as_json(config["training"]["av_clip"]),
        seed=config["seed"],
        folder=results_path("models/av_clip"),
        device=config["device"],
        code=stage_version("train_av_clip"),
    shell:
        "cafa train av-clip {params.frames:q} {params.mel:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q} --seed {params.seed} --threads {threads} --device {params.device}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


# Of pictures and captions, for adapters that read `clip` as well (CAFA-C).
rule train_clip:
    input:
        manifest=f"<results>/manifests/{TRAIN_ON}.parquet",
        frames=all_shards("features/{dataset}/frames/{shard}.arrow", TRAIN_ON),
        text=text_files(TRAIN_ON),
    output:
        model="<results>/models/clip/model.safetensors",
        card="<results>/models/clip/card.json",
        loss="<results>/models/clip/loss.parquet",
    log:
        "<logs>/train_clip.log",
    benchmark:
        "<benchmarks>/train_clip.tsv"
    priority: PRIORITY["generation"]
    threads: 1
    resources:
        mem_mb=scaled_memory(4000),
        runtime=240,
        gpu=GPUS,
    params:
        frames=repeat_option("--frames", "frames"),
        text=repeat_option("--text", "text"),
        settings=config_json("training/clip"),
        seed=config["seed"],
        folder=results_path("models/clip"),
        device=config["device"],
        code=stage_version("train_clip"),
    shell:
        "cafa train clip {params.frames:q} {params.text:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q} --seed {params.seed} --threads {threads} --device {params.device}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


def backbone_settings(wildcards):
    """Settings of a backbone's training as JSON."""
    name = wildcards.backbone
    settings = config["training"]["backbone"] if name == "backbone" else config["backbones"][name]
    return json.dumps({**settings, "seconds": config["window"]["seconds"]}, sort_keys=True)


rule train_backbone:
    input:
        manifest=f"<results>/manifests/{TRAIN_ON}.parquet",
        latents=all_shards("features/{dataset}/latents/{shard}.arrow", TRAIN_ON),
        text=text_files(TRAIN_ON),
    output:
        model="<results>/models/{backbone}/model.safetensors",
        card="<results>/models/{backbone}/card.json",
        loss="<results>/models/{backbone}/loss.parquet",
    log:
        "<logs>/train_backbone/{backbone}.log",
    benchmark:
        "<benchmarks>/train_backbone/{backbone}.tsv"
    wildcard_constraints:
        backbone="|".join(BACKBONES),
    priority: PRIORITY["training"]
    threads: 1
    resources:
        mem_mb=scaled_memory(4000),
        runtime=480,
        gpu=GPUS,
    params:
        latents=repeat_option("--latents", "latents"),
        text=repeat_option("--text", "text"),
        settings=backbone_settings,
        seed=config["seed"],
        folder=results_path("models/{backbone}"),
        device=config["device"],
        code=stage_version("train_backbone"),
    shell:
        "cafa train backbone {params.latents:q} {params.text:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q} --seed {params.seed} --threads {threads} --device {params.device}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_joint:
    input:
        manifest=f"<results>/manifests/{TRAIN_ON}.parquet",
        latents=all_shards("features/{dataset}/latents/{shard}.arrow", TRAIN_ON),
        video=all_shards("features/{dataset}/av_clip/{shard}.arrow", TRAIN_ON),
        text=text_files(TRAIN_ON),
    output:
        model="<results>/models/joint/model.safetensors",
        card="<results>/models/joint/card.json",
        loss="<results>/models/joint/loss.parquet",
    log:
        "<logs>/train_joint.log",
    benchmark:
        "<benchmarks>/train_joint.tsv"
    priority: PRIORITY["training"]
    threads: 1
    resources:
        mem_mb=scaled_memory(4000),
        runtime=480,
        gpu=GPUS,
    params:
        latents=repeat_option("--latents", "latents"),
        text=repeat_option("--text", "text"),
        video=repeat_option("--video", "video"),
        settings=as_json({**config["training"]["joint"], "seconds": config["window"]["seconds"]}),
        seed=config["seed"],
        folder=results_path("models/joint"),
        device=config["device"],
        code=stage_version("train_joint"),
    shell:
        "cafa train joint {params.latents:q} {params.video:q} {params.text:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q} --seed {params.seed} --threads {threads} --device {params.device}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_judge:
    input:
        manifest=f"<results>/manifests/{JUDGES_TRAIN_ON}.parquet",
        frames=all_shards("features/{dataset}/frames/{shard}.arrow", JUDGES_TRAIN_ON),
        mel=all_shards("features/{dataset}/mel/{shard}.arrow", JUDGES_TRAIN_ON),
    output:
        model="<results>/models/judges/{judge}/model.safetensors",
        card="<results>/models/judges/{judge}/card.json",
        loss="<results>/models/judges/{judge}/loss.parquet",
    log:
        "<logs>/train_judge/{judge}.log",
    benchmark:
        "<benchmarks>/train_judge/{judge}.tsv"
    wildcard_constraints:
        judge="|".join(judge for judge in JUDGES if judge not in MEASUREMENTS),
    priority: PRIORITY["judges"]
    threads: 1
    resources:
        mem_mb=scaled_memory(4000),
        runtime=240,
        gpu=GPUS,
    params:
        frames=repeat_option("--frames", "frames"),
        mel=repeat_option("--mel", "mel"),
        settings=config_json("judges/{judge}"),
        seed=config["seed"],
        folder=results_path("models/judges/{judge}"),
        device=config["device"],
        code=stage_version("train_judge"),
    shell:
        "cafa judges train {wildcards.judge} {params.frames:q} {params.mel:q} --manifest {input.manifest:q}"
        " --settings {params.settings:q} --seed {params.seed} --threads {threads} --device {params.device}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


# A judge without weights is not trained: it is put on record, so that everything after it knows its version.
rule register_judge:
    output:
        "<results>/models/judges/{judge}/card.json",
    log:
        "<logs>/register_judge/{judge}.log",
    benchmark:
        "<benchmarks>/register_judge/{judge}.tsv"
    wildcard_constraints:
        judge="|".join(MEASUREMENTS) or "(?!)",
    priority: PRIORITY["judges"]
    localrule: True
    threads: 1
    resources:
        mem_mb=scaled_memory(2000),
        runtime=10,
    params:
        folder=results_path("models/judges/{judge}"),
        code=stage_version("register_judge"),
    shell:
        "cafa judges register {wildcards.judge} --output {params.folder:q} 2>&1 | tee {log:q}"


rule check_judges:
    input:
        judges=judge_cards,
        manifest=f"<results>/manifests/{JUDGES_CHECK_ON}.parquet",
        event_times=f"<results>/world/{JUDGES_CHECK_ON}.event_times.parquet",
        frames=all_shards("features/{dataset}/frames/{shard}.arrow", JUDGES_CHECK_ON),
        mel=all_shards("features/{dataset}/mel/{shard}.arrow", JUDGES_CHECK_ON),
    output:
        "<results>/judges.json",
    log:
        "<logs>/check_judges.log",
    benchmark:
        "<benchmarks>/check_judges.tsv"
    priority: PRIORITY["checks"]
    threads: 1
    resources:
        mem_mb=scaled_memory(4000),
        runtime=60,
        gpu=GPUS,
    params:
        judges=results_path("models/judges"),
        frames=repeat_option("--frames", "frames"),
        mel=repeat_option("--mel", "mel"),
        settings=as_json(of_used_judges(config["judges_gate"])),
        seed=config["seed"],
        device=config["device"],
        code=stage_version("check_judges"),
    shell:
        "cafa judges check --judges {params.judges:q} {params.frames:q} {params.mel:q} --manifest {input.manifest:q}"
        " --event-times {input.event_times:q} --settings {params.settings:q} --seed {params.seed} --threads {threads}"
        " --device {params.device} --output {output:q} 2>&1 | tee {log:q}"
