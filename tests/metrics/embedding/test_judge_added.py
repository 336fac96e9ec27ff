"""A judge that is added after a run embeds alone, where a folder of embeddings is shared."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cafa.common.shards import shard_of
from metrics.embedding import published as judging
from tests.metrics.embedding.small_set import QUICK, Place
from tests.words import words


def folder_of_judges(place: Place, folder: Path, judges: Sequence[str]) -> Path:
    """Some of the registered judges."""
    folder.mkdir()
    for judge in judges:
        (folder / judge).symlink_to(place.judges / judge)
    return folder


def test_a_judge_that_is_added_later_is_the_only_one_that_embeds(
    place: Place,
    truth: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[[list[str]], Any],
):
    asked: list[set[str]] = []
    embed_audio, embed_text = judging.RealJudges.embed_audio, judging.RealJudges.embed_text

    def counted(self: Any, sounds: Any, video: Any, judges: Any) -> Any:
        asked.append(set(judges))
        return embed_audio(self, sounds, video, judges)

    def counted_text(self: Any, captions: Any, judge: str = "clap") -> Any:
        asked.append({f"text of {judge}"})
        return embed_text(self, captions, judge)

    monkeypatch.setattr(judging.RealJudges, "embed_audio", counted)
    monkeypatch.setattr(judging.RealJudges, "embed_text", counted_text)
    monkeypatch.setenv("CAFA_EMBEDDINGS", str(tmp_path / "store"))
    before = folder_of_judges(place, tmp_path / "before", ["classifier", "imagebind", "synchformer"])
    shard = place.shards.index(shard_of("clip0", 2))
    own = {"manifest": place.root / "manifest.parquet", "clips": place.clips(place.shards[shard])}
    own |= {"ingest_ledger": place.ledger(place.shards[shard]), "shard": f"{place.shards[shard]}/2"}
    settings = QUICK.model_dump_json()

    def embed(judges: Path, folder: Path) -> None:
        command(words("embed", "reference", judges=judges, **own, settings=settings, output_folder=folder / "own"))
        sounds = {"index": place.index, "reference_embeddings": truth, "output_folder": folder / "ours"}
        command(words("embed", "samples", judges=judges, **sounds, settings=settings))

    embed(before, tmp_path / "first")
    assert {"classifier", "imagebind", "synchformer"} in asked
    asked.clear()
    embed(place.judges, tmp_path / "more")
    assert asked
    assert set.union(*asked) == {"clap"}
    text = {"judges": place.judges, "prompts": place.root / "prompts.parquet"}
    command(words("embed", "text", **text, output=tmp_path / "more" / "text.parquet"))
    asked.clear()
    embed(place.judges, tmp_path / "again")
    command(words("embed", "text", **text, output=tmp_path / "again" / "text.parquet"))
    assert asked == []
    for folder in ("own", "ours"):
        for made in (tmp_path / "again" / folder).glob("[!.]*"):
            if made.name != "ledger.parquet":  # its rows have the time
                assert made.read_bytes() == (tmp_path / "more" / folder / made.name).read_bytes(), made
    for path in truth[shard].glob("[!.]*"):
        if path.name != "ledger.parquet":
            assert (tmp_path / "again" / "own" / path.name).read_bytes() == path.read_bytes(), path
