"""What each stage asks for: input and param functions named after what they give. No rules here."""

#: kind of system -> the models that its samples are made with
MODELS_OF_KIND = {
    "adapter": ("autoencoder", "backbone", "adapter"),
    "backbone": ("autoencoder", "backbone"),
    "joint": ("autoencoder", "joint"),
    "reference": (),
    "oracle": (),
    "shuffled": (),
    "samples": (),
}
SEES_VIDEO = ("adapter", "joint")
GENERATES = ("adapter", "backbone", "joint")


#: kind of system -> modules that its samples depend on
CODE_OF_KIND = {
    "adapter": ("cafa.samples", "cafa.sources"),
    "backbone": ("cafa.samples", "cafa.sources"),
    "joint": ("cafa.samples", "cafa.sources"),
    "reference": ("cafa.samples",),
    "oracle": ("cafa.samples", "cafa.world.controls"),
    "shuffled": ("cafa.samples", "cafa.world.controls"),
    "samples": ("cafa.samples",),
}


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


def manifest_arguments(wildcards):
    """How the columns of a folder's table are called, and what to write where there is none, as options."""
    entry = DATASETS[wildcards.dataset]
    columns = [word for theirs, ours in entry.get("columns", {}).items() for word in ("--column", f"{theirs}={ours}")]
    return [
        *columns,
        *(word for name, value in entry.get("defaults", {}).items() for word in ("--default", f"{name}={value}")),
    ]


def rendered_ledger(wildcards):
    """Ledger of rendering, for clips that have to be rendered first."""
    if DATASETS[wildcards.dataset]["kind"] != "world":
        return []
    return f"{RESULTS}/world/{wildcards.dataset}.{wildcards.shard}.ledger.parquet"


def clip_ledgers(wildcards):
    """Ledgers of everything that happened to clips before prompts are written."""
    return [
        *shards("clips/{dataset}/{shard}.ledger.parquet")(wildcards),
        *shards("features/{dataset}/media/{shard}.ledger.parquet")(wildcards),
    ]


def shard_argument(wildcards):
    """Shard of clips as `2/8`."""
    return f"{wildcards.shard}/{DATASETS[wildcards.dataset]['shards']}"


def clip_shard_count(wildcards):
    """How many shards the clips of the data set lie in."""
    return DATASETS[wildcards.dataset]["shards"]


# --- prompts and samples


def prompts_if_any(wildcards):
    """Prompt set of a data set that is evaluated."""
    return f"{RESULTS}/prompts/{wildcards.dataset}.parquet" if "prompts" in DATASETS[wildcards.dataset] else []


def prompts_file(wildcards):
    """A prompt set written by hand, where the data set names one."""
    return DATASETS[wildcards.dataset]["prompts"].get("file", [])


def prompts_settings(wildcards):
    """Settings of the prompt set as JSON."""
    return json.dumps(DATASETS[wildcards.dataset]["prompts"], sort_keys=True)


def judge_settings(wildcards):
    """Settings of one judge's training as JSON."""
    return json.dumps(config["judges"][wildcards.judge], sort_keys=True)


def system_settings(wildcards):
    """Settings of one system as JSON."""
    return json.dumps(SYSTEMS[wildcards.system], sort_keys=True)


def samples_code(wildcards):
    """Digest of the code behind a system's samples."""
    return code_digest(*CODE_OF_KIND[SYSTEMS[wildcards.system]["kind"]])


def sample_shard_argument(wildcards):
    """Shard of batches as `2/8`."""
    return f"{wildcards.shard}/{len(SAMPLE_SHARDS)}"


def sample_inputs(wildcards):
    """Files that the samples of a system are made from: what its kind needs, and no more."""
    kind = SYSTEMS[wildcards.system]["kind"]
    files = {
        "prompts": below("prompts/{dataset}.parquet")(wildcards),
        "models": [f"{RESULTS}/models/{model}/model.safetensors" for model in MODELS_OF_KIND[kind]],
    }
    if kind in GENERATES:
        files["text"] = below("features/{dataset}/text.arrow")(wildcards)
    if kind in SEES_VIDEO:
        files["video"] = shards("features/{dataset}/av_clip/{shard}.arrow", wildcards.dataset)(wildcards)
    if kind == "reference":
        files["clips"] = shards("clips/{dataset}/{shard}.ledger.parquet", wildcards.dataset)(wildcards)
    if kind in ("oracle", "shuffled"):
        files["truth"] = below("world/{dataset}.truth.parquet")(wildcards)
    return files


# --- embeddings, scores, tables


