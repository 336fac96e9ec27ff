import pytest

from cafa.cli.evaluate import command
from metrics.judges.kinds import JUDGES
from metrics.tables.catalogue import METRICS, judges_for
from metrics.tables.presets import ALIASES, NAMES, PRESETS, columns_of, without_published_judges


def test_presets_are_of_known_columns_and_the_command_line_offers_them():
    for name in NAMES:
        columns = columns_of(name)
        assert set(columns) <= METRICS.keys()
        assert len(set(columns)) == len(columns)
    assert columns_of("all") == tuple(METRICS)
    (option,) = [one for one in command.params if one.name == "preset"]
    assert tuple(option.type.choices) == NAMES


def test_every_column_of_the_toolkit_has_its_name_there():
    assert ALIASES["av-benchmark"].keys() == set(PRESETS["av-benchmark"])
    assert all(alias.factor == 1.0 for alias in ALIASES["av-benchmark"].values())


def test_the_judges_that_presets_need():
    assert judges_for(columns_of("cafa")) == {"classifier", "clap", "imagebind", "synchformer"}
    assert judges_for(columns_of("av-benchmark")) == JUDGES.keys() - {"audiobox", "levels"}
    # nothing of it compares with the clips' own sounds
    assert not any(METRICS[name].needs_reference for name in columns_of("reference-free"))


def test_the_miniature_does_without_judges_that_are_only_published():
    left_out = without_published_judges(columns_of("av-benchmark"))
    assert set(left_out) == {"FD_VGG", "FD_PaSST", "KL_PaSST", "IS_PaSST", "MS_CLAP"}
    assert left_out["MS_CLAP"] == "the judge ms_clap has no miniature form"


def test_an_unknown_preset_is_a_key_error():
    with pytest.raises(KeyError):
        columns_of("none")
