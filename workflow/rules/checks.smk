"""Refusals of a configuration, before any rule is looked at, and of a run, before its first job. No rules here."""

import pydantic
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from cafa.common.provenance import project_root
from cafa.common.settings_errors import settings_said
from cafa.generation.systems import system_kind
from metrics.judges.kinds import CLASSIFIER
from metrics.judges.kinds import JUDGES as JUDGE_KINDS
from metrics.tables.catalogue import METRICS
from cafa.preflight.configuration import read_configuration
from cafa.preflight.rows import as_lines, planned_rows


def check_names():
    """Refuse a configuration whose names point nowhere, before any rule is looked at."""
    if project_root() != REPOSITORY:
        raise WorkflowError(
            f"`cafa` is installed from {project_root()}, but these rules lie in {REPOSITORY}: run `pip install -e .` there"
        )
    check_files()
    for role in ("train_on", "judges_train_on", "judges_check_on", "evaluate"):
        if config[role] not in DATASETS:
            raise WorkflowError(f"config {role}: no data set {config[role]!r}, there are {sorted(DATASETS)}")
    check_reuse()
    check_systems()
    check_models()
    check_judges()
    check_models_named()
    for table, entry in config["tables"].items():
        check_table(table, entry)
    check_shown()


def check_models_named():
    """Refuse what names a backbone or an adapter that there is not, or two that do not fit."""
    for name, entry in [*ADAPTERS.items(), *SYSTEMS.items()]:
        if backbone_of(entry) not in BACKBONES:
            raise WorkflowError(f"{name}: no backbone {backbone_of(entry)!r}, there are {BACKBONES}")
    for name, entry in SYSTEMS.items():
        if "adapter" not in system_of(name).models:
            continue
        check_adapter(f"system {name}", "adapter", system_of(name).adapter)
        adapter = ADAPTERS.get(system_of(name).adapter)
        if adapter and backbone_of(adapter) != backbone_of(entry):
            raise WorkflowError(
                f"system {name}: its adapter is trained on the backbone {backbone_of(adapter)}, "
                f"its `backbone` is {backbone_of(entry)}"
            )
    for name, entry in ADAPTERS.items():
        if "start_from" in entry:
            check_adapter(f"adapter {name}", "start_from", entry["start_from"])
    for name in (config["costs"] or {}).get("adapters", []):
        check_adapter("config costs", "adapters", name)


def check_adapter(what, key, adapter):
    """Refuse an adapter that is neither trained here nor a pretrained model."""
    pretrained = PRETRAINED["models"] if PRETRAINED else ()
    known = [*ADAPTERS, *(name for name in pretrained if name not in BACKBONES)]
    if adapter not in known:
        raise WorkflowError(f"{what}: no adapter {adapter!r} for its `{key}`, there are {known}")


def check_files():
    """Refuse a file of the configuration that says a thing twice, and results below what is no folder."""
    if workflow.is_main_process:  # jobs get the configuration that was looked at
        try:
            read_configuration(workflow.configfiles)
        except InputError as error:
            raise WorkflowError(str(error)) from error
    place = next(part for part in [Path(RESULTS), *Path(RESULTS).parents] if os.path.lexists(part))
    if not place.is_dir():
        raise WorkflowError(f"config results: {place} is no folder, so {RESULTS} cannot be one: name another place")


def check_shown():
    """Refuse figures, examples or a study of tables and systems that there are not."""
    if "systems" not in config["examples"] and "table" not in config["examples"]:
        raise WorkflowError("config examples: name a `table`, whose systems are all shown, or `systems`")
    for key in ("figure", *SHOWN):
        entry = config[key] or {}
        if entry.get("table", next(iter(config["tables"]))) not in config["tables"]:
            raise WorkflowError(f"config {key}: no table {entry['table']!r}, there are {sorted(config['tables'])}")
    for key in [key for key in SHOWN if config[key]]:
        if strange := sorted(set(shown_systems(key)) - set(SYSTEMS)):
            raise WorkflowError(f"config {key}: no system {', '.join(strange)}, there are {sorted(SYSTEMS)}")
        if "prompts" not in DATASETS.get(dataset_shown(key), {}):
            raise WorkflowError(f"config {key}: data set {dataset_shown(key)!r} is not there, or has no `prompts`")
    check_columns("config conflict", (config["conflict"] or {}).get("metrics", []))
    for protocol in (config["conflict"] or {}).get("levels", {}).values():
        check_protocol("config conflict", dataset_shown("conflict"), protocol)
    check_figure()


