import pytest

from cafa.common.errors import InputError
from metrics.judge_quality.verdict import thresholds, trained_measures
from metrics.judges.kinds import miniature_judges
from metrics.judges.training.settings import judge_settings


@pytest.mark.parametrize("name", miniature_judges())
def test_every_judge_has_defaults(name):
    assert judge_settings(name, {}).loop.steps > 0


def test_what_is_given_overrides_entry_by_entry():
    settings = judge_settings("clap", {"loop": {"steps": 7}, "augmentation": {"gain": 0}})
    assert settings.loop.steps == 7
    assert settings.loop.batch_size == judge_settings("clap", {}).loop.batch_size
    assert settings.augmentation.gain == 0
    assert settings.augmentation.noise > 0


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("panns", {}, "no judge 'panns' can be trained: use one of classifier"),
        ("clap", {"lop": {}}, "unknown or not an object: .'lop'"),
        ("clap", {"loop": 3}, "unknown or not an object"),
        ("clap", {"loop": {"stepps": 3}}, "stepps"),
        ("clap", {"loop": {"steps": 0}}, "greater than 0"),
    ],
)
def test_bad_settings_are_refused(name, given, message):
    with pytest.raises(InputError, match=message):
        judge_settings(name, given)


def test_thresholds_override_defaults():
    measures = trained_measures()
    limits = thresholds({"classifier": {"accuracy": 0.5}}, measures)
    assert limits["classifier"]["accuracy"] == 0.5
    assert limits["synchformer"]["matched_error_seconds"] == measures["synchformer"]["matched_error_seconds"][1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"panns": {}}, "no judge 'panns'"),
        ({"clap": {"accuracy": 1}}, "no measure 'accuracy'; it has matched_over_other"),
        ({"clap": {"matched_over_other": "high"}}, "must be a number"),
        ({"clap": {"matched_over_other": True}}, "must be a number"),
    ],
)
def test_bad_thresholds_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        thresholds(given, trained_measures())
