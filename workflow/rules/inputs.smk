"""What the stages up to the samples ask for: input and param functions named after what they give. No rules here."""

#: kind of system -> settings that name its model folders (a folder is called as the setting unless it says otherwise)
MODELS_OF_KIND = {"adapter": ("backbone", "adapter"), "backbone": ("backbone",), "joint": ("joint",)}
SEES_VIDEO = ("adapter", "joint")
GENERATES = ("adapter", "backbone", "joint")


def of_backbone(kind, backbone):
    """Folder of what a backbone's own encoders make of sound and captions: `latents`, `text`; `text_NAME` of another."""
    return kind if backbone == "backbone" else f"{kind}_{backbone}"


# --- clips


def world_arguments(wildcards):
    """Size and splits of a rendered data set, as options."""
    entry = DATASETS[wildcards.dataset]
    splits = [word for name, part in entry["splits"].items() for word in ("--split", f"{name}={part}")]
    return ["--clips-per-category", str(entry["clips_per_category"]), *splits]


def manifest_source(wildcards):
    """Table that lists the clips: planned by us, or the one of the folder."""
    entry = DATASETS[wildcards.dataset]
    return entry["csv"] if entry["kind"] == "folder" else f"{RESULTS}/world/{wildcards.dataset}.csv"


def clips_root(wildcards):
    """Folder that the clips' paths are relative to."""
    entry = DATASETS[wildcards.dataset]
    return entry["root"] if entry["kind"] == "folder" else f"{RESULTS}/world/{wildcards.dataset}"


def caption_words(*_):
    """Most words of a caption that the miniature's text encoder takes, as options; pretrained encoders cut."""
    return [] if PRETRAINED else ["--caption-words", config["features"]["text"]["words"]]


def manifest_arguments(wildcards):
    """How the columns of a folder's table are called, and what to write where there is none, as options."""
    entry = DATASETS[wildcards.dataset]
    columns = [word for theirs, ours in entry.get("columns", {}).items() for word in ("--column", f"{theirs}={ours}")]
    return [
        *columns,
        *(word for name, value in entry.get("defaults", {}).items() for word in ("--default", f"{name}={value}")),
        *(["--follow-links"] if entry.get("follow_links") else []),
        *caption_words(),
        *(word for name in ("encoding", "separator") if name in entry for word in (f"--{name}", entry[name])),
    ]


def raw_clips(wildcards):
    """What must be there before clips are normalised: rendered files, or the table of those that were fetched."""
    kind = DATASETS[wildcards.dataset]["kind"]
    if kind == "world":
        return f"{RESULTS}/world/{wildcards.dataset}.{wildcards.shard}.ledger.parquet"
    return fetched_table(wildcards) if kind == "published" else []


def fetched_table(wildcards):
    """Where every raw file of a shard is."""
    return f"{RESULTS}/fetched/{wildcards.dataset}/{wildcards.shard}.parquet"


def raw_place(wildcards):
    """Where the raw files are, as options."""
    if DATASETS[wildcards.dataset]["kind"] == "published":
        table = fetched_table(wildcards)
        return ["--fetched", table, "--fetch-ledger", table.replace(".parquet", ".ledger.parquet")]
    links = ["--follow-links"] if DATASETS[wildcards.dataset].get("follow_links") else []
    return ["--root", clips_root(wildcards), *links]


def published_builder(wildcards):
    """Kind of the lists of a published data set."""
    return DATASETS[wildcards.dataset]["list"]


def published_settings(wildcards):
    """Settings of the builder as JSON."""
    build = copy.deepcopy(DATASETS[wildcards.dataset]["build"])
    for part in lists_of(build):
        part["path"] = list_file(part)
    return json.dumps(build, sort_keys=True)


def fetch_settings(wildcards):
    """Where clips come from, as JSON."""
    return json.dumps(DATASETS[wildcards.dataset]["fetch"], sort_keys=True)


def fetch_again(wildcards):
    """Request to ask for some clips again, where there is one (`cafa ledger retry`)."""
    request = f"{RESULTS}/fetched/{wildcards.dataset}/{wildcards.shard}.ledger.retry.json"
    return request if os.path.exists(request) else []


def clip_ledgers(wildcards):
    """Ledgers of everything that happened to clips before prompts are written."""
    return ledgers_of(wildcards.dataset)


def ledgers_of(dataset):
    """Ledgers of ingest and of the features of a data set."""
    features = "features/{dataset}/encoded" if PRETRAINED else "features/{dataset}/media"
    fetched = ["fetched/{dataset}"] if DATASETS[dataset]["kind"] == "published" else []
    folders = [*fetched, "clips/{dataset}", *([features] if not PRETRAINED or features_of(dataset) else [])]
    return [
        f"{RESULTS}/{folder.format(dataset=dataset)}/{shard}.ledger.parquet"
        for folder in folders
        for shard in range(DATASETS[dataset]["shards"])
    ]


def shard_argument(wildcards):
    """Shard of clips as `2/8`."""
    return f"{wildcards.shard}/{DATASETS[wildcards.dataset]['shards']}"


def text_shards_of_clips(wildcards):
    """How many shards the captions of the data set lie in."""
    return text_shard_count(wildcards.dataset)


def clip_shard_count(wildcards):
    """How many shards the clips of the data set lie in."""
    return DATASETS[wildcards.dataset]["shards"]


