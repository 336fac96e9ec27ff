"""What a configuration makes of its clips: jobs, clips normalised, pictures and sounds decoded, core and GPU hours.

    python -m benchmarks.plan_costs config/paper.yaml
    python -m benchmarks.plan_costs config/paper.yaml --apart     # as if every kind of feature had jobs of its own

Counted from the configuration, without running or planning anything; hours from the costs of the simulated run
(`tests/scale/simulated.py`: guesses on the low side) and from :data:`READING`. An older configuration is counted by
giving its file.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import click
import yaml

from tests.scale.simulated import COSTS

#: clips of the published lists; of VGGSound's training split those of the list that circulates (docs/datasets.md)
CLIPS = {"vggsound_train": 156_696, "visualsound": 85_619, "vggsound_test": 15_446, "vggsound_sparse": 444}
#: clips that a data set has in common with another, with the same start
COMMON = {("visualsound", "vggsound_train"): 77_443}
#: processor seconds of reading a normalised clip of 10 s (measured on six published ones): its pictures for AV-CLIP,
#: for CLIP, for both at once, and its sound
READING = {("av_clip",): 0.91, ("clip",): 0.64, ("av_clip", "clip"): 0.96, ("latents",): 0.02}


def kinds_of(config: dict[str, Any]) -> dict[str, set[str]]:
    """Folders of features that each data set needs: for training, and for the systems of the tables and examples."""
    kinds: dict[str, set[str]] = {name: set() for name in config["datasets"]}
    adapters = config["adapters"]
    for entry in adapters.values():
        backbone = entry.get("backbone", "backbone")
        latents = "latents" if backbone == "backbone" else f"latents_{backbone}"
        kinds[entry["train_on"]] |= {latents, *entry.get("video", ["av_clip"])}
    asked = [
        (table.get("dataset", config.get("evaluate")), table.get("systems", [])) for table in config["tables"].values()
    ]
    asked += [(config.get("evaluate"), config.get("examples", {}).get("systems", []))]
    for dataset, systems in asked:
        for name in systems:
            system = config["systems"].get(name, {})
            if system.get("kind") == "adapter":
                adapter = adapters.get(system.get("adapter", "adapter"), {})
                kinds[dataset] |= set(adapter.get("video", ["av_clip"]))
    return kinds


def readings(kinds: set[str], apart: bool) -> list[tuple[str, ...]]:
    """What is read of a clip for these kinds: all pictures at once and one sound, or for each kind alone."""
    pictures = sorted(kind for kind in kinds if not kind.startswith("latents"))
    sounds = [("latents",) for kind in kinds if kind.startswith("latents")]
    return [*((kind,) for kind in pictures), *sounds] if apart else [tuple(pictures), *sounds[:1]]


def counts(config: dict[str, Any], apart: bool = False) -> dict[str, float]:
    """Jobs and clips of ingest and of encoding, and processor seconds of reading for the encoders."""
    found: defaultdict[str, float] = defaultdict(float)
    for name, kinds in kinds_of(config).items():
        entry = config["datasets"][name]
        made = CLIPS[name] - sum(COMMON.get((name, other), 0) for other in entry.get("reuse", []))
        found["ingest jobs"] += entry["shards"]
        found["clips normalised"] += made
        found["encode jobs"] += entry["shards"] * (len(kinds) if apart else bool(kinds))
        found["clips encoded"] += made * len(kinds)
        for reading in filter(None, readings(kinds, apart)):
            found["sounds decoded" if reading == ("latents",) else "pictures decoded"] += made
            found["seconds of reading"] += made * READING[reading]
    return found


@click.command()
@click.argument("configuration", type=click.Path(exists=True, path_type=Path))
@click.option("--apart", is_flag=True, help="as if every kind of feature had jobs of its own")
def main(configuration: Path, apart: bool) -> None:
    """Print what a configuration makes of its clips."""
    found = counts(yaml.safe_load(configuration.read_text()), apart)
    reading = found.pop("seconds of reading") / 3600
    for name, count in found.items():
        click.echo(f"{name:22} {count:9,.0f}")
    click.echo(f"{'reading, core hours':22} {reading:9.1f}")
    for name, rule, jobs, clips in (
        ("ingest, core hours", "ingest_clips", "ingest jobs", "clips normalised"),
        ("encoding, GPU hours", "encode_clips", "encode jobs", "clips encoded"),
    ):
        start, each = COSTS[rule]
        click.echo(f"{name:22} {(found[jobs] * start + found[clips] * each) / 3600:9.1f}")


if __name__ == "__main__":
    main()
