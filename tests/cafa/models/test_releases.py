"""A published model that is not there: the message names the command that puts it there."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from cafa.cli.weights import get_command
from cafa.common.errors import WeightsError
from cafa.common.weight_files import WeightSource, read_weight_sources
from cafa.models.releases import (
    CAFA_AVCLIP,
    CLIP_LARGE,
    FLAN_T5_LARGE,
    STABLE_AUDIO_OPEN,
    SYNCHFORMER,
    T5_BASE,
    TANGOFLUX,
    PublishedFile,
    Release,
    how_to_get,
    require_published,
)
from cafa.weights.catalogue import select


@pytest.mark.parametrize(
    "release", [STABLE_AUDIO_OPEN, TANGOFLUX, T5_BASE, FLAN_T5_LARGE, CLIP_LARGE], ids=lambda release: release.name
)
def test_missing_folders_of_published_models_name_the_command_that_fills_them(release: Release, tmp_path: Path):
    folder = tmp_path / "w" / release.name.partition("/")[2]
    command = fetched_by(how_to_get(release, folder))
    assert command.where == folder.parent
    wanted = [row for row in command.rows if (command.where / row.relative_path).is_relative_to(folder)]
    assert wanted == command.rows
    elsewhere = how_to_get(release, tmp_path / "mine")
    assert "--to" not in elsewhere
    assert "name the folder that it is in" in elsewhere
    assert "hf download" not in elsewhere


@pytest.mark.parametrize("published", [SYNCHFORMER, CAFA_AVCLIP], ids=lambda published: published.name)
def test_missing_files_of_published_models_name_the_command_that_fetches_them(published: PublishedFile, tmp_path: Path):
    file = tmp_path / "w x" / published.url.rpartition("/")[2]
    with pytest.raises(WeightsError) as error:
        require_published(file, published)
    command = fetched_by(str(error.value))
    assert [command.where / row.relative_path for row in command.rows] == [file]


def test_a_model_that_the_table_of_weights_does_not_have_is_got_from_the_hub():
    of_a_plugin = Release("somebody/model", "MIT", "https://huggingface.co/somebody/model", False, ("*.safetensors",))
    assert "run `hf download somebody/model --include '*.safetensors'" in how_to_get(of_a_plugin, "weights/model")


@dataclass(frozen=True)
class Fetched:
    """What a command that a message names would fetch, and to where."""

    where: Path
    rows: list[WeightSource]


def fetched_by(message: str) -> Fetched:
    """Read the command in a message as `cafa weights get` does; what must be accepted is."""
    (text,) = re.findall(r"`(cafa weights get [^`]+)`", message)
    options = get_command.make_context("get", shlex.split(text)[3:]).params
    rows = select(read_weight_sources(), options["names"], ())
    assert {row.model_name for row in rows if row.terms} == set(options["accept"])
    return Fetched(Path(options["folder"]), rows)