def check_figure():
    """Refuse a figure of systems that there are not; leave it out, and say so, where its table has not all rows of it."""
    if not config["figure"]:
        return
    table, curves = config["figure"]["table"], config["figure"]["curves"]
    named = {system: label for label, points in curves.items() for system in points.values()}
    if strange := sorted(set(named) - set(SYSTEMS)):
        raise WorkflowError(
            f"config figure: curve {named[strange[0]]} names {', '.join(strange)}, no systems: there are {sorted(SYSTEMS)}"
        )
    if missing := sorted(set(named) - set(config["tables"][table]["systems"])):
        logger.warning(
            f"figure4.svg is left out: its curves name {', '.join(missing)}, which are no rows of {table}. To have it, name them "
            f"in `systems` of {table}, or give `figure` other curves; `figure: null` leaves it out without this line"
        )
        config["figure"] = None


def check_systems():
    """Refuse a system of no known kind, or with settings that its kind does not have."""
    for name, entry in config["systems"].items():
        if name == "reference_set":
            raise WorkflowError(f"no system can be called {name}: the embeddings of the clips' own sounds lie there")
        try:
            parts = parse_system(entry).parts(name)
        except pydantic.ValidationError as error:
            raise WorkflowError(f"system {name}: {settings_said(error, system_kind(entry['kind']))}") from error
        except InputError as error:
            raise WorkflowError(f"system {name}: {error}") from error
        if twice := sorted(set(parts) & (set(config["systems"]) - {name})):
            raise WorkflowError(
                f"system {name}: its takes are systems called {list(parts)}, and there is {twice} already"
            )
    for name in config["examples"].get("systems", []):
        if name in config["systems"] and name not in SYSTEMS:
            raise WorkflowError(f"examples: {name} is a mean of takes; name one of them: {parts_of_row(name)}")


def check_models():
    """Refuse a pretrained model, or a kind of video features, that no registry has, and two models of one name."""
    if PRETRAINED and config["backbones"]:
        raise WorkflowError(
            "config backbones: these are trained here; with `pretrained` add models to `pretrained.models`"
        )
    taken = {"backbone", "autoencoder", "av_clip", "clip", "joint", "judges"}
    for key, names in (("backbones", {*taken, *ADAPTERS}), ("adapters", taken)):
        if clash := sorted(names & set(config[key])):
            raise WorkflowError(f"config {key}: {', '.join(clash)} is the name of another model: choose another")
    for name, entry in PRETRAINED["models"].items() if PRETRAINED else ():
        try:
            require_model_kind(entry["kind"])
        except InputError as error:
            raise WorkflowError(f"pretrained model {name}: {error}") from error
    for name, entry in ADAPTERS.items():
        kinds = set(entry.get("video", VIDEO_KINDS))
        if not PRETRAINED and "clip" in kinds and "clip" not in config["training"]:
            raise WorkflowError(
                f"adapter {name} reads the video features clip, whose encoder is trained here: add `training.clip`, as "
                "config/paper_miniature.yaml does"
            )
        # Only kinds of plugins are looked up: that imports the encoders, seconds at each start of Snakemake.
        if (unsure := kinds - {*KINDS}) and (strange := unsure - set(known := kinds_of_video_features())):
            raise WorkflowError(f"adapter {name}: no video features {sorted(strange)}, there are {sorted(known)}")
        if entry.get("filtered") and (PRETRAINED or "correspondence" not in DATASETS.get(entry["train_on"], {})):
            raise WorkflowError(
                f"adapter {name} is `filtered`: its data set {entry['train_on']} needs `correspondence`, which only rendered "
                "data sets of models that are trained here have"
            )
        if PRETRAINED and (missing := sorted(kinds - set(PRETRAINED["models"]))):
            raise WorkflowError(
                f"adapter {name}: no pretrained model makes its video features {missing}: add a model of that name to "
                "`pretrained.models`"
            )


