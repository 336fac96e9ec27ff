import json

import numpy as np
import pytest

from cafa.common.errors import InputError
from cafa.common.files import read_json
from metrics.judge_quality.miniature import category_retrieval, measure, shifted_errors
from metrics.judge_quality.verdict import own_over_other, report, thresholds, trained_measures, verdict_lines
from metrics.judges.trained import MicroJudges
from metrics.judges.training.clips import read_clips

TARGETS = np.array([0, 0, 1])


def test_own_over_other_ignores_pairs_of_one_label():
    similarity = np.array([[0.5, 0.9, 0.4], [0.9, 0.5, 0.6], [0.1, 0.7, 0.6]])
    # Pairs of other labels: (0,2) below, (1,2) above, (2,0) below, (2,1) above the row's own.
    assert own_over_other(similarity, TARGETS) == 0.5


def test_retrieval_leaves_out_the_own_sound():
    similarity = np.array([[1.0, 0.5, 0.2], [0.1, 1.0, 0.3], [0.4, 0.2, 1.0]])
    assert category_retrieval(similarity, TARGETS) == pytest.approx(1 / 3)


def test_the_toy_judges_judge(toy):
    values = measure(MicroJudges(toy.judges), toy.clips, 3, toy.dub)
    assert {name: set(rows) for name, rows in values.items()} == {
        name: set(rows) for name, rows in trained_measures().items()
    }
    assert values["classifier"]["accuracy"] > 0.9
    assert values["clap"]["matched_over_other"] > 0.9
    assert values["imagebind"]["own_over_other"] > 0.9
    # Chance of a shifted pair is 0.67 s.
    assert values["synchformer"]["matched_error_seconds"] < 0.2
    assert values["synchformer"]["dubbed_error_seconds"] < 0.3
    assert values["synchformer"]["desync_true_seconds"] < 0.1


def test_sounds_at_other_times_are_found_out(toy):
    judges = MicroJudges(toy.judges)
    wrong = shifted_errors(judges, toy.clips, 3, lambda row, label: toy.dub((row + 7) % len(toy.clips), label))
    assert wrong.mean() > 2 * shifted_errors(judges, toy.clips, 3, toy.dub).mean() + 0.2


def test_without_truth_dubbed_pairs_are_not_measured(toy):
    assert not [name for name in measure(MicroJudges(toy.judges), toy.clips, 3)["synchformer"] if "dubbed" in name]


def test_a_label_that_judges_do_not_know_is_refused(toy):
    manifest = toy.manifest.assign(label="organ")
    clips = read_clips([toy.frames], [toy.mel], manifest)
    with pytest.raises(InputError, match=r"not trained on: \['organ'\]"):
        measure(MicroJudges(toy.judges), clips, 3)


def test_the_verdict_follows_direction_and_threshold():
    weights = {"classifier": "0" * 64, "synchformer": "1" * 64}
    values = {"classifier": {"accuracy": 0.9}, "synchformer": {"matched_error_seconds": 0.1}}
    limits = thresholds({"classifier": {"accuracy": 0.95}}, trained_measures())
    result = report(values, limits, weights, trained_measures())
    assert not result["good"]
    assert not result["judges"]["classifier"]["good"]
    assert result["judges"]["synchformer"]["measures"]["matched_error_seconds"] == {
        "value": 0.1,
        "threshold": 0.15,
        "direction": "<=",
        "good": True,
    }
    assert verdict_lines(result)[-1].startswith("WARNING: classifier cannot be trusted")
    good = report(
        values, thresholds({"classifier": {"accuracy": 0.9}}, trained_measures()), weights, trained_measures()
    )
    assert good["good"]
    assert verdict_lines(good)[-1] == "all judges are good enough"


def test_the_command_succeeds_and_says_so_if_judges_are_bad(toy, command, tmp_path):
    arguments = ["judges", "check", "--judges", str(toy.judges), "--frames", str(toy.frames), "--mel", str(toy.mel)]
    arguments += ["--manifest", str(toy.manifest_path), "--seed", "3", "--output", str(tmp_path / "judges.json")]
    said = command([*arguments, "--settings", json.dumps({"clap": {"matched_over_other": 1.1}})])
    assert "WARNING: clap" in said
    result = read_json(tmp_path / "judges.json")
    assert result["good"] is False
    assert (
        result["judges"]["classifier"]["weights_sha256"] == MicroJudges(toy.judges).judges["classifier"].weights_sha256
    )


def test_the_command_trains(toy, command, tmp_path):
    output = tmp_path / "classifier"
    settings = json.dumps({"loop": {"steps": 2, "batch_size": 4}})
    command(
        [
            "judges",
            "train",
            "classifier",
            "--frames",
            str(toy.frames),
            "--mel",
            str(toy.mel),
            "--manifest",
            str(toy.manifest_path),
            "--settings",
            settings,
            "--seed",
            "1",
            "--output",
            str(output),
        ]
    )
    assert sorted(path.name for path in output.iterdir()) == ["card.json", "loss.parquet", "model.safetensors"]


@pytest.mark.parametrize(("settings", "message"), [("{", "not JSON"), ("[1]", "must be a JSON object")])
def test_settings_that_are_no_object_are_refused(toy, command, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        command(
            [
                "judges",
                "train",
                "clap",
                "--frames",
                str(toy.frames),
                "--mel",
                str(toy.mel),
                "--manifest",
                str(toy.manifest_path),
                "--settings",
                settings,
                "--seed",
                "1",
                "--output",
                str(tmp_path),
            ]
        )
