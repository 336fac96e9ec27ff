"""Files, shards and kinds that rules of several stages ask for: input functions named after what they give. No rules here."""

from metrics.judges.kinds import JUDGES as JUDGE_KINDS
from metrics.judges.kinds import TEXT_FILE


def of_backbone(kind, backbone):
    """Folder of what a backbone's own encoders make of sound and captions: `latents`, `text`; `text_NAME` of another.

    Backbones that are trained here have one autoencoder and one text encoder.
    """
    return kind if backbone == "backbone" or not PRETRAINED else f"{kind}_{backbone}"


def caption_words(*_):
    """Most words of a caption that the miniature's text encoder takes, as options; pretrained encoders cut."""
    return [] if PRETRAINED else ["--caption-words", config["features"]["text"]["words"]]


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


def prompts_if_any(wildcards):
    """Prompt set of a data set that is evaluated."""
    return f"{RESULTS}/prompts/{wildcards.dataset}.parquet" if "prompts" in DATASETS[wildcards.dataset] else []


def video_kinds(system):
    """Kinds of video features that a system reads."""
    return system_of(system).video_kinds(ADAPTERS, VIDEO_KINDS)


def text_files(dataset, backbone="backbone"):
    """Feature files of a data set's captions, of the encoder of a backbone."""
    folder = f"{RESULTS}/features/{dataset}/{of_backbone('text', backbone)}"
    return [f"{folder}/{shard}.arrow" for shard in range(text_shard_count(dataset))]


def judge_cards(wildcards):
    """Cards of all judges."""
    return [f"{RESULTS}/models/judges/{judge}/card.json" for judge in JUDGES]


#: judges without weights, which measure the sound itself
MEASUREMENTS = [judge for judge in JUDGES if not JUDGE_KINDS[judge].weights]
#: judges whose embeddings of the clips' own sounds are kept. The miniature's clips are log-mels when they are judged, of
#: which a measurement of the sound itself can be none; the row `reference` of a table is made from sounds in either world.
REFERENCE_JUDGES = [judge for judge in JUDGES if PRETRAINED or judge not in MEASUREMENTS]
#: files of captions' embeddings, of the judges that read captions
TEXT_FILES = [JUDGE_KINDS[judge].text_file for judge in JUDGES if JUDGE_KINDS[judge].text_file]
#: files of what pretrained judges keep of clips' pictures for the sounds of every system
VIDEO_FILES = [JUDGE_KINDS[judge].video_file for judge in JUDGES if PRETRAINED and JUDGE_KINDS[judge].video_file]


def text_embeddings(dataset):
    """Embeddings of a data set's captions: every judge that reads captions."""
    return [f"{RESULTS}/embeddings/{dataset}/{file}" for file in TEXT_FILES]


def text_of_dataset(wildcards):
    """The same, of the wildcard's data set."""
    return text_embeddings(wildcards.dataset)


def of_used_judges(thresholds):
    """Of thresholds by judge, those of the judges of this run."""
    return {judge: measures for judge, measures in thresholds.items() if judge in JUDGES}


def text_shard_argument(wildcards):
    """Shard of captions as `2/8`."""
    return f"{wildcards.shard}/{text_shard_count(wildcards.dataset)}"


def adapter_processes(wildcards):
    """Processes that train an adapter, one per GPU."""
    return ADAPTERS[wildcards.adapter].get("processes", 1)


def feature_files(dataset, kind):
    """Feature files of a data set's clips."""
    return [f"{RESULTS}/features/{dataset}/{kind}/{shard}.arrow" for shard in range(DATASETS[dataset]["shards"])]


def kept_manifest(dataset):
    """Manifest of the clips that a data set's filter by correspondence keeps."""
    return f"{RESULTS}/correspondence/{dataset}_kept.parquet"


def text_shard_count(dataset):
    """Shards that the captions of a data set lie in."""
    return DATASETS[dataset].get("text_shards", 1)


def lists_of(build):
    """Every list that the settings of a builder name."""
    parts = [*build.get("lists", []), *build.get("labels", []), build.get("subset"), build.get("classes")]
    return [part for part in parts if part]


def list_name(part):
    """Name of a list's file, from its path or address."""
    return os.path.basename(os.path.normpath(part.get("path") or part["url"]))


def list_file(part):
    """Where a list is read from: the folder of lists, its own path where a file lies there, or where it is fetched to."""
    if config["lists"]["folder"]:
        return os.path.join(config["lists"]["folder"], list_name(part))
    if part.get("path") and ("url" not in part or os.path.exists(part["path"])):
        return part["path"]
    return f"{RESULTS}/lists/{list_name(part)}"