def embeddings_of(dataset, system):
    """Embeddings of a system's samples: every shard, every judge."""
    return expand(
        "{results}/embeddings/{dataset}/{system}/{shard}/{judge}.parquet",
        results=RESULTS,
        dataset=dataset,
        system=system,
        shard=SAMPLE_SHARDS,
        judge=config["judges"],
    )


def system_samples(wildcards):
    """Indices of the samples of the wildcard's system."""
    return samples_of(wildcards.dataset, [wildcards.system])


def system_embeddings(wildcards):
    """Embeddings of the wildcard's system."""
    return embeddings_of(wildcards.dataset, wildcards.system)


def truth_embeddings(wildcards):
    """Embeddings of the clips' own sound."""
    return [f"{RESULTS}/embeddings/{wildcards.dataset}/truth/{judge}.parquet" for judge in config["judges"]]


def embedding_folders(wildcards):
    """Folders of a system's embeddings, as options."""
    folder = below("embeddings/{dataset}/{system}")(wildcards)
    return [word for shard in SAMPLE_SHARDS for word in ("--embeddings", f"{folder}/{shard}")]


def samples_of(dataset, systems):
    """Indices of the samples of some systems."""
    return [f"{RESULTS}/samples/{dataset}/{name}/{shard}.parquet" for name in systems for shard in SAMPLE_SHARDS]


def table_folder(kind):
    """Param: the folder of embeddings or samples that a table is made from."""

    def folder(wildcards):
        return f"{RESULTS}/{kind}/{dataset_of(wildcards.table)}"

    return folder


def table_scores(wildcards):
    """Scores of every system of a table."""
    dataset = dataset_of(wildcards.table)
    return [f"{RESULTS}/scores/{dataset}/{name}.parquet" for name in config["tables"][wildcards.table]["systems"]]


def table_embeddings(wildcards):
    """Embeddings that the metrics of sets are computed from."""
    dataset = dataset_of(wildcards.table)
    truth = [f"{RESULTS}/embeddings/{dataset}/truth/{judge}.parquet" for judge in config["judges"]]
    systems = config["tables"][wildcards.table]["systems"]
    return [*truth, *(file for name in systems for file in embeddings_of(dataset, name))]


def table_samples(wildcards):
    """Indices of all samples behind a table."""
    return samples_of(dataset_of(wildcards.table), config["tables"][wildcards.table]["systems"])


def table_prompts(wildcards):
    """Prompt set of a table's data set."""
    return f"{RESULTS}/prompts/{dataset_of(wildcards.table)}.parquet"


def table_ledgers(wildcards):
    """Everything that became of the clips of a table's data set."""
    dataset = dataset_of(wildcards.table)
    return [
        f"{RESULTS}/manifests/{dataset}.refused.parquet",
        *shards("clips/{dataset}/{shard}.ledger.parquet", dataset)(wildcards),
        *shards("features/{dataset}/media/{shard}.ledger.parquet", dataset)(wildcards),
        f"{RESULTS}/prompts/{dataset}.excluded.ledger.parquet",
    ]


def published_values(wildcards):
    """The paper's values for a table, where the configuration names them."""
    return config["tables"][wildcards.table].get("published") or []


def table_settings(wildcards):
    """Settings of a table as JSON; a configuration laid over another may have fewer rows, and the same descriptions."""
    entry = {
        key: value for key, value in config["tables"][wildcards.table].items() if key not in ("dataset", "published")
    }
    rows = {name: line for name, line in entry.get("descriptions", {}).items() if name in entry["systems"]}
    return json.dumps({**entry, "descriptions": rows, "bootstrap": config["bootstrap"]}, sort_keys=True)


def table_card_extra(wildcards):
    """What the protocol card says about the run beside what the files say themselves."""
    dataset = dataset_of(wildcards.table)
    systems = {name: SYSTEMS[name] for name in config["tables"][wildcards.table]["systems"]}
    extra = {"seed": config["seed"], "dataset": {dataset: DATASETS[dataset]}, "systems": systems}
    return json.dumps(extra, sort_keys=True)


def figure_table(wildcards):
    """Table that the figure draws."""
    return f"{TABLES}/{config['figure']['table']}.csv"


def figure_settings(wildcards):
    """Settings of the figure as JSON."""
    return json.dumps({key: value for key, value in config["figure"].items() if key != "table"}, sort_keys=True)


def example_samples(wildcards):
    """Indices of the samples that the page of examples plays."""
    return samples_of(config["evaluate"], config["examples"]["systems"])
