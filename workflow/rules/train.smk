# Adapters on a frozen backbone: one job for every entry of `adapters`, each of which may start from another (phases).
# Training goes on from <output>/.resume after an interruption, to the same bits.

import copy


def adapter_inputs(wildcards):
    """Files that an adapter is trained from: its backbone, its data set's features, and the adapter it starts from."""
    entry = ADAPTERS[wildcards.adapter]
    dataset, backbone = entry["train_on"], backbone_of(entry)
    files = {
        "manifest": kept_manifest(dataset) if entry.get("filtered") else f"{RESULTS}/manifests/{dataset}.parquet",
        "backbone": f"{RESULTS}/models/{backbone}/card.json",
        "latents": feature_files(dataset, of_backbone("latents", backbone)),
        "video": [file for kind in entry.get("video", VIDEO_KINDS) for file in feature_files(dataset, kind)],
        "text": text_files(dataset, backbone),
    }
    if "start_from" in entry:
        files["start"] = f"{RESULTS}/models/{entry['start_from']}/card.json"
    return files


def adapter_backbone(wildcards):
    """Model folder of an adapter's backbone."""
    return f"{RESULTS}/models/{backbone_of(ADAPTERS[wildcards.adapter])}"


def adapter_gpus(wildcards):
    """GPUs of the job that trains an adapter: none on a CPU, else one per process."""
    return GPUS * adapter_processes(wildcards)


def adapter_cpus(wildcards):
    """CPUs: beside each process that computes on a GPU, threads read ahead, draw noise and start its kernels."""
    return adapter_processes(wildcards) * (4 if PRETRAINED and GPUS else 1)


def adapter_megabytes(wildcards):
    """Memory: at full size 12 GB for each process while it starts, and 20 GB for the first one's end."""
    processes = adapter_processes(wildcards)
    return 20000 + 12000 * processes if PRETRAINED else 4000 * processes


def adapter_start(wildcards):
    """Model folder of the adapter that this one starts from, as an option."""
    start = ADAPTERS[wildcards.adapter].get("start_from")
    return ["--start-from", f"{RESULTS}/models/{start}"] if start else []


def adapter_settings(wildcards):
    """Settings of an adapter's training as JSON: those of all adapters, and its own."""
    settings = copy.deepcopy(config["training"]["adapter"])
    update_config(settings, ADAPTERS[wildcards.adapter].get("settings", {}))
    return json.dumps({**settings, "seconds": config["window"]["seconds"]}, sort_keys=True)


rule train_adapter:
    input:
        unpack(adapter_inputs),
    output:
        model="<results>/models/{adapter}/model.safetensors",
        card="<results>/models/{adapter}/card.json",
        loss="<results>/models/{adapter}/loss.parquet",
    log:
        "<logs>/train_adapter/{adapter}.log",
    benchmark:
        "<benchmarks>/train_adapter/{adapter}.tsv"
    wildcard_constraints:
        adapter="|".join(config["adapters"]),
    priority: PRIORITY["training"]
    threads: adapter_cpus
    resources:
        mem_mb=scaled_memory(adapter_megabytes),
        runtime=4320 if PRETRAINED else 480,
        gpu=adapter_gpus,
    params:
        backbone=adapter_backbone,
        latents=repeat_option("--latents", "latents"),
        video=repeat_option("--video", "video"),
        text=repeat_option("--text", "text"),
        start=adapter_start,
        processes=adapter_processes,
        settings=adapter_settings,
        seed=config["seed"],
        folder=results_path("models/{adapter}"),
        device=config["device"],
        code=stage_version("train_adapter"),
    shell:
        "cafa train adapter --backbone {params.backbone:q} {params.start:q} {params.latents:q} {params.video:q}"
        " {params.text:q} --manifest {input.manifest:q} --settings {params.settings:q} --seed {params.seed}"
        " --processes {params.processes} --threads 1 --device {params.device} --output {params.folder:q} 2>&1 | tee {log:q}"