def fetched_lists():
    """Lists that are fetched: name -> what the configuration says of it. One name must not have two addresses."""
    found = {}
    parts = [part for entry in DATASETS.values() if entry["kind"] == "published" for part in lists_of(entry["build"])]
    parts += [annotations_of(table) for table in tables_by_vggsounder()]
    for part in parts:
        if "url" in part and list_file(part) == f"{RESULTS}/lists/{list_name(part)}":
            first = found.setdefault(list_name(part), part)
            if first["url"] != part["url"] or first.get("sha256") != part.get("sha256"):
                raise WorkflowError(
                    f"two lists are called {list_name(part)}: {first['url']} and {part['url']}; give one another `path`"
                )
    return found


#: folder of features -> their kind, and the pretrained model whose encoder makes them; kinds of video features are made by
#: the model of their own name
ENCODERS = {
    kind: (kind, kind)
    for kind in dict.fromkeys([*VIDEO_KINDS, *(kind for entry in ADAPTERS.values() for kind in entry.get("video", []))])
}
ENCODERS |= {of_backbone(kind, name): (kind, name) for kind in ("latents", "text") for name in BACKBONES}


@cache
def systems_of(dataset):
    """Systems that are asked on a data set: those of its tables, and of the page of examples."""
    shown = {name for key in SHOWN if config[key] and dataset_shown(key) == dataset for name in shown_systems(key)}
    return systems_of_tables(dataset) | shown


def systems_of_tables(dataset):
    """Systems of which the tables of a data set need the sounds."""
    return {name for table in tables_here() if dataset_of(table) == dataset for name in sounding_of(table)}


def wordings_of(dataset, backbone):
    """What systems of a backbone are told of rows in place of their captions, as options: texts to encode as well."""
    systems = [
        name for name in systems_of(dataset) if system_of(name).generates and backbone_of(SYSTEMS[name]) == backbone
    ]
    texts = sorted({text for name in systems for text in system_of(name).wordings})
    return [f"--wording={text}" for text in texts]  # one word each: a text may be empty


def features_of(dataset):
    """Folders of features that are made of a data set's clips, by one job for each shard: for adapters, and for systems."""
    adapters = [entry for entry in ADAPTERS.values() if entry["train_on"] == dataset]
    wanted = {of_backbone("latents", backbone_of(entry)) for entry in adapters}
    wanted |= {kind for entry in adapters for kind in entry.get("video", VIDEO_KINDS)}
    wanted |= {kind for name in systems_of(dataset) for kind in video_kinds(name)}
    return [folder for folder in ENCODERS if folder in wanted]


def embeddings_of(dataset, system, cut=""):
    """Embeddings of a system's samples: every shard, every judge."""
    return expand(
        "{results}/embeddings/{dataset}{cut}/{system}/{shard}/{judge}.parquet",
        results=RESULTS,
        dataset=dataset,
        cut=cut,
        system=system,
        shard=SAMPLE_SHARDS,
        judge=JUDGES,
    )


def reference_shards(dataset, cut=""):
    """Folders of the embeddings of the clips themselves; at full size one for every shard of clips."""
    folder = f"{RESULTS}/embeddings/{dataset}{cut}/reference_set"
    return [f"{folder}/{shard}" for shard in range(DATASETS[dataset]["shards"])] if PRETRAINED else [folder]


def reference_files(dataset, cut=""):
    """Embeddings of the clips themselves: every judge."""
    files = [*(f"{judge}.parquet" for judge in REFERENCE_JUDGES), *VIDEO_FILES]
    return [f"{folder}/{file}" for folder in reference_shards(dataset, cut) for file in files]


def reference_embeddings(wildcards):
    """Embeddings of the clips themselves, of the wildcard's data set."""
    return reference_files(wildcards.dataset, wildcards.cut)


def reference_folders(wildcards):
    """Folders of the embeddings of the clips themselves, as options."""
    folders = reference_shards(wildcards.dataset, wildcards.cut)
    return [word for folder in folders for word in ("--reference-embeddings", folder)]


def samples_of(dataset, systems):
    """Indices of the samples of some systems."""
    return [f"{RESULTS}/samples/{dataset}/{name}/{shard}.parquet" for name in systems for shard in SAMPLE_SHARDS]


def judged_of(dataset, systems, cut=""):
    """Indices of samples as the judges saw them: at full size a sample can still be lost when it is judged."""
    if not PRETRAINED:
        return samples_of(dataset, systems)
    folder = f"{RESULTS}/embeddings/{dataset}{cut}"
    return [f"{folder}/{name}/{shard}/index.parquet" for name in systems for shard in SAMPLE_SHARDS]
