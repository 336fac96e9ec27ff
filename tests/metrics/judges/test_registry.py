import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cafa.common.errors import InputError, WeightsError
from cafa.common.files import read_json, sha256_file, write_json
from metrics.judge_quality.published import (
    CANARIES,
    CanarySettings,
    largest_cosine,
    paraphrase_retrieval,
    same_over_other,
    verdict,
    without_clips,
)
from metrics.judges.registry import CARD, PretrainedSettings, are_pretrained, open_registered, register


def registered(settings: dict[str, Any], folder: Path) -> Path:
    for judge in ("classifier", "clap", "imagebind", "synchformer"):
        register(judge, PretrainedSettings.model_validate(settings), folder / judge)
    return folder


@pytest.fixture(scope="module")
def judges(tiny_weights: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return registered(tiny_weights, tmp_path_factory.mktemp("judges"))


def test_a_card_says_what_was_registered(judges: Path, tiny_weights: dict[str, Any]):
    card = read_json(judges / "clap" / CARD)
    checkpoint = Path(tiny_weights["weights"]) / "music_speech_audioset_epoch_15_esc_89.98.pt"
    assert (card["kind"], card["model"]) == ("pretrained", "laion_clap")
    assert sorted(card["files"]) == ["laion_clap", "roberta_merges", "roberta_vocab"]
    assert card["weights_sha256"] == card["files"]["laion_clap"] == sha256_file(checkpoint)
    assert are_pretrained(judges)


def test_weights_without_a_recorded_digest_are_refused(tmp_path: Path, tiny_weights: dict[str, Any]):
    bare = tmp_path / "weights.tsv"
    rows = [line.split("\t") for line in Path(tiny_weights["table"]).read_text().splitlines()]
    bare.write_text(
        "".join("\t".join([*row[:2], row[2] if row[2] == "sha256" else "", *row[3:]]) + "\n" for row in rows)
    )
    settings = PretrainedSettings.model_validate({**tiny_weights, "table": str(bare)})
    with pytest.raises(WeightsError, match="imagebind_huge: no SHA-256 is recorded"):
        register("imagebind", settings, tmp_path)
    assert not (tmp_path / CARD).exists()


def test_a_network_that_does_not_fit_is_refused_when_it_is_registered(tmp_path: Path, tiny_weights: dict[str, Any]):
    sizes = {**tiny_weights["sizes"], "classifier": {"channels": [1, 4, 4, 8, 8, 16, 32]}}
    settings = PretrainedSettings.model_validate({**tiny_weights, "sizes": sizes})
    with pytest.raises(WeightsError, match=r"Cnn14_16k_mAP=0\.438\.pth: weights do not fit Cnn14"):
        register("classifier", settings, tmp_path)
    assert not (tmp_path / CARD).exists()


def test_missing_files_are_all_named(tmp_path: Path):
    with pytest.raises(WeightsError) as error:
        register("clap", PretrainedSettings(weights=tmp_path), tmp_path / "clap")
    *lines, advice = str(error.value).split("\n")
    assert "cafa weights get" in advice
    assert [line.split()[1] for line in lines] == [
        "laion_clap",
        "roberta_vocab",
        "roberta_merges",
    ]
    with pytest.raises(InputError, match="no judge 'ears'"):
        register("ears", PretrainedSettings(weights=tmp_path), tmp_path / "ears")


def test_other_bytes_than_those_registered_are_refused(tmp_path: Path, judges: Path):
    copied = tmp_path / "imagebind"
    card = read_json(judges / "imagebind" / CARD)
    card["files"]["imagebind_huge"] = "0" * 64
    write_json(copied / CARD, card)
    with pytest.raises(WeightsError, match=r"has SHA-256 .*, expected 0000"):
        open_registered(tmp_path, ["imagebind"])


def test_folders_without_cards_or_with_both_kinds_are_refused(tmp_path: Path, judges: Path):
    with pytest.raises(WeightsError, match="no card of the classifier: train"):
        are_pretrained(tmp_path)
    for judge in ("classifier", "clap", "imagebind", "synchformer"):
        card = read_json(judges / judge / CARD)
        write_json(tmp_path / judge / CARD, {**card, "kind": "classifier" if judge == "classifier" else "pretrained"})
    with pytest.raises(WeightsError, match="mixes pretrained judges"):
        are_pretrained(tmp_path)


def test_only_what_is_needed_is_loaded(judges: Path):
    of_audio = open_registered(judges, parts=["audio"])
    assert list(of_audio) == ["classifier", "clap", "imagebind", "synchformer"]
    assert all(judge.audio_encoder is not None and judge.video_encoder is None for judge in of_audio.values())
    with pytest.raises(InputError, match="text tower was not loaded"):
        of_audio["clap"].embed_text(["a dog"])
    of_text = open_registered(judges, parts=["text"])
    assert list(of_text) == ["clap"]
    assert of_text["clap"].audio_encoder is None
    assert of_text["clap"].embed_text(["a dog"]).shape[0] == 1
    of_video = open_registered(judges, parts=["video"])
    assert list(of_video) == ["imagebind", "synchformer"]
    assert all(judge.video_encoder is not None and judge.audio_encoder is None for judge in of_video.values())


def test_canaries_catch_what_cannot_judge(judges: Path):
    cards = {judge: read_json(judges / judge / CARD) for judge in CANARIES}
    opened = open_registered(judges)
    values = without_clips(opened)
    found = verdict(values, {}, CanarySettings(), cards)
    # Weights by rule react to what they are given, but know no words.
    assert not found["good"]
    assert not found["judges"]["clap"]["measures"]["paraphrase_retrieval"]["good"]
    for judge in ("classifier", "imagebind", "synchformer"):
        assert found["judges"][judge]["good"], found["judges"][judge]
    assert found["judges"]["clap"]["files"].keys() == cards["clap"]["files"].keys()
    lenient = CanarySettings(thresholds={"clap": {"paraphrase_retrieval": 0.0}})
    assert verdict(values, {}, lenient, cards)["good"]
    # A network of which nothing was loaded answers the same to everything.
    for name, parameter in opened["imagebind"].audio.network.named_parameters():
        if name.endswith("head.weight"):
            parameter.data.zero_()
    with torch.inference_mode():
        assert without_clips(opened)["imagebind"]["largest_cosine_of_different_sounds"] == 1.0
    with pytest.raises(InputError, match="no measure 'pitch'"):
        verdict(values, {}, CanarySettings(thresholds={"clap": {"pitch": 0.0}}), cards)


def test_measures_of_canaries():
    assert largest_cosine(np.eye(3)) == 0
    assert largest_cosine(np.ones((3, 4))) == pytest.approx(1)
    assert largest_cosine(np.full((2, 2), np.nan)) == 1
    assert paraphrase_retrieval(np.eye(4), np.eye(4)) == 1
    assert paraphrase_retrieval(np.eye(4), np.roll(np.eye(4), 1, axis=0)) == 0
    rows = np.array([[1.0, 0.1], [1.0, 0.0], [0.1, 1.0], [0.0, 1.0]])
    assert same_over_other(rows, np.array([0, 0, 1, 1])) == 1
    assert same_over_other(rows, np.array([0, 1, 0, 1])) == pytest.approx(0.25)
    assert same_over_other(rows, np.arange(4)) is None


def test_the_verbs_register_and_measure(tmp_path: Path, tiny_weights: dict[str, Any], command):
    for judge in CANARIES:
        command(
            [
                "judges",
                "register",
                judge,
                "--settings",
                json.dumps(tiny_weights),
                "--output",
                str(tmp_path / "judges" / judge),
            ]
        )
    settings = json.dumps({"thresholds": {"clap": {"paraphrase_retrieval": 0.0}}})
    command(
        [
            "judges",
            "canary",
            "--judges",
            str(tmp_path / "judges"),
            "--settings",
            settings,
            "--output",
            str(tmp_path / "judges.json"),
        ]
    )
    assert read_json(tmp_path / "judges.json")["good"]