def check_judges():
    """Refuse a judge that no registry has, or that could not be made here, and thresholds of a judge that is not used."""
    for name in JUDGES:
        try:
            kind = JUDGE_KINDS[name]
        except InputError as error:
            raise WorkflowError(f"config judges: {error}") from error
        if not PRETRAINED and kind.miniature is None and kind.weights:
            raise WorkflowError(
                f"config judges: {name} has only its published form, and here judges are trained (`pretrained` is null): "
                "leave it out, or name pretrained models and judges, as config/paper.yaml does"
            )
    if CLASSIFIER not in JUDGES:
        raise WorkflowError(
            f"config judges: the {CLASSIFIER} must be one of them, because reference sounds are counted on its embeddings; "
            f"there are {sorted(JUDGES)}"
        )
    limits = PRETRAINED["canary"] if PRETRAINED else config["judges_gate"]
    if strange := sorted(set(limits) - set(config["judges"])):
        key = "pretrained.canary" if PRETRAINED else "judges_gate"
        raise WorkflowError(f"config {key}: {', '.join(strange)} is not among `judges`: {sorted(JUDGES)}")
    if fixed := sorted(set(config["judges_gate"]) & {name for name in JUDGES if not JUDGE_KINDS[name].weights}):
        raise WorkflowError(
            f"config judges_gate: {', '.join(fixed)} has no weights, and what is wanted of it is fixed: leave it out"
        )


def check_columns(what, metrics):
    """Refuse a column whose judge this run does not have."""
    for name in metrics:
        try:
            judge = METRICS[name].judge
        except InputError as error:
            raise WorkflowError(f"{what}: {error}") from error
        if judge not in JUDGES:
            raise WorkflowError(
                f"{what}: {name} needs the judge {judge}, which is not among `judges` ({', '.join(JUDGES)}): "
                f"add `{judge}: {{}}` there, or leave the column out"
            )


def check_table(table, entry):
    """Refuse a table whose data set, rows, comparisons or labels point nowhere: it is made last, after days of work."""
    if (dataset := dataset_of(table)) not in DATASETS:
        raise WorkflowError(f"table {table}: no data set {dataset!r}, there are {sorted(DATASETS)}")
    if "prompts" not in DATASETS[dataset]:
        raise WorkflowError(f"table {table}: data set {dataset} has no `prompts`")
    check_protocol(f"table {table}", dataset, entry["protocol"])
    check_columns(f"table {table}", entry["metrics"])
    check_rows(table, entry)
    check_once(table, entry)
    for pair in entry.get("compare", []):
        if strange := sorted(set(pair) - set(rows_of(table))):
            raise WorkflowError(
                f"table {table}: `compare` names {strange}, which are no rows of it; its rows are {rows_of(table)}"
            )
    for name in rows_of(table):
        if "event_times" in parse_system(config["systems"][name]).needs and DATASETS[dataset]["kind"] != "world":
            raise WorkflowError(
                f"table {table}: {name} needs the event times that only rendered clips have, "
                f"and {dataset} is of kind {DATASETS[dataset]['kind']}"
            )


def check_protocol(what, dataset, protocol):
    """Refuse prompts that nobody makes; which protocols a file of prompts holds is known when it is read."""
    prompts = {name: part for name, part in DATASETS[dataset]["prompts"].items() if part is not None}
    levels = prompts.pop("tvc", {"levels": []}).get("levels")
    if "file" in prompts or (levels is None and protocol.startswith("tvc_")):
        return
    made = [*prompts, *(f"tvc_{level}" for level in levels or [])]
    if protocol not in made:
        raise WorkflowError(
            f"{what}: no prompts of the protocol {protocol!r} are made for the data set {dataset}, there are {made}: name one "
            f"of them, or add it to `datasets.{dataset}.prompts`"
        )


