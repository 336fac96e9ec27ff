"""Pretrained judges over a data set, with tiny weights of the published layouts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cafa.common.errors import InputError, MissingClipError
from cafa.common.ledger import read_ledgers, write_ledger
from cafa.common.shards import shard_of
from metrics.embedding import published as judging
from metrics.embedding.published import embed_captions_of, embed_reference_shard, embed_samples_shard
from metrics.embedding.reading import CLIP_KEY, SAMPLE_KEY, read_embeddings, same_judge
from metrics.judges.media import decode_whole_sound
from metrics.judges.registry import open_registered
from metrics.tables.scores import read_generated, read_reference, read_sample_index, score_system
from tests.metrics.embedding.small_set import QUICK, SECONDS, Place
from tests.words import words


def test_every_clip_ends_embedded_or_in_the_ledger(place: Place, truth: list[Path]):
    ledger = read_ledgers([folder / "ledger.parquet" for folder in truth]).set_index("clip_id")
    assert ledger["status"].to_dict() == {
        "clip0": "ok",
        "clip1": "ok",
        "clip2": "short",
        "clip3": "missing_feature",
    }
    assert ledger.loc["clip3", "detail"] == "ingest: corrupt"
    found = read_embeddings([folder / "classifier.parquet" for folder in truth], CLIP_KEY, ("embedding", "logits"))
    assert sorted(found.keys()["clip_id"]) == ["clip0", "clip1"]
    assert (found.audio_protocol, found.reported_classes) == (
        {"seconds": SECONDS, "imagebind_hears": SECONDS},
        {"Speech": 0, "Music": 137},
    )
    assert not list(place.root.glob("truth/*/.cache"))


def test_samples_are_scored_as_the_encoders_score_them(place: Place, truth: list[Path], tmp_path: Path):
    counts = embed_samples_shard(place.judges, place.index, truth, QUICK, tmp_path / "ours")
    assert counts == {"missing_feature": 1, "ok": 2, "short": 1}
    embed_captions_of(
        place.judges, [*place.prompts["caption"], *place.prompts["own_caption"]], tmp_path / "text.parquet"
    )
    index = read_sample_index([tmp_path / "ours" / "index.parquet"]).set_index("clip_id")
    assert index["status"].to_dict() == {
        "clip0": "ok",
        "clip1": "ok",
        "clip2": "short",
        "clip3": "missing_feature",
    }
    assert index.loc["clip2", "detail"].startswith("the clip's picture: the clip itself: 3.000 s of sound")
    seconds = pd.read_parquet(tmp_path / "ours" / "index.parquet")["seconds"]
    assert set(seconds.dropna()) == {SECONDS}  # what was scored, not what was generated
    scores = score_system(
        "ours",
        place.prompts,
        read_generated([tmp_path / "ours"]),
        read_reference(truth, tmp_path / "text.parquet"),
        index.reset_index(),
    )
    assert set(scores["metric"]) == {
        "KL",
        "IB",
        "DeSync",
        "DeSync_windows",
        "CLAP",
        "Acc",
        "Acc_margin",
        "Speech",
        "Music",
    }
    clap = open_registered(place.judges)["clap"]
    sound = clap.prepare_audio(*decode_whole_sound(place.index.with_suffix("") / "clip1.flac"), SECONDS)
    expected = float(clap.embed_audio([sound], [None])["embedding"][0] @ clap.embed_text(["a dog"])[0])
    mine = scores[(scores["clip_id"] == "clip1") & (scores["metric"] == "CLAP")]["value"].item()
    assert mine == pytest.approx(expected, abs=1e-6)


def test_an_interrupted_shard_continues_to_the_same_bits(
    place: Place, truth: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = tmp_path / "whole"
    embed_samples_shard(place.judges, place.index, truth, QUICK, whole)
    calls: list[int] = []
    embed_audio = judging.RealJudges.embed_audio

    def counted(self: Any, sounds: Any, *rest: Any) -> Any:
        if len(calls) == 1 and not stopped:
            stopped.append(True)
            raise KeyboardInterrupt
        calls.append(len(sounds))
        return embed_audio(self, sounds, *rest)

    stopped: list[bool] = []
    monkeypatch.setattr(judging.RealJudges, "embed_audio", counted)
    with pytest.raises(KeyboardInterrupt):
        embed_samples_shard(place.judges, place.index, truth, QUICK, tmp_path / "cut")
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == [".cache"]
    embed_samples_shard(place.judges, place.index, truth, QUICK, tmp_path / "cut")
    assert calls == [1, 1]  # each of the two sounds once
    for name in ("classifier", "clap", "imagebind", "synchformer", "index"):
        assert (tmp_path / "cut" / f"{name}.parquet").read_bytes() == (whole / f"{name}.parquet").read_bytes()


def test_tf32_holds_while_sounds_are_judged_and_is_on_record(
    place: Place, truth: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen, embed_audio = [], judging.RealJudges.embed_audio
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # as commands have it

    def watched(self: Any, sounds: Any, *rest: Any) -> Any:
        seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
        return embed_audio(self, sounds, *rest)

    monkeypatch.setattr(judging.RealJudges, "embed_audio", watched)
    faster = QUICK.model_copy(update={"tf32": True})
    for settings, name in ((QUICK, "exact"), (faster, "faster")):
        embed_samples_shard(place.judges, place.index, truth, settings, tmp_path / name)
    assert seen == [(False, False)] * 2 + [(True, True)] * 2
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    exact, told = (
        read_embeddings([tmp_path / name / "classifier.parquet"], SAMPLE_KEY, ("embedding", "logits"))
        for name in ("exact", "faster")
    )
    assert told.audio_protocol == {**(exact.audio_protocol or {}), "tf32": True}
    assert "tf32" not in QUICK.model_dump()
    own = read_embeddings([folder / "classifier.parquet" for folder in truth], CLIP_KEY, ("embedding", "logits"))
    same_judge(own, exact)
    with pytest.raises(InputError, match="'tf32': True"):
        same_judge(own, told)


def test_workers_move_no_bit(place: Place, truth: list[Path]):
    shard = shard_of("clip0", 2)
    alone = place.root / "alone"
    here = QUICK.model_copy(update={"workers": 0})
    embed_reference_shard(
        place.judges, place.manifest, place.clips(shard), place.ledger(shard), (shard, 2), here, alone
    )
    for name in ("classifier.parquet", "imagebind.parquet", "synchformer.parquet", "video.arrow"):
        assert (truth[place.shards.index(shard)] / name).read_bytes() == (alone / name).read_bytes()


def test_too_many_losses_are_refused_with_their_names(place: Place, truth: list[Path], tmp_path: Path):
    shard = shard_of("clip2", 2)
    strict = QUICK.model_copy(update={"max_loss": 0.1})
    with pytest.raises(MissingClipError, match=r"cannot be judged, more than max_loss 10\.0%: clip2 \(short: 3\.000 s"):
        embed_reference_shard(
            place.judges, place.manifest, place.clips(shard), place.ledger(shard), (shard, 2), strict, tmp_path / "t"
        )
    assert not (tmp_path / "t" / "classifier.parquet").exists()
    with pytest.raises(MissingClipError, match=r"33\.3% of 3 cannot be judged.*clip2/other/cross"):
        embed_samples_shard(place.judges, place.index, truth, strict, tmp_path / "s")


def test_other_lengths_and_changed_files_are_refused(place: Place, truth: list[Path], tmp_path: Path):
    longer = QUICK.model_copy(update={"seconds": 5.0})
    with pytest.raises(InputError, match="which is not the configured one"):
        embed_samples_shard(place.judges, place.index, truth, longer, tmp_path / "s")
    rows = pd.read_parquet(place.index)
    rows.loc[0, "sha256"] = "0" * 64
    index = tmp_path / "0.parquet"
    rows.to_parquet(index, index=False)
    (tmp_path / "0").symlink_to(place.index.with_suffix(""))
    with pytest.raises(InputError, match=r"clip0\.flac has changed since the index of samples"):
        embed_samples_shard(place.judges, index, truth, QUICK, tmp_path / "s")


def test_a_shard_without_clips_has_empty_files_that_can_be_read(place: Place, truth: list[Path], tmp_path: Path):
    write_ledger(tmp_path / "none.parquet", [])
    nothing = place.manifest.iloc[:0]
    embed_reference_shard(place.judges, nothing, tmp_path, tmp_path / "none.parquet", (0, 1), QUICK, tmp_path / "empty")
    counts = embed_samples_shard(place.judges, place.index, [*truth, tmp_path / "empty"], QUICK, tmp_path / "ours")
    assert counts["ok"] == 2


def embedded_by_commands(place: Place, own: list[Path], folder: Path, command: Callable[[list[str]], Any]) -> Path:
    """Embed, check and score with the commands; the scores."""
    settings = json.dumps({"seconds": SECONDS, "max_loss": 1.0})
    shard, judges, ours = place.shards[0], place.judges, folder / "e" / "ours" / "0"
    manifest, prompts, text = place.root / "manifest.parquet", place.root / "prompts.parquet", folder / "text.parquet"
    clips = {"clips": place.clips(shard), "ingest_ledger": place.ledger(shard), "shard": f"{shard}/2"}
    command(
        words(
            "embed",
            "reference",
            judges=judges,
            manifest=manifest,
            **clips,
            settings=settings,
            output_folder=folder / "own",
        )
    )
    assert (folder / "own" / "clap.parquet").read_bytes() == (own[0] / "clap.parquet").read_bytes()
    sounds = {"index": place.index, "reference_embeddings": own, "output_folder": ours}
    command(words("embed", "samples", judges=judges, **sounds, settings=settings))
    command(words("embed", "text", judges=judges, prompts=prompts, output=text))
    lenient = {
        "clap": {"paraphrase_retrieval": 0.0, "matched_over_other": 0.0},
        "imagebind": {"own_over_other": 0.0},
        "synchformer": {"desync_of_own_sound": 2.0},
    }
    measured = {"reference_embeddings": own, "text": text, "manifest": manifest}
    settings = json.dumps({"thresholds": lenient})
    command(words("judges", "canary", judges=judges, **measured, settings=settings, output=folder / "judges.json"))
    checked = json.loads((folder / "judges.json").read_text())
    assert "desync_of_own_sound" in checked["judges"]["synchformer"]["measures"]
    scored = {"embeddings": ours, "reference_embeddings": own, "text": text, "index": ours / "index.parquet"}
    command(words("score", system="ours", prompts=prompts, **scored, output=folder / "ours.parquet"))
    return folder / "ours.parquet"


def test_the_verbs_and_the_table(place: Place, truth: list[Path], tmp_path: Path, command: Callable[[list[str]], Any]):
    scores = embedded_by_commands(place, truth, tmp_path, command)
    metrics = ["FAD", "KAD", "FAD_CLAP", "KAD_CLAP", "KL", "IB", "CLAP", "Acc", "DeSync", "Speech", "Music"]
    settings = json.dumps(
        {"protocol": "cross", "systems": ["ours"], "metrics": metrics, "max_loss": 0.5, "bootstrap": {"resamples": 100}}
    )
    inputs = {"scores": scores, "reference_embeddings": truth, "prompts": place.root / "prompts.parquet"}
    folders = {
        "embeddings_folder": tmp_path / "e",
        "samples_folder": tmp_path / "e",
        "judges": tmp_path / "judges.json",
    }
    ledgers = [folder / "ledger.parquet" for folder in truth]
    outputs = {"csv": "t.csv", "markdown": "t.md", "card": "t.json", "differences": "d.csv", "categories": "c.csv"}
    outputs = {name: tmp_path / file for name, file in outputs.items()}
    command(words("table", name="table1", settings=settings, **inputs, **folders, ledger=ledgers, **outputs))
    row = pd.read_csv(tmp_path / "t.csv").loc[0]
    for metric in metrics:
        assert np.isfinite(row[[metric, f"{metric}_low", f"{metric}_high"]].astype(float)).all(), metric
        assert row[f"{metric}_n"] == 2
    card = json.loads((tmp_path / "t.json").read_text())
    assert card["seconds_scored"] == [SECONDS]
    assert card["stages"]["embed reference"] == {"missing_feature": 1, "ok": 2, "short": 1}
    assert card["missing"]["ours"]["reasons"] == {"missing_feature": 1, "short": 1}
    categories = pd.read_csv(tmp_path / "c.csv")
    pair = categories[(categories["own_label"] == "a dog") & (categories["metric"] == "Acc")]
    assert pair[["label", "n"]].to_numpy().tolist() == [["a drum", 1]]


def test_options_of_the_other_kind_of_judges_are_refused(place: Place, tmp_path: Path, command: Any):
    arguments = [
        "embed",
        "samples",
        "--judges",
        str(place.judges),
        "--index",
        str(place.index),
        "--output-folder",
        str(tmp_path),
    ]
    with pytest.raises(InputError, match="are pretrained: give --reference-embeddings"):
        command(arguments)
    with pytest.raises(InputError, match="are pretrained: leave out --frames"):
        command([*arguments, "--reference-embeddings", "t", "--frames", "f.arrow"])
