"""A configuration is read from files that are laid over each other."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cafa.preflight.configuration import NAMED, read_configuration, take_out_nulls


@pytest.mark.parametrize("place", NAMED)
def test_null_takes_out_an_entry_that_a_file_below_has(place: str, tmp_path: Path) -> None:
    *outer, last = place.split(".")

    def file(name: str, entries: dict[str, Any]) -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump({outer[0]: {last: entries}} if outer else {last: entries}))
        return path

    below = file("below.yaml", {"kept": {"kind": "a"}, "off": {"kind": "b"}})
    config = read_configuration([below, file("over.yaml", {"off": None, "never_there": None})])
    take_out_nulls(config)
    assert (config[outer[0]] if outer else config)[last] == {"kept": {"kind": "a"}}


def test_nulls_that_are_values_stay() -> None:
    config = {"figure": None, "pretrained": None, "judges": {"clap": None}, "tables": {"t": {"published": None}}}
    before = {**config, "tables": {"t": {"published": None}}}
    take_out_nulls(config)
    assert config == before


def test_what_is_no_mapping_is_left_for_the_schema() -> None:
    config: dict[str, Any] = {"systems": ["a", None], "figure": "none"}
    take_out_nulls(config)
    assert config == {"systems": ["a", None], "figure": "none"}
