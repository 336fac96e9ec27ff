# Scores become tables with intervals, protocol cards, and the published values beside ours.


rule make_table:
    input:
        scores=table_scores,
        embeddings=table_embeddings,
        samples=table_samples,
        prompts=table_prompts,
        ledgers=table_ledgers,
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
    priority: 90
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(24000 if PRETRAINED else 4000),
        runtime=600 if PRETRAINED else 60,
    params:
        settings=table_settings,
        scores=each("--scores", "scores"),
        ledgers=each("--ledger", "ledgers"),
        published=each("--published", "published"),
        embeddings=table_folder("embeddings"),
        truth=table_truth,
        samples=table_folder("embeddings" if PRETRAINED else "samples"),
        shards=len(SAMPLE_SHARDS),
        card_extra=table_card_extra,
        code=stage_version("table"),
    shell:
        "cafa table --name {wildcards.table} --settings {params.settings:q} {params.scores:q}"
        " --embeddings-folder {params.embeddings:q} {params.truth:q} --prompts {input.prompts:q} --samples-folder {params.samples:q}"
        " --shards {params.shards} --judges {input.judges:q} {params.ledgers:q} --card-extra {params.card_extra:q} {params.published:q}"
        " --csv {output.csv:q} --markdown {output.markdown:q} --card {output.card:q}"
        " --differences {output.differences:q} 2>&1 | tee {log:q}"


rule make_cost_table:
    input:
        cards=trained_cards,
        published=published_costs,
    output:
        csv=report("<tables>/table5.csv", caption="../report/table5.rst", category="Tables", subcategory="table5"),
        markdown="<tables>/table5.md",
    log:
        "<logs>/make_cost_table.log",
    priority: 90
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=10,
    params:
        cards=each("--card", "cards"),
        published=each("--published", "published"),
        code=stage_version("training_table"),
    shell:
        "cafa train table {params.cards:q} {params.published:q} --output {output.csv:q} 2>&1 | tee {log:q}"


rule draw_figure:
    input:
        table=figure_table,
    output:
        report("<tables>/figure4.svg", caption="../report/figure4.rst", category="Figure"),
    log:
        "<logs>/draw_figure.log",
    priority: 90
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=10,
    params:
        settings=figure_settings,
        code=stage_version("figure"),
    shell:
        "cafa figure --table {input.table:q} --settings {params.settings:q} --output {output:q} 2>&1 | tee {log:q}"
