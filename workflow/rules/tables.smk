# Scores become tables with intervals, protocol cards, and the published values beside ours.


def reference_of_table(wildcards):
    """The same for a table's data set."""
    return [
        word
        for folder in reference_shards(dataset_of(wildcards.table), cut_of(wildcards.table))
        for word in ("--reference-embeddings", folder)
    ]


def table_folder(kind):
    """Param: the folder of embeddings or samples that a table is made from."""

    def folder(wildcards):
        return f"{RESULTS}/{kind}/{dataset_of(wildcards.table)}{cut_of(wildcards.table)}"

    return folder


def table_scores(wildcards):
    """Scores of every system of a table."""
    folder = f"{RESULTS}/scores/{dataset_of(wildcards.table)}{cut_of(wildcards.table)}"
    return [f"{folder}/{part}.parquet" for name in rows_here(wildcards.table) for part in parts_of_row(name)]


def table_embeddings(wildcards):
    """Embeddings that the metrics of sets are computed from."""
    dataset, cut = dataset_of(wildcards.table), cut_of(wildcards.table)
    systems = [part for name in rows_here(wildcards.table) for part in parts_of_row(name)]
    return [*reference_files(dataset, cut), *(file for name in systems for file in embeddings_of(dataset, name, cut))]


def table_samples(wildcards):
    """Indices of all samples behind a table."""
    return judged_of(dataset_of(wildcards.table), sounding_of(wildcards.table), cut_of(wildcards.table))


def table_prompts(wildcards):
    """Prompt set of a table's data set."""
    return f"{RESULTS}/prompts/{dataset_of(wildcards.table)}.parquet"


def table_ledgers(wildcards):
    """Everything that became of the clips of a table's data set."""
    dataset = dataset_of(wildcards.table)
    return [
        f"{RESULTS}/manifests/{dataset}.refused.parquet",
        *ledgers_of(dataset),
        *(f"{folder}/ledger.parquet" for folder in reference_shards(dataset, cut_of(wildcards.table)) if PRETRAINED),
        f"{RESULTS}/prompts/{dataset}.excluded.ledger.parquet",
        *(
            [f"{RESULTS}/vggsounder/{wildcards.table}.ledger.parquet"]
            if wildcards.table in tables_by_vggsounder()
            else []
        ),
    ]


def published_values(wildcards):
    """The paper's values for a table, where the configuration names them."""
    published = config["tables"][wildcards.table].get("published")
    return beside_rules(published) if published else []


def table_settings(wildcards):
    """Settings of a table as JSON; a configuration laid over another may have fewer rows, and the same labels of rows."""
    entry = {
        key: value
        for key, value in config["tables"][wildcards.table].items()
        if key not in ("dataset", "published", "vggsounder")
    }
    rows = rows_here(wildcards.table)
    labels = {
        "descriptions": {name: line for name, line in entry.get("descriptions", {}).items() if name in rows},
        "controls": [name for name in entry.get("controls", []) if name in rows],
    }
    found = {**entry, **labels, **rows_and_clips(wildcards.table), "bootstrap": config["bootstrap"]}
    return json.dumps(found, sort_keys=True)


def rows_and_clips(table):
    """What a table's settings say otherwise than the configuration: rows that are means, or not there; paths of lists."""
    entry, rows = config["tables"][table], rows_here(table)
    found = {}
    if takes := {name: parts_of_row(name) for name in rows if len(parts_of_row(name)) > 1}:
        found["takes"] = takes
    if (entry.get("clips") or {}).get("file"):
        found["clips"] = {**entry["clips"], "file": beside_rules(entry["clips"]["file"])}
    if table in tables_by_vggsounder():
        found["clips"] = {"file": f"{RESULTS}/vggsounder/{table}.clips.csv"}
    if len(rows) < len(rows_of(table)):
        found["left_out"] = {name: why_left_out(name) for name in rows_of(table) if name not in rows}
        found["compare"] = [pair for pair in entry.get("compare", []) if set(pair) <= set(rows)]
        here = [
            {**block, "systems": [name for name in block["systems"] if name in rows]}
            for block in entry.get("blocks") or []
        ]
        found |= {"blocks": [block for block in here if block["systems"]]} if here else {"systems": rows}
    return found


def table_clip_list(wildcards):
    """List of the clips that a table takes, where it names one, or they are chosen by their labels."""
    if wildcards.table in tables_by_vggsounder():
        return f"{RESULTS}/vggsounder/{wildcards.table}.clips.csv"
    file = (config["tables"][wildcards.table].get("clips") or {}).get("file")
    return beside_rules(file) if file else []


def table_card_extra(wildcards):
    """What the protocol card says about the run beside what the files say themselves."""
    dataset = dataset_of(wildcards.table)
    systems = {name: config["systems"][name] for name in rows_here(wildcards.table)}
    # How the work is cut, and where files came from, changes no number: the card of any cut is the same.
    entry = {key: value for key, value in DATASETS[dataset].items() if key not in ("shards", "text_shards", "fetch")}
    extra = {"seed": config["seed"], "dataset": {dataset: entry}, "systems": systems}
    if wildcards.table in tables_by_vggsounder():
        extra["vggsounder"] = tables_by_vggsounder()[wildcards.table]
    return json.dumps(extra, sort_keys=True)


def annotations_file(wildcards):
    """VGGSounder's list, of a table whose clips it chooses."""
    return list_file(annotations_of(wildcards.table))


