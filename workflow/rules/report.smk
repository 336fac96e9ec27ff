# What a person looks at and listens to: examples, spectrograms, curves over levels of conflict, the study's page.


def event_times_of(dataset):
    """Event times of a data set that is rendered: of other clips they are not known."""
    return f"{RESULTS}/world/{dataset}.event_times.parquet" if DATASETS[dataset]["kind"] == "world" else []


def example_settings(wildcards):
    """Settings of the page of examples: descriptions and controls are those of the table of its rows, its own ones first."""
    entry = {name: value for name, value in config["examples"].items() if name != "table"}
    systems, table = shown_systems("examples"), config["tables"].get(config["examples"].get("table"), {})
    first = {name: parts_of_row(name)[0] for name in config["systems"]}  # of a mean of takes, one is shown
    described = {first[name]: line for name, line in table.get("descriptions", {}).items() if name in first}
    described |= entry.get("descriptions", {})
    controls = entry.get("controls", [first[name] for name in table.get("controls", []) if name in first])
    labels = {
        "descriptions": {name: described[name] for name in systems if name in described},
        "controls": [name for name in controls if name in systems],
    }
    return json.dumps({**entry, **labels, "systems": systems}, sort_keys=True)


def example_cut():
    """Length that the scores on the page are of: that of its table, where its rows are shown."""
    table = config["examples"].get("table")
    return cut_of(table) if table and not config["examples"].get("systems") else ""


def example_scores(wildcards):
    """Scores of the systems on the page of examples; none where one is in no table, so that nothing is judged for this."""
    dataset, systems = dataset_shown("examples"), shown_systems("examples")
    if set(systems) - systems_of_tables(dataset):
        return []
    return [f"{RESULTS}/scores/{dataset}{example_cut()}/{name}.parquet" for name in systems]


def example_judged(wildcards):
    """Indices of the samples on the page as the pretrained judges left them, where these are asked for scores."""
    asked = PRETRAINED and example_scores(wildcards)
    return judged_of(dataset_shown("examples"), shown_systems("examples"), example_cut()) if asked else []


def example_score_folders(wildcards):
    """The folders of these, as options."""
    place = f"{dataset_shown('examples')}{example_cut()}"
    scores = ["--scores-folder", f"{RESULTS}/scores/{place}"] if example_scores(wildcards) else []
    return scores + (["--judged-folder", f"{RESULTS}/embeddings/{place}"] if example_judged(wildcards) else [])


def example_samples(wildcards):
    """Indices of the samples that the page of examples plays."""
    return samples_of(dataset_shown("examples"), shown_systems("examples"))


def example_files():
    """Folder of the page's videos, where they are not in the page."""
    return [f"{TABLES}/examples_media"] if config["examples"].get("media") == "beside" else []


def spectrogram_settings(wildcards):
    """Settings of the spectrograms as JSON: a label for each system."""
    entry = {name: value for name, value in config["spectrograms"].items() if name not in ("table", "dataset")}
    labels = {name: (entry.get("systems") or {}).get(name, name) for name in shown_systems("spectrograms")}
    return json.dumps({**entry, "systems": labels, "sample_rate": config["window"]["sample_rate"]}, sort_keys=False)


def conflict_settings(wildcards):
    """Settings of the curve over levels of conflict as JSON."""
    entry = {name: value for name, value in config["conflict"].items() if name not in ("dataset", "published")}
    return json.dumps({**entry, "bootstrap": config["bootstrap"]})  # in their order: of curves, of levels


def published_conflict(wildcards):
    """Values of others for that curve, where the configuration names them."""
    published = config["conflict"].get("published")
    return beside_rules(published) if published else []


def study_settings(wildcards):
    """Settings of the study as JSON."""
    entry = {name: value for name, value in config["study"].items() if name not in ("page", "dataset")}
    return json.dumps(entry, sort_keys=True)


