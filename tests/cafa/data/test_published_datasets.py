"""Builders: what is accepted, what is refused and why, and the card."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from cafa.cli import cli
from cafa.common.errors import InputError
from cafa.common.files import sha256_file
from cafa.common.ledger import read_ledgers
from cafa.data.manifest import read_manifest
from cafa.data.published_datasets import DATASET_KINDS, SPARSE_CLASSES, VisualSoundSettings, build_dataset

VIDEOS = ["aaaaaaaaaaa", "bbbbbbbbbbb", "-cccccccccc", "ddddddddddd"]


def build(tmp_path: Path, kind: str, settings: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Manifest, refused rows and card."""
    output = tmp_path / "out" / "m.parquet"
    counts = build_dataset(
        kind, DATASET_KINDS[kind].model_validate(settings), output, tmp_path / "out" / "m.refused.parquet"
    )
    manifest, refused = read_manifest(output), read_ledgers([tmp_path / "out" / "m.refused.parquet"])
    assert counts == (manifest["split"].value_counts().to_dict(), len(refused))
    return manifest, refused, json.loads((tmp_path / "out" / "m.card.json").read_text())


def listed(tmp_path: Path, name: str, form: str, text: str, **more: object) -> dict[str, Any]:
    (tmp_path / name).write_text(text)
    return {"path": str(tmp_path / name), "format": form, "licence": "CC-BY-4.0", **more}


def test_vggsound(tmp_path: Path) -> None:
    rows = f'{VIDEOS[0]},30,"dogs, barking",train\n{VIDEOS[2]},0,wind,test\n{VIDEOS[0]},30,wind,test\n-rf,1,x,test\n'
    published = listed(tmp_path, "vggsound.csv", "vggsound", rows)
    manifest, refused, card = build(tmp_path, "vggsound", {"lists": [published]})
    assert manifest.iloc[0].to_dict() == {
        "clip_id": "aaaaaaaaaaa_000030",
        "uri": "https://www.youtube.com/watch?v=aaaaaaaaaaa",
        "start": 30.0,
        "duration": 10.0,
        "label": "dogs, barking",
        "caption": "dogs, barking",
        "split": "train",
        "licence": "CC-BY-4.0",
        "line": 1,
    }
    assert list(manifest["clip_id"]) == ["aaaaaaaaaaa_000030", "-cccccccccc_000000"]
    assert [(row.status, row.line, row.clip_id) for row in refused.itertuples()] == [
        ("duplicate_id", 3, "aaaaaaaaaaa_000030"),
        ("bad_id", 4, "-rf"),
    ]
    assert refused["detail"][0] == "aaaaaaaaaaa_000030 is already in line 1 of vggsound.csv"
    assert card["clips"] == {"test": 1, "train": 1}
    assert card["clips_by_label"] == {"dogs, barking": 1, "wind": 1}
    assert card["refused"] == {"bad_id": 1, "duplicate_id": 1}
    assert card["manifest_sha256"] == sha256_file(tmp_path / "out" / "m.parquet")
    (fact,) = card["lists"]
    assert (fact["rows"], fact["licence"], fact["role"]) == (4, "CC-BY-4.0", "clips")
    assert fact["sha256"] == sha256_file(tmp_path / "vggsound.csv")


def test_training_names_without_labels_and_clips_of_the_test_split(tmp_path: Path) -> None:
    test = listed(tmp_path, "test.csv", "clip_labels", f"{VIDEOS[0]}_000030.mp4,dog barking\n", split="test")
    names = "".join(f"{video}_30000_40000\n" for video in VIDEOS)
    train = listed(tmp_path, "train.txt", "clip_names", names, split="train")
    labels = listed(
        tmp_path, "v.csv", "visualsound", f"filename,start,desc,split\n{VIDEOS[1]},30,wind,train\nbad,1,x,train\n"
    )
    more = listed(tmp_path, "w.csv", "vggsound", f"{VIDEOS[1]},30,hail,train\n{VIDEOS[2]},30,hail,train\n")
    settings = {"lists": [test, train], "labels": [labels, more]}
    manifest, refused, card = build(tmp_path, "vggsound", settings)
    assert list(manifest["label"]) == ["dog barking", "wind", "hail"]  # the first list of labels decides
    assert list(manifest["split"]) == ["test", "train", "train"]
    assert dict(zip(refused["clip_id"], refused["status"], strict=True)) == {
        "aaaaaaaaaaa_000030": "duplicate_id",
        "ddddddddddd_000030": "no_label",
    }
    assert [fact["role"] for fact in card["lists"]] == ["labels", "labels", "clips", "clips"]
    # The clip of the test split stays out where training clips alone are kept, too.
    manifest, refused, _ = build(tmp_path, "vggsound", {**settings, "splits": ["train"]})
    assert list(manifest["clip_id"]) == ["bbbbbbbbbbb_000030", "-cccccccccc_000030"]
    assert list(refused["status"]) == ["not_selected", "duplicate_id", "no_label"]


