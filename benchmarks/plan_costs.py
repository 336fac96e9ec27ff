"""What a configuration makes of its clips: jobs, clips normalised, pictures and sounds decoded, core and GPU hours.

    python -m benchmarks.plan_costs config/paper.yaml

Counted from the configuration, without running or planning anything; hours from the costs of the simulated run
(`tests/scale/simulated.py`: guesses on the low side). An older configuration is counted by giving its file.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import click
import yaml

from tests.scale.simulated import COSTS

#: clips of the published lists; of VGGSound's training split those of the list that circulates (docs/datasets.md)
CLIPS = {"vggsound_train": 156_696, "visualsound": 85_619, "vggsound_test": 15_446, "vggsound_sparse": 444}
#: clips that a data set has in common with another, with the same start
COMMON = {("visualsound", "vggsound_train"): 77_443}


def kinds_of(config: dict[str, Any]) -> dict[str, set[str]]:
    """Folders of features that each data set needs: for training, and for the systems of the tables."""
    kinds: dict[str, set[str]] = {name: set() for name in config["datasets"]}
    adapters = config["adapters"]
    for entry in adapters.values():
        backbone = entry.get("backbone", "backbone")
        latents = "latents" if backbone == "backbone" else f"latents_{backbone}"
        kinds[entry["train_on"]] |= {latents, *entry.get("video", ["av_clip"])}
    for table in config["tables"].values():
        for name in table.get("systems", []):
            system = config["systems"].get(name, {})
            if system.get("kind") == "adapter":
                kinds[table["dataset"]] |= set(
                    adapters.get(system.get("adapter", "adapter"), {}).get("video", ["av_clip"])
                )
    return kinds


def counts(config: dict[str, Any]) -> Counter[str]:
    """Jobs and clips of ingest and of encoding."""
    found: Counter[str] = Counter()
    for name, kinds in kinds_of(config).items():
        entry = config["datasets"][name]
        made = CLIPS[name] - sum(COMMON.get((name, other), 0) for other in entry.get("reuse", []))
        found["ingest jobs"] += entry["shards"]
        found["clips normalised"] += made
        for kind in kinds:
            found["encode jobs"] += entry["shards"]
            found["sounds decoded" if kind.startswith("latents") else "pictures decoded"] += made
    found["clips encoded"] = found["sounds decoded"] + found["pictures decoded"]
    return found


@click.command()
@click.argument("configuration", type=click.Path(exists=True, path_type=Path))
def main(configuration: Path) -> None:
    """Print what a configuration makes of its clips."""
    found = counts(yaml.safe_load(configuration.read_text()))
    for name, count in found.items():
        click.echo(f"{name:18} {count:9,}")
    for name, rule, jobs, clips in (
        ("ingest, core hours", "ingest_clips", "ingest jobs", "clips normalised"),
        ("encoding, GPU hours", "encode_clips", "encode jobs", "clips encoded"),
    ):
        start, each = COSTS[rule]
        click.echo(f"{name:18} {(found[jobs] * start + found[clips] * each) / 3600:9.1f}")


if __name__ == "__main__":
    main()
