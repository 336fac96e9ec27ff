"""Run the full-size rules on a few real clips with tiny pretrained models and judges, from lists to tables.

    python -m tests.workflow.pretrained_run --cores 2

Everything that config/paper.yaml names runs: published lists, fetching from a folder, ingest, the encoders of
clips and captions, two phases of adapter training, CAFA-C, the published adapter, generation, the judges and their
canaries, Tables 1, 2, 4 and 5. Only sizes differ: the models and judges are random and tiny
(tests/tiny_pretrained.py, tests/tiny_judges.py), and training is two steps. No number means anything.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from cafa.pretrained import read_card
from metrics.judges.canary import CANARIES
from tests.tiny_judges import make_weights
from tests.tiny_pretrained import REAL, WORDS, make_registered

ROOT = Path(__file__).resolve().parents[2]

#: clips of the shared folder that have VGGSound's names, and one that is nowhere
CLIPS = {
    "3qesirWAGt4": (20, "dog barking"),
    "ZYc410CE4Rg": (0, "playing tennis"),
    "F8Zt3mYlOqU": (94, "whale calling"),
}
MODELS = ("backbone", "tangoflux", "av_clip", "clip", "adapter_published")
NOWHERE = ("aaaaaaaaaaa", 10, "dog barking")
#: systems of each table
TABLES = {
    "table1": ["cafa", "cafa_published", "text_only", "reference"],
    "table2": ["cafa", "reference", "shuffled_reference"],
    "table4": ["cafa_b", "cafa", "cafa_c", "cafa_tf"],
}
SYSTEMS = sorted({name for systems in TABLES.values() for name in systems})
#: random judges judge nothing: let them pass here, and only here
WORST = {">=": -1e9, "<=": 1e9}
CANARY = {judge: {name: WORST[direction] for name, (direction, _) in rows.items()} for judge, rows in CANARIES.items()}


def published(root: Path, shared: Path, split: str) -> dict[str, Any]:
    """A data set of kind `published`: a list in VGGSound's format, its clips in a folder."""
    rows = [*((video, start, label) for video, (start, label) in CLIPS.items()), NOWHERE]
    path = root / f"{split}.csv"
    path.write_text("".join(f"{video},{start},{label},{split}\n" for video, start, label in rows))
    return {
        "kind": "published", "list": "vggsound", "shards": 2 if split == "test" else 1,
        "build": {"lists": [{"path": str(path), "format": "vggsound", "licence": "test"}], "splits": [split]},
        "fetch": {"sources": [{"kind": "folder", "root": str(shared / "clips/groundtruth"), "cut": ["{clip_id}.mp4"]}]},
    }  # fmt: skip


def pretrained_models(root: Path) -> dict[str, Any]:
    """Settings of tiny pretrained models, made below `root`."""
    models = make_registered(root / "weights", REAL, words=(*WORDS, "barking", "playing", "tennis", "whale"))
    settings = {name: read_card(models / name)["settings"] for name in MODELS}
    settings["adapter_published"]["backbone"] = "backbone"
    return settings


def configuration(root: Path, shared: Path) -> dict[str, Any]:
    """What config/paper.yaml says, at a size for two cores."""
    loop = {"steps": 2, "batch_size": 2, "warmup_steps": 0, "bf16": False}
    return {
        "device": "cpu",
        "datasets": {
            "tiny_train": published(root, shared, "train"),
            "tiny_test": {**published(root, shared, "test"), "prompts": {"matched": {}, "cross": {}}},
        },
        "evaluate": "tiny_test",
        "pretrained": {
            "models": pretrained_models(root), "judges": make_weights(root / "judges"), "canary": CANARY,
        },
        "features": {"encode": {"workers": 1, "batch_size": 2}},
        "training": {"adapter": {"loop": loop, "model": {"feature_dim": 8, "hint_dim": 12}}},
        "adapters": {
            "adapter_vggsound": {"train_on": "tiny_train"},
            "adapter": {"train_on": "tiny_train", "settings": {"loop": {"steps": 2}}},
            "adapter_c": {"train_on": "tiny_train", "settings": {"model": {"clip_dim": 8}}},
            "adapter_tf": {"train_on": "tiny_train"},
        },
        "systems": {name: {"sampling": {"steps": 2, "half": False}} for name in SYSTEMS if "reference" not in name},
        "samples": {"shards": 1, "batch_size": 3},
        "embed": {"pretrained": {"workers": 1}},
        "tables": {
            table: {"dataset": "tiny_test", "systems": systems, "inception_splits": 1, "compare": [systems[:2]]}
            for table, systems in TABLES.items()
        },
        "bootstrap": {"resamples": 100},
        "figure": None,
        "examples": {"clips": 1, "systems": ["cafa"]},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("CAFA_SHARED", ROOT.parent / "shared")))
    parser.add_argument("--folder", type=Path, help="where to run; kept. By default a temporary folder")
    arguments = parser.parse_args()
    if not (arguments.shared / "clips/groundtruth").is_dir():
        raise SystemExit(f"no real clips at {arguments.shared}/clips: set CAFA_SHARED or --shared")
    with tempfile.TemporaryDirectory() as temporary:
        root = (arguments.folder or Path(temporary)).resolve()
        root.mkdir(parents=True, exist_ok=True)
        results, config = root / "results", root / "config.yaml"
        config.write_text(yaml.safe_dump(configuration(root, arguments.shared.resolve())))
        subprocess.run(
            [Path(sys.executable).with_name("snakemake"), "--cores", str(arguments.cores),
             "--configfile", "config/paper.yaml", str(config), "--config", f"results={results}",
             "--quiet", "rules", "progress"],
            cwd=ROOT, check=True,
        )  # fmt: skip
        check(results)


def check(results: Path) -> None:
    """Every asked sample and table is there, and the clip that is nowhere is in the ledger and nowhere else."""
    for name in SYSTEMS:
        index = pd.read_parquet(results / f"samples/tiny_test/{name}/0.parquet")
        statuses = index["status"].value_counts().to_dict()
        print(f"{name:15} {len(index)} samples of {index['clip_id'].nunique()} clips: {statuses}")
        assert statuses == {"ok": 3 + 3 * 2}, statuses
    fetched = pd.concat([pd.read_parquet(path) for path in results.glob("fetched/tiny_test/*.ledger.parquet")])
    lost = fetched[fetched["status"] != "ok"]
    print(lost[["clip_id", "status", "detail"]].to_string(index=False))
    assert lost["clip_id"].tolist() == ["aaaaaaaaaaa_000010"]
    for table, systems in TABLES.items():
        rows = pd.read_csv(results / f"{table}.csv")
        print(rows.to_string(index=False))
        assert rows["system"].tolist() == systems
        assert (rows["n_clips"] == 3).all()
    print(pd.read_csv(results / "table5.csv").to_string(index=False))


if __name__ == "__main__":
    main()
