"""Kinds of systems: one registry answers what there is, what a system needs, and how its sounds are had."""

import json
from pathlib import Path
from typing import Literal

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from cafa.cli import cli
from cafa.common.errors import InputError
from cafa.common.registry import UnknownNameError
from cafa.generation.sources import PromptRow, SampleContext, SampleFiles
from cafa.generation.systems import RENAMED_KINDS, SYSTEM_KINDS, SystemKind, parse_system, stage_of_samples

ADAPTERS = {"adapter": {"train_on": "world"}, "adapter_c": {"video": ["av_clip", "clip"]}}


def context(folder: Path, **files) -> SampleContext:
    rows = [PromptRow("clip0", "own", "a sound", "sound", "matched")]
    return SampleContext(rows, SampleFiles(folder, folder, folder, **files), seed=1, seconds=1.0, sample_rate=8000)


def test_every_kind_says_what_its_samples_are_made_from() -> None:
    answers = {
        name: (kind.models, kind.generates, sorted(kind.needs), kind.stage) for name, kind in SYSTEM_KINDS.items()
    }
    assert answers == {
        "adapter": (("backbone", "adapter"), True, [], "samples"),
        "backbone": (("backbone",), True, [], "samples"),
        "joint": (("joint",), True, [], "samples"),
        "reference": ((), False, ["clips"], "samples_of_files"),
        "reference_of_another_clip": ((), False, ["clips"], "samples_of_files"),
        "oracle": ((), False, ["event_times"], "samples_of_events"),
        "oracle_wrong_times": ((), False, ["event_times"], "samples_of_events"),
        "samples": ((), False, [], "samples_of_files"),
        "external": ((), False, ["clips"], "samples_of_external"),
    }
    assert {kind.model_fields["kind"].default for kind in SYSTEM_KINDS.values()} == set(SYSTEM_KINDS)


def test_models_and_video_features_are_those_of_the_settings() -> None:
    cafa = parse_system({"kind": "adapter", "adapter": "adapter_c", "backbone": "tangoflux"})
    assert cafa.model_folders() == ("tangoflux", "adapter_c")
    assert cafa.video_kinds(ADAPTERS) == ("av_clip", "clip")
    assert parse_system({"kind": "adapter"}).video_kinds(ADAPTERS) == ("av_clip",)
    assert parse_system({"kind": "adapter", "adapter": "published"}).video_kinds(ADAPTERS) == ("av_clip",)
    assert parse_system({"kind": "joint"}).video_kinds(ADAPTERS) == ("av_clip",)
    assert parse_system({"kind": "backbone"}).video_kinds(ADAPTERS) == ()
    assert parse_system('{"kind": "reference"}').model_folders() == ()
    assert parse_system({"kind": "samples", "folder": "theirs"}).folders() == ("theirs",)
    assert cafa.folders() == ()


def test_of_sounds_that_are_read_only_what_is_judged_must_be_there() -> None:
    needed = {"samples": {"folder": "x"}, "external": {"peer": "mmaudio", "checkout": "x", "seconds": 7.0}}
    seconds = {name: parse_system({"kind": name, **needed.get(name, {})}).window(10.0, 8.0) for name in SYSTEM_KINDS}
    assert seconds.pop("external") == 7.0  # what it is asked for
    assert {name for name, window in seconds.items() if window == 8.0} == {
        "reference",
        "reference_of_another_clip",
        "samples",
    }
    assert parse_system({"kind": "reference"}).window(3.2) == 3.2


@pytest.mark.parametrize(("old", "new"), RENAMED_KINDS.items())
def test_a_former_name_is_refused_with_the_present_one(old: str, new: str) -> None:
    with pytest.raises(InputError, match=f"'{old}' is now called '{new}'.*kind: {new}"):
        parse_system({"kind": old})
    assert new in SYSTEM_KINDS
    with pytest.raises(InputError, match="is now called"):
        stage_of_samples(old)


def test_unknown_kinds_and_fields_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"no kind of system 'adaptor'; did you mean 'adapter'\?.*joint"):
        parse_system({"kind": "adaptor"})
    with pytest.raises(InputError, match="whose `kind` is one of adapter, backbone"):
        parse_system("{}")
    with pytest.raises(InputError, match="must be a JSON object"):
        parse_system("{kind: adapter}")
    with pytest.raises(ValidationError, match="strenght"):
        parse_system({"kind": "adapter", "strenght": 2})


def test_event_times_are_asked_for_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of kind oracle needs event times"):
        parse_system({"kind": "oracle"}).open_source(context(tmp_path))
    words = ["samples", "make", "--system", "perfect", "--settings", json.dumps({"kind": "oracle"}), "--prompts", "p"]
    words += ["--features-folder", "f", "--models", "m", "--clips", "c", "--seconds", 1, "--sample-rate", 8000]
    words += ["--seed", 0, "--output-folder", tmp_path / "out", "--index", tmp_path / "index.parquet"]
    result = CliRunner().invoke(cli, list(map(str, words)))
    assert isinstance(result.exception, InputError)
    assert "system perfect of kind oracle needs --event-times" in str(result.exception)
    result = CliRunner().invoke(cli, [*map(str, words), "--truth", "times.parquet"])
    assert result.exit_code == 2
    assert "--truth is now called --event-times" in result.output


def test_a_kind_without_a_source_says_what_is_missing(tmp_path: Path) -> None:
    class Nothing(SystemKind):
        kind: Literal["nothing"] = "nothing"

    with pytest.raises(NotImplementedError, match="Nothing must define open_source"):
        Nothing().open_source(context(tmp_path))
