"""Run the reduced miniature with other numbers of shards and cores, and compare tables, weights and samples.

    python tests/workflow/shards_and_cores.py --config config/test.yaml

The number of shards and cores is a matter of machines: no number of a table and no bit of a sample may depend on it.
"""

import argparse
import tempfile
from pathlib import Path

import pandas as pd
import yaml
from runs import ROOT, differences, run

#: (cores, shards of clips, shards of samples)
VARIANTS = ((1, 1, 1), (2, 3, 2), (4, 2, 3))
COMPARED = ("table", "models/", "scores/", "prompts/", "figure")


def shard_config(config: str, clips: int, samples: int) -> dict[str, object]:
    """Configuration that sets every number of shards."""
    names = yaml.safe_load((ROOT / "config/config.yaml").read_text())["datasets"]
    names |= yaml.safe_load((ROOT / config).read_text()).get("datasets", {})
    return {"datasets": {name: {"shards": clips} for name in names}, "samples": {"shards": samples}}


def samples_of(results: Path) -> pd.DataFrame:
    """Sample's digest by system, clip, caption and protocol."""
    parts = [
        pd.read_parquet(path).assign(dataset=path.parts[-3], system=path.parts[-2])
        for path in sorted(results.glob("samples/*/*/*.parquet"))
    ]
    keys = ["dataset", "system", "clip_id", "caption_id", "protocol"]
    return pd.concat(parts).sort_values(keys)[[*keys, "sha256", "status"]].reset_index(drop=True)


def main() -> None:
    """Do as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="config/test.yaml")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folders = []
        for cores, clips, samples in VARIANTS:
            folder = Path(temporary) / f"{cores}-{clips}-{samples}"
            extra = Path(temporary) / f"{folder.name}.yaml"
            extra.write_text(yaml.safe_dump(shard_config(arguments.config, clips, samples)))
            run(folder, [arguments.config, str(extra)], cores)
            print(f"{cores} cores, {clips} shards of clips, {samples} of samples: done", flush=True)
            folders.append(folder)
        for folder in folders[1:]:
            if different := differences(folders[0], folder, COMPARED):
                raise SystemExit(f"{folder.name} differs from {folders[0].name}: {different}")
            pd.testing.assert_frame_equal(samples_of(folders[0]), samples_of(folder))
        print(f"tables, weights, scores and {len(samples_of(folders[0]))} samples are equal in all variants")


if __name__ == "__main__":
    main()
