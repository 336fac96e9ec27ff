"""Refusals of a configuration, before any rule is looked at, and of a run, before its first job. No rules here."""

from snakemake.exceptions import WorkflowError

from cafa.common.provenance import project_root
from metrics.tables.catalogue import metric_named


def check_names():
    """Refuse a configuration whose names point nowhere, before any rule is looked at."""
    if project_root() != REPOSITORY:
        raise WorkflowError(
            f"`cafa` is installed from {project_root()}, but these rules lie in {REPOSITORY}: run `pip install -e .` there"
        )
    for role in ("train_on", "judges_train_on", "judges_check_on", "evaluate"):
        if config[role] not in DATASETS:
            raise WorkflowError(f"config {role}: no data set {config[role]!r}, there are {sorted(DATASETS)}")
    check_reuse()
    check_systems()
    check_models()
    for name, entry in [*ADAPTERS.items(), *SYSTEMS.items()]:
        if backbone_of(entry) not in BACKBONES:
            raise WorkflowError(f"{name}: no backbone {backbone_of(entry)!r}, there are {BACKBONES}")
    for name, entry in SYSTEMS.items():
        adapter = ADAPTERS.get(system_of(name).adapter) if "adapter" in system_of(name).models else None
        if adapter and backbone_of(adapter) != backbone_of(entry):
            raise WorkflowError(
                f"system {name}: its adapter is trained on the backbone {backbone_of(adapter)}, "
                f"its `backbone` is {backbone_of(entry)}"
            )
    for table, entry in config["tables"].items():
        check_table(table, entry)


def check_systems():
    """Refuse a system of no known kind, or with settings that its kind does not have."""
    for name, entry in SYSTEMS.items():
        if name == "reference_set":
            raise WorkflowError(f"no system can be called {name}: the embeddings of the clips' own sounds lie there")
        try:
            parse_system(entry)
        except (InputError, ValueError) as error:
            raise WorkflowError(f"system {name}: {error}") from error


def check_models():
    """Refuse a pretrained model, or a kind of video features, that no registry has."""
    for name, entry in PRETRAINED["models"].items() if PRETRAINED else ():
        try:
            model_kind(entry["kind"])
        except InputError as error:
            raise WorkflowError(f"pretrained model {name}: {error}") from error
    for name, entry in ADAPTERS.items():
        # Only what is no default is looked up: that imports the encoders, seconds at each start of Snakemake.
        unsure = set(entry.get("video", VIDEO_KINDS)) - set(VIDEO_KINDS)
        if unsure and (strange := unsure - set(known := kinds_of_video_features())):
            raise WorkflowError(f"adapter {name}: no video features {sorted(strange)}, there are {sorted(known)}")
        if PRETRAINED and (missing := sorted(set(entry.get("video", VIDEO_KINDS)) - set(PRETRAINED["models"]))):
            raise WorkflowError(
                f"adapter {name}: no pretrained model makes its video features {missing}: add a model of that name to "
                "`pretrained.models`"
            )


def check_table(table, entry):
    """Refuse a table whose data set, rows, comparisons or labels point nowhere: it is made last, after days of work."""
    if (dataset := dataset_of(table)) not in DATASETS:
        raise WorkflowError(f"table {table}: no data set {dataset!r}, there are {sorted(DATASETS)}")
    if "prompts" not in DATASETS[dataset]:
        raise WorkflowError(f"table {table}: data set {dataset} has no `prompts`")
    for name in entry["metrics"]:
        try:
            metric_named(name)
        except InputError as error:
            raise WorkflowError(f"table {table}: {error}") from error
    for name in [*entry["systems"], *entry.get("controls", []), *entry.get("descriptions", {})]:
        if name not in SYSTEMS:
            raise WorkflowError(f"table {table}: no system {name!r}, there are {sorted(SYSTEMS)}")
    for pair in entry.get("compare", []):
        if strange := sorted(set(pair) - set(entry["systems"])):
            raise WorkflowError(
                f"table {table}: `compare` names {strange}, which are no rows of it; its rows are {entry['systems']}"
            )
    for name in entry["systems"]:
        if "event_times" in system_of(name).needs and DATASETS[dataset]["kind"] != "world":
            raise WorkflowError(
                f"table {table}: {name} needs the event times that only rendered clips have, "
                f"and {dataset} is of kind {DATASETS[dataset]['kind']}"
            )


def check_reuse():
    """Refuse data sets that reuse what is not there, or each other."""
    for name in DATASETS:
        seen, waiting = set(), list(reused_by(name))
        while waiting:
            other = waiting.pop()
            if other not in DATASETS or DATASETS[other]["kind"] != "published":
                raise WorkflowError(f"data set {name}: `reuse` names {other!r}, which is no published data set")
            if other == name:
                raise WorkflowError(f"data set {name}: `reuse` leads back to itself")
            if other not in seen:
                seen.add(other)
                waiting += reused_by(other)


def check_sources():
    """Refuse to start jobs that look for clips in folders which are not there: said once, not by every job."""
    fetched = {job.wildcards.dataset for job in workflow.dag.needrun_jobs() if job.rule.name == "fetch_clips"}
    for name in sorted(fetched):
        for source in DATASETS[name]["fetch"]["sources"]:
            place = source.get("root")
            if place and not os.path.isdir(place):
                raise WorkflowError(
                    f"data set {name}: no folder at {place}, where `fetch.sources` (kind {source.get('kind', 'folder')}) "
                    "looks for clips: mount or name one that is there, or leave the source out"
                )


check_names()
