"""What is laid over config/paper.yaml: sizes, addresses and folders, and nothing else."""

from pathlib import Path
from typing import Any

import yaml

from metrics.judge_quality.published import CANARIES
from tests.lab.clips import clips_of
from tests.lab.weights import FEATURE_DIM

#: random judges judge nothing: let them pass here, and only here
WORST = {">=": -1e9, "<=": 1e9}
CANARY = {judge: {name: WORST[direction] for name, (direction, _) in rows.items()} for judge, rows in CANARIES.items()}
PAPER = Path(__file__).resolve().parents[2] / "config/paper.yaml"


def sources(address: str) -> list[dict[str, Any]]:
    """Where clips come from: archives, a folder, a mirror."""
    return [
        {"kind": "archives", "root": "archives"},
        {
            "kind": "folder",
            "root": "data/vggsound",
            "cut": ["{clip_id}.mp4", "video/{clip_id}.mp4", "{video_id}_{start_ms}_{end_ms}.mp4"],
        },
        {"kind": "mirror", "url": f"{address}/clips/{{clip_id}}.mp4"},
    ]


def datasets(address: str, digests: dict[str, str]) -> dict[str, Any]:
    """The four data sets, their lists from `address`; the list without a known digest has none here either."""

    def listed(name: str, **how: str) -> dict[str, str]:
        known = {} if name == "vggsound.csv" else {"sha256": digests[name]}
        return {"path": f"lists/{name}", "url": f"{address}/lists/{name}", "licence": "MIT", **known, **how}

    train, test = len(clips_of("train")), len(clips_of("test"))
    labels = listed("test.csv", format="clip_labels")
    builds: dict[str, dict[str, Any]] = {
        "vggsound_train": {"lists": [listed("vggsound.csv", format="vggsound")]},
        "visualsound": {"lists": [listed("visualsound.csv", format="visualsound")], "expected": {"train": train}},
        "vggsound_test": {"lists": [{**labels, "split": "test"}], "expected": {"test": test}},
        "vggsound_sparse": {
            "lists": [listed("vggsound_sparse.csv", format="clip_starts", split="test")],
            "labels": [labels],
            "expected": {"test": test},
        },
    }
    shards = {"visualsound": {"shards": 1, "text_shards": 1}, "vggsound_sparse": {"shards": 2}}
    return {
        name: {"build": build, "fetch": {"sources": sources(address)}, **shards.get(name, {"shards": 1})}
        for name, build in builds.items()
    }


def overlay(address: str, digests: dict[str, str], judge_sizes: dict[str, Any]) -> dict[str, Any]:
    """Settings that differ from config/paper.yaml.

    Parameters
    ----------
    address : str
        Of the server of lists and of the mirror.
    digests : dict of str to str
        SHA-256 of the lists by name.
    judge_sizes : dict
        Sizes of the judges' networks that are not the published ones.
    """
    loop = {"steps": 2, "batch_size": 2, "warmup_steps": 0}
    paper = yaml.safe_load(PAPER.read_text())["systems"]
    systems: dict[str, Any] = {
        name: {"sampling": {"steps": 2}} for name, entry in paper.items() if entry["kind"] in ("adapter", "backbone")
    }
    # Two takes of the ten, and files that must be there: what is not optional stops the run.
    systems |= {"frieren": {"takes": [0, 7]}, "mmaudio_large_v1": {"optional": False}}
    systems["rewas_files"] = {
        "kind": "samples",
        "folder": "published/rewas",
        "pattern": "{youtube_id}_{start:06d}.wav",
        "seconds": 5.0,
    }
    return {
        "device": "cpu",
        "ingest": {"workers": 2},
        "datasets": datasets(address, digests),
        "pretrained": {"judges": {"table": "weights/weights.tsv", "sizes": judge_sizes}, "canary": CANARY},
        "features": {"encode": {"workers": 1}},
        "training": {"adapter": {"loop": loop, "model": {"feature_dim": FEATURE_DIM, "hint_dim": 12}}},
        "adapters": {
            "adapter": {"settings": {"loop": {"steps": 2}}},
            "adapter_c": {"settings": {"model": {"clip_dim": FEATURE_DIM}}},
        },
        "systems": systems,
        "samples": {"shards": 1},
        "embed": {"pretrained": {"workers": 0}},  # no thread ahead: as many jobs at a time as there are cores
        # No peer's code is here: its rows are left out, but for the sounds of 5 s, which are files.
        "tables": {
            "table2_rewas": {"systems": ["rewas_files", "cafa", "reference"], "compare": [["cafa", "rewas_files"]]}
        },
        "bootstrap": {"resamples": 100},
        "examples": {"clips": 1},
        "spectrograms": {"captions": 1},
    }
