# The workflow lies in workflow/; this file lets `snakemake` find it from the root of a checkout.
include: "workflow/Snakefile"


# `include` does not take over the default target of a file.
rule default:
    default_target: True
    input:
        rules.all.input,
