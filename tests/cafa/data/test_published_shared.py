"""The published lists themselves: every count that the paper and its peers go by."""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cafa.common.files import sha256_file
from cafa.common.ledger import ledger_row, read_ledgers, write_ledger
from cafa.data.manifest import read_manifest
from cafa.data.prompts import PromptSettings, make_prompts, read_prompts
from cafa.data.published_datasets import DATASET_KINDS, SPARSE_CLASSES, build_dataset

pytestmark = pytest.mark.shared

#: clips of each category of VGGSound-Sparse
SPARSE = {
    "chopping wood": 44,
    "dog barking": 31,
    "hammering nails": 40,
    "ice cracking": 41,
    "lions roaring": 22,
    "people eating apple": 34,
    "people eating crisps": 37,
    "people sneezing": 29,
    "playing badminton": 41,
    "playing tennis": 46,
    "skateboarding": 38,
    "striking bowling": 41,
}


@pytest.fixture
def lists(shared: Path) -> Path:
    return shared / "vggsound"


def one(lists: Path, name: str, form: str, split: str | None = None) -> dict[str, Any]:
    return {"path": str(lists / name), "format": form, "licence": "see its repository", "split": split}


def build(tmp_path: Path, kind: str, **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    output, refused = tmp_path / "m.parquet", tmp_path / "r.parquet"
    build_dataset(kind, DATASET_KINDS[kind].model_validate(settings), output, refused)
    return read_manifest(output), read_ledgers([refused])


def test_the_guide_names_their_checksums(lists: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text()
    for name in (
        "vggsound_test_official.csv",
        "vggsound_test_labels.tsv",
        "visualsound.csv",
        "vggsound_sparse_starts.csv",
        "vggsound_sparse_clean.csv",
    ):
        assert sha256_file(lists / name) in guide, name


def test_the_test_split(lists: Path, tmp_path: Path) -> None:
    official = one(lists, "vggsound_test_official.csv", "clip_labels", "test")
    manifest, refused = build(tmp_path, "vggsound", lists=[official], expected={"test": 15446})
    assert len(manifest) == 15446
    assert refused.empty
    assert manifest["label"].nunique() == 309
    subset = one(lists, "vggsound_test_labels.tsv", "id_labels")
    manifest, refused = build(tmp_path, "vggsound", lists=[official], subset=subset, expected={"test": 15221})
    assert len(manifest) == 15221
    assert dict(Counter(refused["status"])) == {"not_selected": 225}
    assert refused["line"].notna().all()


def test_training_clips(lists: Path, tmp_path: Path) -> None:
    """The training names hold no labels, and five of them are clips of the test split."""
    official = one(lists, "vggsound_test_official.csv", "clip_labels", "test")
    names = one(lists, "vggsound_train_ids.txt", "clip_names", "train")
    labels = one(lists, "visualsound.csv", "visualsound")
    manifest, refused = build(tmp_path, "vggsound", lists=[official, names], labels=[labels], splits=["train"])
    assert dict(Counter(refused["status"])) == {"not_selected": 15446, "duplicate_id": 5, "no_label": 79248}
    assert len(manifest) == 156696 - 5 - 79248 == 77443
    twice = refused[refused["status"] == "duplicate_id"]
    assert set(twice["clip_id"]) == {
        "JixXL5s6fnE_000070",
        "K_EsxukdNXM_000030",
        "o4HqWhVTW2o_000043",
        "rajXrf_Dzfw_000029",
        "sKtU5y4czNc_000045",
    }
    assert twice["detail"].str.contains("of vggsound_test_official.csv").all()


def test_visualsound(lists: Path, tmp_path: Path) -> None:
    manifest, refused = build(tmp_path, "visualsound", lists=[one(lists, "visualsound.csv", "visualsound")])
    assert dict(Counter(manifest["split"])) == {"train": 85619, "test": 5428}
    assert len(manifest) == 91047
    assert refused.empty
    assert manifest["label"].nunique() == 308


def test_sparse_and_its_prompts(lists: Path, tmp_path: Path) -> None:
    official = one(lists, "vggsound_test_official.csv", "clip_labels")
    starts = one(lists, "vggsound_sparse_starts.csv", "clip_starts", "test")
    manifest, refused = build(tmp_path, "vggsound_sparse", lists=[starts], labels=[official], expected={"test": 444})
    assert dict(Counter(manifest["label"])) == SPARSE
    assert refused.empty
    classes = one(lists, "picked_sparse_classes.tsv", "classes")
    same, _ = build(tmp_path, "vggsound_sparse", lists=[starts], labels=[official], classes=classes)
    assert same.equals(manifest)
    assert set(SPARSE) == SPARSE_CLASSES

    write_ledger(tmp_path / "l.parquet", [ledger_row(clip_id, "ingest") for clip_id in manifest["clip_id"]])
    settings = PromptSettings.model_validate({"matched": {}, "sound_of_label": {}, "cross": {}})
    counts = make_prompts(manifest, [tmp_path / "l.parquet"], settings, 0, tmp_path / "p.parquet", tmp_path / "x")
    assert counts == {"cross": 4884, "matched": 444, "sound_of_label": 444}
    cross = read_prompts(tmp_path / "p.parquet").query("protocol == 'cross'")
    assert (cross.groupby("clip_id")["label"].nunique() == 11).all()
    assert (cross["label"] != cross["own_label"]).all()
    assert (cross["caption"] == cross["label"]).all()


def test_sparse_with_sync_labels(lists: Path, tmp_path: Path) -> None:
    official = one(lists, "vggsound_test_official.csv", "clip_labels")
    clean = one(lists, "vggsound_sparse_clean.csv", "sync_labels", "test")
    manifest, refused = build(tmp_path, "vggsound_sparse", lists=[clean], labels=[official])
    assert dict(Counter(manifest["label"])) == dict.fromkeys(SPARSE, 50)
    assert refused.empty
    flags = {"vid_is_missing": "0", "is_sync": "1"}
    manifest, refused = build(tmp_path, "vggsound_sparse", lists=[clean], labels=[official], flags=flags)
    assert len(manifest) == 457
    assert dict(Counter(refused["detail"])) == {
        "is_sync is '0', not '1'": 103,
        "vid_is_missing is '1', not '0'": 40,
    }


def test_the_eight_that_peers_miss(lists: Path, tmp_path: Path) -> None:
    starts = one(lists, "vggsound_sparse_starts.csv", "clip_starts", "test")
    labels = one(lists, "vggsound_test_labels.tsv", "id_labels")
    manifest, refused = build(tmp_path, "vggsound_sparse", lists=[starts], labels=[labels])
    assert len(manifest) == 436
    assert dict(Counter(refused["status"])) == {"no_label": 8}
