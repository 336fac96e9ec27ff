"""What rows a data set takes: links that lead elsewhere, captions of many words."""

from pathlib import Path

import pandas as pd
import pytest

from cafa.common.errors import ClipError, InputError
from cafa.common.ledger import ledger_row, write_ledger
from cafa.data.ingest import RootFolder
from cafa.data.manifest import RowRules, build_manifest, local_path, read_manifest
from cafa.data.prompts import PromptSettings, make_prompts


def build(folder: Path, text: str, rules: RowRules) -> tuple[pd.DataFrame, pd.DataFrame]:
    (folder / "clips.csv").write_text("clip_id,uri,label,caption\n" + text)
    build_manifest(folder / "clips.csv", folder / "root", folder / "m.parquet", folder / "r.parquet", rules=rules)
    return read_manifest(folder / "m.parquet"), pd.read_parquet(folder / "r.parquet")


def test_links_are_followed_where_a_data_set_says_so(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a.mp4").write_bytes(b"x")
    (tmp_path / "root" / "a.mp4").symlink_to(tmp_path / "store" / "a.mp4")
    (tmp_path / "root" / "all").symlink_to(tmp_path / "store")
    rows = "a,a.mp4,dog,\nb,all/a.mp4,dog,\nc,../store/a.mp4,dog,\n"
    manifest, refused = build(tmp_path, rows, RowRules())
    assert manifest.empty
    assert [detail.count("`follow_links: true`") for detail in refused["detail"]] == [1, 1, 0]
    manifest, refused = build(tmp_path, rows, RowRules(follow_links=True))
    assert list(manifest["clip_id"]) == ["a", "b"]
    assert "without '..'" in refused["detail"][0]
    row = {"uri": "a.mp4", "start": 0.0}
    assert RootFolder(tmp_path / "root", follow_links=True).find(row).path == tmp_path / "store" / "a.mp4"
    with pytest.raises(ClipError, match="--follow-links"):
        RootFolder(tmp_path / "root").find(row)
    with pytest.raises(ClipError, match="leads out of"):
        local_path(tmp_path / "root", ".", follow_links=True)


def test_captions_that_the_text_encoder_cannot_take_are_refused_with_their_line(tmp_path: Path) -> None:
    fits, long = "w " * 15 + "w", "w " * 16 + "w"
    rows = f"a,a.mp4,dog,{fits}\nb,b.mp4,dog,{long}\nc,c.mp4,dog,!!!\n"
    manifest, refused = build(tmp_path, rows, RowRules(caption_words=16))
    assert list(manifest["clip_id"]) == ["a"]
    assert list(refused["line"]) == [3, 4]
    assert "the caption has 17 words, the text encoder takes 1 to 16 (`features.text.words`)" in refused["detail"][0]
    assert "has 0 words" in refused["detail"][1]
    manifest, refused = build(tmp_path, rows, RowRules())
    assert refused.empty


def test_prompts_that_the_text_encoder_cannot_take_are_refused(tmp_path: Path) -> None:
    manifest, _ = build(tmp_path, "a,a.mp4,dog,dog barking\n", RowRules())
    write_ledger(tmp_path / "ingest.parquet", [ledger_row("a", "ingest")])
    (tmp_path / "list.csv").write_text(f"clip_id,caption\na,dog\na,{'w ' * 16}w\n")

    def make(settings: PromptSettings) -> None:
        make_prompts(manifest, [tmp_path / "ingest.parquet"], settings, 0, tmp_path / "p", tmp_path / "x", 16)

    with pytest.raises(InputError, match=r"list\.csv, line 3: the caption has 17 words"):
        make(PromptSettings(file=tmp_path / "list.csv"))
    with pytest.raises(InputError, match="protocol matched, clip a: the caption has 18 words"):
        make(PromptSettings(matched={"caption": "{caption} " + "w " * 16}))
    make(PromptSettings(matched={}))
