"""What judging, scoring, tables and the report ask for. No rules here."""


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
    return judged_of(wildcards.dataset, [wildcards.system])


def system_embeddings(wildcards):
    """Embeddings of the wildcard's system."""
    return embeddings_of(wildcards.dataset, wildcards.system)


def truth_shards(dataset):
    """Folders of the embeddings of the clips themselves; at full size one for every shard of clips."""
    folder = f"{RESULTS}/embeddings/{dataset}/truth"
    return [f"{folder}/{shard}" for shard in range(DATASETS[dataset]["shards"])] if PRETRAINED else [folder]


def truth_of(dataset):
    """Embeddings of the clips themselves: every judge."""
    files = [*(f"{judge}.parquet" for judge in config["judges"]), *(["video.arrow"] if PRETRAINED else [])]
    return [f"{folder}/{file}" for folder in truth_shards(dataset) for file in files]


def truth_embeddings(wildcards):
    """Embeddings of the clips themselves, of the wildcard's data set."""
    return truth_of(wildcards.dataset)


def truth_folders(wildcards):
    """Folders of the embeddings of the clips themselves, as options."""
    return [word for folder in truth_shards(wildcards.dataset) for word in ("--truth", folder)]


def canary_truth(wildcards):
    """The same for the data set that the canaries of the judges use."""
    return [word for folder in truth_shards(config["evaluate"]) for word in ("--truth", folder)]


def table_truth(wildcards):
    """The same for a table's data set."""
    return [word for folder in truth_shards(dataset_of(wildcards.table)) for word in ("--truth", folder)]


def embedding_folders(wildcards):
    """Folders of a system's embeddings, as options."""
    folder = below("embeddings/{dataset}/{system}")(wildcards)
    return [word for shard in SAMPLE_SHARDS for word in ("--embeddings", f"{folder}/{shard}")]


def samples_of(dataset, systems):
    """Indices of the samples of some systems."""
    return [f"{RESULTS}/samples/{dataset}/{name}/{shard}.parquet" for name in systems for shard in SAMPLE_SHARDS]


def judged_of(dataset, systems):
    """Indices of samples as the judges saw them: at full size a sample can still be lost when it is judged."""
    if not PRETRAINED:
        return samples_of(dataset, systems)
    folder = f"{RESULTS}/embeddings/{dataset}"
    return [f"{folder}/{name}/{shard}/index.parquet" for name in systems for shard in SAMPLE_SHARDS]


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
    systems = config["tables"][wildcards.table]["systems"]
    return [*truth_of(dataset), *(file for name in systems for file in embeddings_of(dataset, name))]


def table_samples(wildcards):
    """Indices of all samples behind a table."""
    return judged_of(dataset_of(wildcards.table), config["tables"][wildcards.table]["systems"])


def table_prompts(wildcards):
    """Prompt set of a table's data set."""
    return f"{RESULTS}/prompts/{dataset_of(wildcards.table)}.parquet"


def table_ledgers(wildcards):
    """Everything that became of the clips of a table's data set."""
    dataset = dataset_of(wildcards.table)
    return [
        f"{RESULTS}/manifests/{dataset}.refused.parquet",
        *ledgers_of(dataset),
        *(f"{folder}/ledger.parquet" for folder in truth_shards(dataset) if PRETRAINED),
        f"{RESULTS}/prompts/{dataset}.excluded.ledger.parquet",
    ]


def published_values(wildcards):
    """The paper's values for a table, where the configuration names them."""
    return config["tables"][wildcards.table].get("published") or []


def table_settings(wildcards):
    """Settings of a table as JSON; a configuration laid over another may have fewer rows, and the same labels of rows."""
    entry = {
        key: value for key, value in config["tables"][wildcards.table].items() if key not in ("dataset", "published")
    }
    labels = {
        "descriptions": {
            name: line for name, line in entry.get("descriptions", {}).items() if name in entry["systems"]
        },
        "controls": [name for name in entry.get("controls", []) if name in entry["systems"]],
    }
    return json.dumps({**entry, **labels, "bootstrap": config["bootstrap"]}, sort_keys=True)


def table_card_extra(wildcards):
    """What the protocol card says about the run beside what the files say themselves."""
    dataset = dataset_of(wildcards.table)
    systems = {name: SYSTEMS[name] for name in config["tables"][wildcards.table]["systems"]}
    # How the work is cut, and where files came from, changes no number: the card of any cut is the same.
    entry = {key: value for key, value in DATASETS[dataset].items() if key not in ("shards", "text_shards", "fetch")}
    extra = {"seed": config["seed"], "dataset": {dataset: entry}, "systems": systems}
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


def trained_cards(wildcards):
    """Cards of the adapters that the table of training costs has a row for."""
    return [f"{RESULTS}/models/{name}/card.json" for name in config["costs"]["adapters"]]


def published_costs(wildcards):
    """The paper's training costs, where the configuration names them."""
    return config["costs"].get("published") or []
