import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner

from cafa.cli.train import command
from cafa.common.errors import FolderInUseError, InputError
from cafa.data.manifest import SCHEMA
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.folders import load_model
from cafa.training.adapter import AdapterTraining
from tests.cafa.training.pretrained import WIDTH, PretrainedWorld
from tests.cafa.training.tiny import loop
from tests.two_runs import another_writer


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> PretrainedWorld:
    world = PretrainedWorld(tmp_path_factory.mktemp("files"))
    for name in ("first", "second"):
        rows = [
            {**dict.fromkeys(SCHEMA.names), **row, "uri": "x.mp4", "label": "x", "licence": "x", "line": 2}
            for row in world.phases[name].manifest.to_dict("records")
        ]
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), world.folder / f"{name}.parquet")
    return world


def arguments(world: PretrainedWorld, phase: str, output: Path, *more: str, clip: bool = False) -> list[str]:
    """`cafa train adapter ...`; video features in the order in which the adapter does not take them."""
    model = AdapterSettings(feature_dim=WIDTH, clip_dim=WIDTH if clip else 0, hint_dim=12, dropout=0.1)
    settings = AdapterTraining(loop=loop(), seconds=10.0, model=model)
    folder = world.folder / phase
    files = {"--latents": ["latents"], "--video": ["clip", "av_clip"] if clip else ["av_clip"]}
    files |= {"--text": ["text0", "text1"]}
    options = [part for name, kinds in files.items() for kind in kinds for part in (name, f"{folder}/{kind}.arrow")]
    return [
        "adapter",
        "--backbone",
        str(world.models / "backbone"),
        *options,
        "--manifest",
        f"{folder}.parquet",
        "--settings",
        settings.model_dump_json(),
        "--seed",
        "1",
        "--output",
        str(output),
        *more,
    ]


def called(arguments: list[str]) -> None:
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output


def test_two_phases_from_files_equal_those_from_python(pretrained):
    called(arguments(pretrained, "first", pretrained.models / "one"))
    called(arguments(pretrained, "second", pretrained.models / "two", "--start-from", str(pretrained.models / "one")))
    first = pretrained.train("one_python")
    second = pretrained.train("two_python", "second", start_from=first)
    for name, wanted in (("one", first), ("two", second)):
        ours, theirs = load_model(pretrained.models / name, "adapter")[0], load_model(wanted, "adapter")[0]
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    card = json.loads((pretrained.models / "two" / "card.json").read_text())
    assert [phase["data"] for phase in card["phases"]] == ["first", "second"]


def test_video_files_of_several_kinds_are_told_apart(pretrained):
    called(arguments(pretrained, "first", pretrained.models / "joined", clip=True))
    card = json.loads((pretrained.models / "joined" / "card.json").read_text())
    assert card["video_kinds"] == ["av_clip", "clip"]
    settings = AdapterTraining(loop=loop(), seconds=10.0, model=AdapterSettings(feature_dim=WIDTH))
    refused = arguments(pretrained, "first", pretrained.models / "refused", clip=True)
    refused[refused.index("--settings") + 1] = settings.model_dump_json()
    with pytest.raises(InputError, match="given are clip and av_clip"):
        called(refused)


def test_processes_that_a_batch_cannot_be_dealt_to_are_refused_before_they_start(pretrained):
    with pytest.raises(InputError, match="a batch of 3 clips cannot be divided among 2 processes"):
        called(arguments(pretrained, "first", pretrained.models / "refused", "--processes", "2"))


def test_a_model_folder_that_another_run_trains_is_refused(pretrained):
    output = pretrained.models / "in_use"
    with another_writer(output) as holder, pytest.raises(FolderInUseError, match=f"process {holder} on "):
        called(arguments(pretrained, "first", output))
    assert list(output.iterdir()) == []
