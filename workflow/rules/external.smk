# Samples that other people's code makes, in environments of its own: as make_samples, from clips and prompts alone.


from cafa.baselines.peers import PEERS

#: systems of the kind external
EXTERNAL = [name for name, entry in SYSTEMS.items() if entry["kind"] == "external"]


def external_inputs(wildcards):
    """Prompts and the normalised clips: a peer has models and texts of its own."""
    return {
        "prompts": results_path("prompts/{dataset}.parquet")(wildcards),
        "clips": all_shards("clips/{dataset}/{shard}.ledger.parquet", wildcards.dataset)(wildcards),
    }


def external_environment(wildcards):
    """File of the peer's conda environment, which `--sdm conda` makes; a system's `python` goes before it."""
    return str(REPOSITORY / "envs" / PEERS[system_of(wildcards.system).peer].environment)


if EXTERNAL:

    use rule make_samples as make_external_samples with:
        input:
            unpack(external_inputs),
        wildcard_constraints:
            system="|".join(EXTERNAL),
        conda:
            external_environment
        resources:
            mem_mb=scaled_memory(32000 if PRETRAINED else 4000),
            runtime=480,
            gpu=GPUS,
        params:
            device=config["device"],

    ruleorder: make_external_samples > make_samples