def test_subset_and_caption(tmp_path: Path) -> None:
    rows = "".join(f"{video}_000030.mp4,dog barking\n" for video in VIDEOS)
    subset = listed(tmp_path, "subset.tsv", "id_labels", f"id\tlabel\n{VIDEOS[1]}_000030\tx\n")
    settings = {
        "lists": [listed(tmp_path, "test.csv", "clip_labels", rows, split="test")],
        "subset": subset,
        "caption": "The sound of {label}",
        "seconds": 8.0,
        "expected": {"test": 1},
    }
    manifest, refused, _ = build(tmp_path, "vggsound", settings)
    assert list(manifest["caption"]) == ["The sound of dog barking"]
    assert list(manifest["duration"]) == [8.0]
    assert set(refused["status"]) == {"not_selected"}
    assert set(refused["detail"]) == {"subset.tsv does not name it"}


def test_held_out_videos(tmp_path: Path) -> None:
    rows = "".join(f"{k // 2:011d},{k},dog,train\n" for k in range(400))
    published = listed(tmp_path, "v.csv", "vggsound", rows)
    manifest, _, card = build(tmp_path, "vggsound", {"lists": [published], "validation_share": 0.2})
    assert 50 < card["clips"]["validation"] < 110
    assert (manifest.assign(video=manifest["clip_id"].str[:11]).groupby("video")["split"].nunique() == 1).all()
    held_out = set(manifest.loc[manifest["split"] == "validation", "clip_id"])
    larger, _, _ = build(tmp_path, "vggsound", {"lists": [published], "validation_share": 0.4})
    assert held_out < set(larger.loc[larger["split"] == "validation", "clip_id"])


def test_sparse(tmp_path: Path) -> None:
    names = "".join(f"v,{video},30,{k % 2},1,1\n" for k, video in enumerate(VIDEOS))
    header = "dataset_name,video_id,start_sec,vid_is_missing,is_sync,is_sync_by_cls_obj\n"
    labels = "".join(f"{video}_000030.mp4,{'wind' if k == 2 else 'dog barking'}\n" for k, video in enumerate(VIDEOS))
    settings = {
        "lists": [listed(tmp_path, "clean.csv", "sync_labels", header + names, split="test")],
        "labels": [listed(tmp_path, "test.csv", "clip_labels", labels)],
        "flags": {"vid_is_missing": "0"},
    }
    manifest, refused, _ = build(tmp_path, "vggsound_sparse", settings)
    assert list(manifest["clip_id"]) == ["aaaaaaaaaaa_000030"]
    assert list(refused["detail"]) == [
        "vid_is_missing is '1', not '0'",
        "its label 'wind' is not one of the 12 classes",
        "vid_is_missing is '1', not '0'",
    ]
    classes = listed(tmp_path, "classes.tsv", "classes", "class\tis_sparse\nwind\ty\n")
    manifest, _, card = build(tmp_path, "vggsound_sparse", {**settings, "classes": classes})
    assert list(manifest["label"]) == ["wind"]
    assert card["lists"][1]["role"] == "classes"
    with pytest.raises(InputError, match="has no column 'sync', which `flags` names"):
        build(tmp_path, "vggsound_sparse", {**settings, "flags": {"sync": "1"}})
    with pytest.raises(ValidationError, match="labels"):
        DATASET_KINDS["vggsound_sparse"].model_validate({"lists": settings["lists"]})
    assert len(SPARSE_CLASSES) == 12


def test_nothing_is_written_that_is_not_as_expected(tmp_path: Path) -> None:
    published = listed(tmp_path, "test.csv", "clip_labels", f"{VIDEOS[0]}_000030.mp4,dog\n", split="test")
    with pytest.raises(InputError, match=r"vggsound: \{'test': 1\} clips came out, \{'test': 2\} are expected"):
        build(tmp_path, "vggsound", {"lists": [published], "expected": {"test": 2}})
    with pytest.raises(InputError, match="no clip of vggsound can be used: 1 not_selected"):
        build(tmp_path, "vggsound", {"lists": [published], "splits": ["train"]})
    assert not (tmp_path / "out" / "m.parquet").exists()
    assert len(read_ledgers([tmp_path / "out" / "m.refused.parquet"])) == 1


def test_command(tmp_path: Path) -> None:
    text = f"filename,start,desc,split\n{VIDEOS[0]},30,wind,train\n{VIDEOS[1]},30,wind,test\nx,1,y,test\n"
    settings = {"lists": [listed(tmp_path, "v.csv", "visualsound", text)]}
    output, refused = tmp_path / "m.parquet", tmp_path / "r.parquet"
    arguments = ["--settings", json.dumps(settings), "--output", str(output), "--refused", str(refused)]
    result = CliRunner().invoke(cli, ["dataset", "build", "visualsound", *arguments], catch_exceptions=False)
    assert result.output == "2 clips accepted (1 test, 1 train), 1 rows refused\n"
    wrong = {"lists": [listed(tmp_path, "w.csv", "vggsound", "x\n")]}
    with pytest.raises(ValidationError, match="must have the form `visualsound`"):
        VisualSoundSettings.model_validate(wrong)
