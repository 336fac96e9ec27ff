# The published packages as reference implementations: on the same clips and weights, what do they answer, and what do we?


REFERENCE_SCRIPTS = (
    "reference",
    "reference_packages",
    "reference_repositories",
    "reference_standins",
)


rule run_reference_packages:
    input:
        scripts=expand(f"{REPOSITORY}/workflow/scripts/{{name}}.py", name=REFERENCE_SCRIPTS),
    output:
        answers="<results>/parity/answers.npz",
        about="<results>/parity/about.json",
    log:
        "<logs>/run_reference_packages.log",
    benchmark:
        "<benchmarks>/run_reference_packages.tsv"
    conda:
        "../../envs/reference.yaml"
    threads: 1
    resources:
        mem_mb=scaled_memory(6000),
        runtime=60,
    params:
        folder=results_path("parity"),
        root=REPOSITORY,
        code=stage_version("parity_answers"),
    shell:
        # PATH begins with our own environment, so theirs is named in full: by conda, or in REFERENCE_PYTHON.
        "PYTHONPATH={params.root:q} ${{REFERENCE_PYTHON:-${{CONDA_PREFIX:?set it, or use --sdm conda}}/bin/python}}"
        " {input.scripts[0]:q} --folder {params.folder:q} ${{REFERENCE_ARGUMENTS---offline}} 2>&1 | tee {log:q}"


rule compare_reference_packages:
    input:
        answers="<results>/parity/answers.npz",
        about="<results>/parity/about.json",
    output:
        "<results>/parity.csv",
    log:
        "<logs>/compare_reference_packages.log",
    benchmark:
        "<benchmarks>/compare_reference_packages.tsv"
    threads: 1
    resources:
        mem_mb=scaled_memory(4000),
        runtime=30,
    params:
        folder=results_path("parity"),
        code=stage_version("parity"),
    shell:
        "cafa parity packages --folder {params.folder:q} --output {output:q} 2>&1 | tee {log:q}"