# --- prompts and samples


def prompts_if_any(wildcards):
    """Prompt set of a data set that is evaluated."""
    return f"{RESULTS}/prompts/{wildcards.dataset}.parquet" if "prompts" in DATASETS[wildcards.dataset] else []


def prompts_file(wildcards):
    """Lists of prompts written by others, where the data set names one."""
    prompts = DATASETS[wildcards.dataset]["prompts"]
    named = [prompts.get("file"), (prompts.get("tvc") or {}).get("file")]
    return [file for file in named if file]


def prompts_settings(wildcards):
    """Settings of the prompt set as JSON."""
    return json.dumps(DATASETS[wildcards.dataset]["prompts"], sort_keys=True)


def judge_settings(wildcards):
    """Settings of one judge's training as JSON."""
    return json.dumps(config["judges"][wildcards.judge], sort_keys=True)


def system_settings(wildcards):
    """Settings of one system as JSON."""
    return json.dumps(SYSTEMS[wildcards.system], sort_keys=True)


def sample_seconds(wildcards):
    """Window of sounds that are rendered; of those that are read at full size only what is judged must be there."""
    if PRETRAINED and SYSTEMS[wildcards.system]["kind"] in ("reference", "shuffled_reference", "samples"):
        return config["embed"]["pretrained"].get("seconds", 8.0)
    return config["window"]["seconds"]


def sample_gpus(wildcards):
    """GPUs of a job of samples: none where files are copied or rendered."""
    return GPUS if SYSTEMS[wildcards.system]["kind"] in GENERATES else 0


def sample_device(wildcards):
    """Device of a job of samples."""
    return config["device"] if sample_gpus(wildcards) else "cpu"


def samples_version(wildcards):
    """Version of the stage that makes a system's samples."""
    return stage_version(stage_of_samples(SYSTEMS[wildcards.system]["kind"]))


def sample_shard_argument(wildcards):
    """Shard of batches as `2/8`."""
    return f"{wildcards.shard}/{len(SAMPLE_SHARDS)}"


def models_of_system(name):
    """Cards of the models that a system's samples are made with."""
    entry = SYSTEMS[name]
    models = [entry.get(setting, setting) for setting in MODELS_OF_KIND.get(entry["kind"], ())]
    # At full size the backbone brings its own autoencoder.
    if models and not PRETRAINED:
        models.append("autoencoder")
    return [f"{RESULTS}/models/{model}/card.json" for model in models]


def video_kinds(system):
    """Kinds of video features that a system sees."""
    entry = SYSTEMS[system]
    if entry["kind"] == "adapter":
        return ADAPTERS.get(entry.get("adapter", "adapter"), {}).get("video", VIDEO_KINDS)
    return VIDEO_KINDS if entry["kind"] == "joint" else []


def text_files(dataset, backbone="backbone"):
    """Feature files of a data set's captions, of the encoder of a backbone."""
    folder = f"{RESULTS}/features/{dataset}/{of_backbone('text', backbone)}"
    return [f"{folder}/{shard}.arrow" for shard in range(text_shard_count(dataset))]


def system_text(wildcards):
    """Folder of the states of captions that a system reads."""
    return of_backbone("text", backbone_of(SYSTEMS[wildcards.system]))


def sample_inputs(wildcards):
    """Files that the samples of a system are made from: what its kind needs, and no more."""
    kind = SYSTEMS[wildcards.system]["kind"]
    files = {
        "prompts": below("prompts/{dataset}.parquet")(wildcards),
        "models": models_of_system(wildcards.system),
    }
    if kind in GENERATES:
        files["text"] = text_files(wildcards.dataset, backbone_of(SYSTEMS[wildcards.system]))
    if kinds := video_kinds(wildcards.system):
        files["video"] = [file for seen in kinds for file in feature_files(wildcards.dataset, seen)]
    if kind in ("reference", "shuffled_reference"):
        files["clips"] = shards("clips/{dataset}/{shard}.ledger.parquet", wildcards.dataset)(wildcards)
    if kind in ("oracle", "shuffled"):
        files["truth"] = below("world/{dataset}.truth.parquet")(wildcards)
    return files


# --- models


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


def judge_cards(wildcards):
    """Cards of all judges."""
    return [f"{RESULTS}/models/judges/{judge}/card.json" for judge in config["judges"]]


def text_shard_argument(wildcards):
    """Shard of captions as `2/8`."""
    return f"{wildcards.shard}/{text_shard_count(wildcards.dataset)}"


# --- training of adapters


def adapter_inputs(wildcards):
    """Files that an adapter is trained from: its backbone, its data set's features, and the adapter it starts from."""
    entry = ADAPTERS[wildcards.adapter]
    dataset, backbone = entry["train_on"], backbone_of(entry)
    files = {
        "manifest": f"{RESULTS}/manifests/{dataset}.parquet",
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


def adapter_processes(wildcards):
    """Processes that train an adapter, one per GPU."""
    return ADAPTERS[wildcards.adapter].get("processes", 1)


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


def feature_files(dataset, kind):
    """Feature files of a data set's clips."""
    return [f"{RESULTS}/features/{dataset}/{kind}/{shard}.arrow" for shard in range(DATASETS[dataset]["shards"])]


def text_shard_count(dataset):
    """Shards that the captions of a data set lie in."""
    return DATASETS[dataset].get("text_shards", 1)