def check_once(table, entry):
    """Refuse a row, column or block that is named twice, and a row that is compared with itself."""
    blocks = [block["name"] for block in entry.get("blocks") or []]
    for key, names in (("systems", rows_of(table)), ("metrics", entry["metrics"]), ("blocks", blocks)):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise WorkflowError(f"table {table}: `{key}` names {', '.join(twice)} twice: leave one out")
    if selves := [left for left, right in entry.get("compare", []) if left == right]:
        raise WorkflowError(f"table {table}: `compare` sets {selves[0]} beside itself: name two rows, or leave it out")


def check_rows(table, entry):
    """Refuse rows that there are no systems for, or whose sounds are shorter than what the table is of."""
    if bool(entry.get("blocks")) == bool(entry.get("systems")):
        raise WorkflowError(
            f"table {table}: give its rows as `systems`, or under headings as `blocks`, not both or neither"
        )
    clips = entry.get("clips") or {}
    named = [*rows_of(table), *entry.get("controls", []), *entry.get("descriptions", {})]
    for name in [*named, *([clips["of_system"]] if clips.get("of_system") else [])]:
        if name not in config["systems"]:
            raise WorkflowError(f"table {table}: no system {name!r}, there are {sorted(config['systems'])}")
    if clips.get("of_system") and len(parts_of_row(clips["of_system"])) > 1:
        raise WorkflowError(
            f"table {table}: `clips.of_system` is a mean of takes; name one: {parts_of_row(clips['of_system'])}"
        )
    if "vggsounder" in entry and clips:
        raise WorkflowError(f"table {table}: its clips are chosen by `clips` or by `vggsounder`, not by both")
    if "vggsounder" in entry and (form := entry["vggsounder"]["annotations"]["format"]) != "vggsounder":
        raise WorkflowError(f"table {table}: the list of `vggsounder` must have the form vggsounder, not {form}")
    if clips.get("file") and not os.path.exists(beside_rules(clips["file"])):
        raise WorkflowError(f"table {table}: no list of clips at {clips['file']}")
    if not PRETRAINED and seconds_of(table) != judged_seconds():
        raise WorkflowError(
            f"table {table}: `seconds` is for pretrained judges; those of the miniature hear {judged_seconds()} s"
        )
    for name in rows_of(table):
        least = parse_system(config["systems"][name]).window(config["window"]["seconds"], judged_seconds())
        if least < seconds_of(table):
            raise WorkflowError(
                f"table {table}: it is of {seconds_of(table):g} s, and the sounds of {name} need to have {least:g} s only: "
                "give the table, or another table of that row, `seconds` that it has, or the system `seconds`"
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


def check_folders():
    """Refuse to start jobs when a folder of clips, or of somebody's sounds, is not there: some are read after hours."""
    jobs = [(job.rule.name, job.wildcards) for job in workflow.dag.needrun_jobs()]
    for name in sorted({wildcards.dataset for rule, wildcards in jobs if rule == "build_manifest"}):
        root = DATASETS[name].get("root")
        if root and not os.path.isdir(root):
            raise WorkflowError(
                f"data set {name}: no folder at {root}, which its `root` names: mount it, or name the folder that the "
                f"paths of {DATASETS[name]['csv']} are relative to"
            )
    for name in sorted({wildcards.system for rule, wildcards in jobs if rule == "make_samples"}):
        if lacking := system_of(name).absent():
            raise WorkflowError(
                f"system {name}: {lacking}: put it there, or name another place; with `optional: true` tables leave the row out"
            )


def say_rows():
    """In a dry run: every row of every table, and which are left out; `cafa rows` looks for weights, too."""
    words = sys.argv[1:]
    dry = any(word in ("--dry-run", "--dryrun") or (word[:1] == "-" != word[1:2] and "n" in word) for word in words)
    if dry and not {"--quiet", "-q"} & set(words):
        logger.info("\n".join(as_lines(list(planned_rows(config, weights=False)))))


check_names()
say_rows()