def choice_arguments(wildcards):
    """Which clips are left out, as options."""
    choice, digest = tables_by_vggsounder()[wildcards.table], annotations_of(wildcards.table).get("sha256")
    return [
        *(["--sha256", digest] if digest else []),
        *(word for reason in choice.get("drop", []) for word in ("--drop", reason)),
        *(["--keep-unlisted"] if choice.get("keep_unlisted") else []),
    ]


def manifest_of_table(wildcards):
    """Manifest of a table's data set."""
    return f"{RESULTS}/manifests/{dataset_of(wildcards.table)}.parquet"


rule choose_clips:
    input:
        annotations=annotations_file,
        manifest=manifest_of_table,
    output:
        labels="<results>/vggsounder/{table}.labels.parquet",
        clips="<results>/vggsounder/{table}.clips.csv",
        ledger="<results>/vggsounder/{table}.ledger.parquet",
    log:
        "<logs>/choose_clips/{table}.log",
    benchmark:
        "<benchmarks>/choose_clips/{table}.tsv"
    wildcard_constraints:
        table="|".join(tables_by_vggsounder()) or "(?!)",
    priority: PRIORITY["later"]
    localrule: True
    threads: 1
    resources:
        mem_mb=scaled_memory(1000),
        runtime=10,
    params:
        arguments=choice_arguments,
        code=stage_version("vggsounder"),
    shell:
        "cafa dataset vggsounder --annotations {input.annotations:q} --manifest {input.manifest:q} {params.arguments:q}"
        " --labels {output.labels:q} --clips {output.clips:q} --ledger {output.ledger:q} 2>&1 | tee {log:q}"


rule make_table:
    input:
        scores=table_scores,
        embeddings=table_embeddings,
        samples=table_samples,
        prompts=table_prompts,
        ledgers=table_ledgers,
        clips=table_clip_list,
        judges="<results>/judges.json",
        published=published_values,
    output:
        csv=report("<tables>/{table}.csv", caption="../report/table.rst", category="Tables", subcategory="{table}"),
        markdown="<tables>/{table}.md",
        card=report(
            "<tables>/{table}.card.json", caption="../report/card.rst", category="Tables", subcategory="{table}"
        ),
        differences=report(
            "<tables>/{table}.differences.csv",
            caption="../report/differences.rst",
            category="Tables",
            subcategory="{table}",
        ),
    log:
        "<logs>/make_table/{table}.log",
    benchmark:
        "<benchmarks>/make_table/{table}.tsv"
    priority: PRIORITY["tables"]
    threads: 1
    resources:
        mem_mb=scaled_memory(24000 if PRETRAINED else 4000),
        runtime=600 if PRETRAINED else 60,
    params:
        settings=table_settings,
        scores=repeat_option("--scores", "scores"),
        ledgers=repeat_option("--ledger", "ledgers"),
        published=repeat_option("--published", "published"),
        embeddings=table_folder("embeddings"),
        reference=reference_of_table,
        samples=table_folder("embeddings" if PRETRAINED else "samples"),
        shards=len(SAMPLE_SHARDS),
        card_extra=table_card_extra,
        code=stage_version("table"),
    shell:
        "cafa table --name {wildcards.table} --settings {params.settings:q} {params.scores:q}"
        " --embeddings-folder {params.embeddings:q} {params.reference:q} --prompts {input.prompts:q} --samples-folder {params.samples:q}"
        " --shards {params.shards} --judges {input.judges:q} {params.ledgers:q} --card-extra {params.card_extra:q} {params.published:q}"
        " --csv {output.csv:q} --markdown {output.markdown:q} --card {output.card:q}"
        " --differences {output.differences:q} 2>&1 | tee {log:q}"


def trained_cards(wildcards):
    """Cards of the adapters that the table of training costs has a row for."""
    return [f"{RESULTS}/models/{name}/card.json" for name in config["costs"]["adapters"]]


def published_costs(wildcards):
    """The paper's training costs, where the configuration names them."""
    published = config["costs"].get("published")
    return beside_rules(published) if published else []


rule make_cost_table:
    input:
        cards=trained_cards,
        published=published_costs,
    output:
        csv=report("<tables>/table5.csv", caption="../report/table5.rst", category="Tables", subcategory="table5"),
        markdown="<tables>/table5.md",
    log:
        "<logs>/make_cost_table.log",
    benchmark:
        "<benchmarks>/make_cost_table.tsv"
    priority: PRIORITY["tables"]
    localrule: True
    threads: 1
    resources:
        mem_mb=scaled_memory(1000),
        runtime=10,
    params:
        cards=repeat_option("--card", "cards"),
        published=repeat_option("--published", "published"),
        code=stage_version("training_table"),
    shell:
        "cafa train table {params.cards:q} {params.published:q} --output {output.csv:q} 2>&1 | tee {log:q}"


def figure_table(wildcards):
    """Table that the figure draws."""
    return f"{TABLES}/{config['figure']['table']}.csv"


def figure_settings(wildcards):
    """Settings of the figure as JSON."""
    return json.dumps({key: value for key, value in config["figure"].items() if key != "table"}, sort_keys=True)


if config["figure"]:

    rule draw_figure:
        input:
            table=figure_table,
        output:
            report("<tables>/figure4.svg", caption="../report/figure4.rst", category="Figure"),
        log:
            "<logs>/draw_figure.log",
        benchmark:
            "<benchmarks>/draw_figure.tsv"
        priority: PRIORITY["tables"]
        localrule: True
        threads: 1
        resources:
            mem_mb=scaled_memory(1000),
            runtime=10,
        params:
            settings=figure_settings,
            code=stage_version("figure"),
        shell:
            "cafa figure --table {input.table:q} --settings {params.settings:q} --output {output:q} 2>&1 | tee {log:q}"