rule write_examples:
    input:
        prompts=f"<results>/prompts/{dataset_shown('examples')}.parquet",
        clips=all_shards("clips/{dataset}/{shard}.ledger.parquet", dataset_shown("examples")),
        samples=example_samples,
        scores=example_scores,
        judged=example_judged,
        event_times=event_times_of(dataset_shown("examples")),
    output:
        *map(directory, example_files()),
        page=report("<tables>/examples.html", caption="../report/examples.rst", category="Examples"),
    log:
        "<logs>/write_examples.log",
    benchmark:
        "<benchmarks>/write_examples.tsv"
    priority: PRIORITY["examples"]
    threads: 1
    resources:
        mem_mb=scaled_memory(2000),
        runtime=30,
    params:
        settings=example_settings,
        clips=results_path(f"clips/{dataset_shown('examples')}"),
        samples=results_path(f"samples/{dataset_shown('examples')}"),
        scores=example_score_folders,
        event_times=repeat_option("--event-times", "event_times"),
        shards=len(SAMPLE_SHARDS),
        clip_shards=DATASETS[dataset_shown("examples")]["shards"],
        code=stage_version("examples"),
    shell:
        "cafa examples --settings {params.settings:q} --prompts {input.prompts:q} --clips {params.clips:q}"
        " --clip-shards {params.clip_shards} --samples-folder {params.samples:q} --shards {params.shards}"
        " {params.scores:q} {params.event_times:q} --output {output.page:q} 2>&1 | tee {log:q}"


if config["spectrograms"]:

    rule draw_spectrograms:
        input:
            prompts=f"<results>/prompts/{dataset_shown('spectrograms')}.parquet",
            samples=samples_of(dataset_shown("spectrograms"), shown_systems("spectrograms")),
            event_times=event_times_of(dataset_shown("spectrograms")),
        output:
            report("<tables>/figure3.svg", caption="../report/figure3.rst", category="Figure"),
        log:
            "<logs>/draw_spectrograms.log",
        benchmark:
            "<benchmarks>/draw_spectrograms.tsv"
        priority: PRIORITY["tables"]
        threads: 1
        resources:
            mem_mb=scaled_memory(2000),
            runtime=30,
        params:
            settings=spectrogram_settings,
            samples=results_path(f"samples/{dataset_shown('spectrograms')}"),
            event_times=repeat_option("--event-times", "event_times"),
            code=stage_version("spectrograms"),
        shell:
            "cafa spectrograms --settings {params.settings:q} --prompts {input.prompts:q} --samples-folder {params.samples:q}"
            " {params.event_times:q} --output {output:q} 2>&1 | tee {log:q}"


if config["conflict"]:

    rule draw_conflict:
        input:
            scores=expand(
                "<results>/scores/{dataset}/{system}.parquet",
                dataset=dataset_shown("conflict"),
                system=config["conflict"]["systems"],
            ),
            published=published_conflict,
        output:
            csv="<tables>/conflict.csv",
            figure=report("<tables>/conflict.svg", caption="../report/conflict.rst", category="Figure"),
        log:
            "<logs>/draw_conflict.log",
        benchmark:
            "<benchmarks>/draw_conflict.tsv"
        priority: PRIORITY["tables"]
        localrule: True
        threads: 1
        resources:
            mem_mb=scaled_memory(1000),
            runtime=10,
        params:
            settings=conflict_settings,
            scores=repeat_option("--scores", "scores"),
            published=repeat_option("--published", "published"),
            code=stage_version("conflict"),
        shell:
            "cafa conflict --settings {params.settings:q} {params.scores:q} {params.published:q} --csv {output.csv:q}"
            " --output {output.figure:q} 2>&1 | tee {log:q}"


if config["study"]:

    # key.json, which says who made which sound, is no output: Snakemake removes outputs before a job, and answers that
    # were collected with a key are worth nothing without it. `cafa study build` refuses to write another one over it.
    rule build_study:
        input:
            prompts=f"<results>/prompts/{dataset_shown('study')}.parquet",
            clips=all_shards("clips/{dataset}/{shard}.ledger.parquet", dataset_shown("study")),
            samples=samples_of(dataset_shown("study"), [config["study"]["system"], *config["study"]["opponents"]]),
        output:
            "<tables>/study/page/data.js",
        log:
            "<logs>/build_study.log",
        benchmark:
            "<benchmarks>/build_study.tsv"
        priority: PRIORITY["tables"]
        threads: 1
        resources:
            mem_mb=scaled_memory(2000),
            runtime=120,
        params:
            settings=study_settings,
            page=as_json(config["study"].get("page", {})),
            clips=results_path(f"clips/{dataset_shown('study')}"),
            samples=results_path(f"samples/{dataset_shown('study')}"),
            folder=f"{TABLES}/study",
        shell:
            "cafa study build --settings {params.settings:q} --page {params.page:q} --prompts {input.prompts:q}"
            " --clips {params.clips:q} --samples-folder {params.samples:q} --output-folder {params.folder:q} 2>&1 | tee {log:q}"
