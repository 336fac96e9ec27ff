# Prompts, then the sound of every system: data set x system x shard of batches. No evaluation.


def clip_ledgers(wildcards):
    """Ledgers of everything that happened to clips before prompts are written."""
    return ledgers_of(wildcards.dataset)


def prompts_file(wildcards):
    """Lists of prompts written by others, where the data set names one."""
    prompts = DATASETS[wildcards.dataset]["prompts"]
    named = [prompts.get("file"), (prompts.get("tvc") or {}).get("file")]
    return [file for file in named if file]


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
    benchmark:
        "<benchmarks>/write_prompts/{dataset}.tsv"
    priority: PRIORITY["later"]
    localrule: True
    threads: 1
    resources:
        mem_mb=scaled_memory(1000),
        runtime=10,
    params:
        ledgers=repeat_option("--ledger", "ledgers"),
        settings=config_json("datasets/{dataset}/prompts"),
        words=caption_words,
        seed=config["seed"],
        code=stage_version("prompts"),
    shell:
        "cafa prompts --manifest {input.manifest:q} {params.ledgers:q} --settings {params.settings:q}"
        " {params.words} --seed {params.seed} --output {output.prompts:q} --excluded {output.excluded:q} 2>&1 | tee {log:q}"


def text_shards_of_clips(wildcards):
    """How many shards the captions of the data set lie in."""
    return text_shard_count(wildcards.dataset)


def clip_shard_count(wildcards):
    """How many shards the clips of the data set lie in."""
    return DATASETS[wildcards.dataset]["shards"]


def sample_seconds(wildcards):
    """Window of sounds that are rendered; of those that are read at full size only what is judged must be there."""
    return system_of(wildcards.system).window(config["window"]["seconds"], judged_seconds())


def system_settings(wildcards):
    """Settings of a system as JSON."""
    return json.dumps(SYSTEMS[wildcards.system], sort_keys=True)


def sample_gpus(wildcards):
    """GPUs of a job of samples: none where files are copied or rendered."""
    return GPUS if system_of(wildcards.system).generates else 0


def sample_device(wildcards):
    """Device of a job of samples."""
    return config["device"] if sample_gpus(wildcards) else "cpu"


def samples_version(wildcards):
    """Version of the stage that makes a system's samples."""
    return stage_version(system_of(wildcards.system).stage)


def sample_shard_argument(wildcards):
    """Shard of batches as `2/8`."""
    return f"{wildcards.shard}/{len(SAMPLE_SHARDS)}"


def models_of_system(name):
    """Cards of the models that a system's samples are made with."""
    models = list(system_of(name).model_folders())
    # At full size the backbone brings its own autoencoder.
    if models and not PRETRAINED:
        models.append("autoencoder")
    return [f"{RESULTS}/models/{model}/card.json" for model in models]


def system_text(wildcards):
    """Folder of the states of captions that a system reads."""
    return of_backbone("text", backbone_of(SYSTEMS[wildcards.system]))


def sample_inputs(wildcards):
    """Files that the samples of a system are made from: what its kind needs, and no more."""
    system = system_of(wildcards.system)
    files = {
        "prompts": results_path("prompts/{dataset}.parquet")(wildcards),
        "models": models_of_system(wildcards.system),
    }
    if system.generates:
        files["text"] = text_files(wildcards.dataset, backbone_of(SYSTEMS[wildcards.system]))
    if kinds := video_kinds(wildcards.system):
        files["video"] = [file for kind in kinds for file in feature_files(wildcards.dataset, kind)]
    if "clips" in system.needs:
        files["clips"] = all_shards("clips/{dataset}/{shard}.ledger.parquet", wildcards.dataset)(wildcards)
    if "event_times" in system.needs:
        files["event_times"] = results_path("world/{dataset}.event_times.parquet")(wildcards)
    return files


rule make_samples:
    input:
        unpack(sample_inputs),
    output:
        index="<results>/samples/{dataset}/{system}/{shard}.parquet",
    log:
        "<logs>/make_samples/{dataset}.{system}.{shard}.log",
    benchmark:
        "<benchmarks>/make_samples/{dataset}.{system}.{shard}.tsv"
    priority: PRIORITY["generation"]
    threads: 1
    resources:
        mem_mb=scaled_memory(24000 if PRETRAINED else 4000),
        runtime=480,
        gpu=sample_gpus,
    params:
        settings=system_settings,
        event_times=repeat_option("--event-times", "event_times"),
        features=results_path("features/{dataset}"),
        models=results_path("models"),
        clips=results_path("clips/{dataset}"),
        clip_shards=clip_shard_count,
        text=system_text,
        text_shards=text_shards_of_clips,
        shard=sample_shard_argument,
        batch_size=config["samples"]["batch_size"],
        seconds=sample_seconds,
        sample_rate=config["window"]["sample_rate"],
        folder=results_path("samples/{dataset}/{system}/{shard}"),
        seed=config["seed"],
        device=sample_device,
        code=samples_version,
    shell:
        "cafa samples make --system {wildcards.system} --settings {params.settings:q} --prompts {input.prompts:q}"
        " --features-folder {params.features:q} --models {params.models:q}"
        " --clips {params.clips:q} --clip-shards {params.clip_shards}"
        " --text {params.text} --text-shards {params.text_shards} {params.event_times:q}"
        " --seconds {params.seconds} --sample-rate {params.sample_rate} --seed {params.seed}"
        " --shard {params.shard} --batch-size {params.batch_size} --threads {threads} --device {params.device}"
        " --output-folder {params.folder:q} --index {output.index:q} 2>&1 | tee {log:q}"
