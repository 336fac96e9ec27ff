# What a run needs of the machine, looked at before it: `snakemake --cores 1 preflight --configfile config/paper.yaml`. Run it
# where the jobs will run: on a cluster, in a job with a GPU. It has no output: it looks anew each time.


rule preflight:
    log:
        "<logs>/preflight.log",
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=10,
    params:
        settings=preflight_settings,
    shell:
        "cafa check --settings {params.settings:q} 2>&1 | tee {log:q}"
