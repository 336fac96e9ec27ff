"""What is encoded of each data set with the pretrained encoders, and with which. No rules here."""

#: folder of features -> their kind, and the pretrained model whose encoder makes them
ENCODERS = {"av_clip": ("av_clip", "av_clip"), "clip": ("clip", "clip")}
ENCODERS |= {of_backbone(kind, name): (kind, name) for kind in ("latents", "text") for name in BACKBONES}


def systems_of(dataset):
    """Systems that are asked on a data set: those of its tables, and of the page of examples."""
    tables = [entry for table, entry in config["tables"].items() if dataset_of(table) == dataset]
    examples = config["examples"]["systems"] if dataset == config["evaluate"] else []
    return {name for systems in [*(entry["systems"] for entry in tables), examples] for name in systems}


def features_of(dataset):
    """Folders of features that are made of a data set's clips, by one job for each shard: for adapters, and for systems."""
    adapters = [entry for entry in ADAPTERS.values() if entry["train_on"] == dataset]
    wanted = {of_backbone("latents", backbone_of(entry)) for entry in adapters}
    wanted |= {kind for entry in adapters for kind in entry.get("video", VIDEO_KINDS)}
    wanted |= {kind for name in systems_of(dataset) for kind in video_kinds(name)}
    return [folder for folder in ENCODERS if folder in wanted]


def encoded_datasets():
    """Data sets of whose clips something is encoded."""
    return [name for name in DATASETS if features_of(name)]


def encoded_kinds(wildcards):
    """Kinds of a data set's features, in the order of their folders."""
    return [ENCODERS[folder][0] for folder in features_of(wildcards.dataset)]


def encoding_versions(wildcards):
    """Versions of the stages that make a data set's features."""
    return [stage_version(f"encode_{kind}") for kind in encoded_kinds(wildcards)]


def encoder_folders(wildcards):
    """Folders of the pretrained models that a data set's features are encoded with, as options."""
    names = [ENCODERS[folder][1] for folder in features_of(wildcards.dataset)]
    return [word for name in names for word in ("--model", f"{RESULTS}/models/{name}")]


def encoder_cards(wildcards):
    """Cards of those models."""
    return [f"{RESULTS}/models/{ENCODERS[folder][1]}/card.json" for folder in features_of(wildcards.dataset)]


def encoding_megabytes(wildcards):
    """Memory: 16 GB with one network and the clips that are decoded ahead, and 4 GB for each network more."""
    return 12000 + 4000 * len(features_of(wildcards.dataset))


def reused_folders(wildcards):
    """Data sets and folders of features whose rows are copied where they are of the same clips and encoder."""
    mine = features_of(wildcards.dataset)
    return [(name, kind) for name in reused_by(wildcards.dataset) for kind in features_of(name) if kind in mine]


def reused_feature_files(wildcards):
    """Files in those folders."""
    return [ancient(file) for name, kind in reused_folders(wildcards) for file in feature_files(name, kind)]


def reused_features(wildcards):
    """Those folders, as options."""
    return [
        word for name, kind in reused_folders(wildcards) for word in ("--reuse", f"{RESULTS}/features/{name}/{kind}")
    ]


def text_folders():
    """Wildcard constraint: the folders of states of captions."""
    return "|".join(name for name, (kind, _) in ENCODERS.items() if kind == "text")


def text_encoder_folder(wildcards):
    """Folder of the backbone that captions are encoded with."""
    return f"{RESULTS}/models/{ENCODERS[wildcards.features][1]}"


def text_encoder_card(wildcards):
    """Its card."""
    return f"{text_encoder_folder(wildcards)}/card.json"
