"""The plan of `make paper`: what its row of CAFA-C needs, and that `make table1` needs none of it. No job is run."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.test_arrivals import ROOT, run_rules

PAPER = yaml.safe_load((ROOT / "config/paper_miniature.yaml").read_text())


def planned(tmp_path: Path, change: dict[str, Any], *arguments: str) -> list[str]:
    """Commands of the jobs of a plan."""
    code, text = run_rules(tmp_path, change, "--dry-run", "--printshellcmds", *arguments)
    assert code == 0, text[-3000:]
    return re.findall(r"^ *(?:Shell command: *)?(cafa .*)$", text, re.MULTILINE)


def beginning(commands: list[str], words: str) -> list[str]:
    return [command for command in commands if command.startswith(f"cafa {words} ")]


def test_cafa_c_is_a_row_of_table_4_and_has_its_costs(tmp_path: Path) -> None:
    commands, results = planned(tmp_path, PAPER), tmp_path / "results"
    (trained,) = beginning(commands, "train clip")
    assert f"--frames {results}/features/world_train/frames/0.arrow" in trained
    assert f"--text {results}/features/world_train/text/0.arrow" in trained
    assert f"--manifest {results}/manifests/world_train.parquet" in trained
    assert "judges" not in trained
    encoded = {re.findall(r"--output (\S+)", command)[0] for command in beginning(commands, "features clip")}
    names = ["world_train/clip/0", "world_train/clip/1", "world_test/clip/0"]
    assert encoded == {f"{results}/features/{name}.arrow" for name in names}
    adapters = beginning(commands, "train adapter")
    (adapter,) = [command for command in adapters if f"--output {results}/models/adapter_c " in command]
    videos = [
        f"{results}/features/world_train/{kind}/{shard}.arrow" for kind in ("av_clip", "clip") for shard in (0, 1)
    ]
    assert re.findall(r"--video (\S+)", adapter) == videos
    assert '"clip_dim": 64' in adapter
    assert [command for command in adapters if "features/world_train/clip/" in command] == [adapter]
    (samples,) = beginning(commands, "samples make --system cafa_c")
    assert '"adapter": "adapter_c"' in samples
    (costs,) = beginning(commands, "train table")
    assert f"--card {results}/models/adapter_c/card.json" in costs
    (table,) = [command for command in beginning(commands, "table") if "/whole_paper/table4.csv" in command]
    assert "cafa_c" in table
    assert '["cafa_c", "cafa"]' in table


def test_table_1_needs_no_clip(tmp_path: Path) -> None:
    commands = planned(tmp_path, {})
    assert beginning(commands, "train av-clip")
    assert not [command for command in commands if re.search(r"cafa (train|features) clip\b|/clip/", command)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"adapters": {"other": {"train_on": "world_train", "video": ["av_clip", "clip"]}}},
            "adapter other reads the video features clip, whose encoder is trained here: add `training.clip`",
        ),
        ({"adapters": {"clip": {"train_on": "world_train"}}}, "config adapters: clip is the name of another model"),
        ({"training": {"clip": {"loop": {"steps": 1}}}}, "batch_size"),
        (
            {"backbones": {"clip": PAPER["backbones"]["rectified_flow"]}},
            "config backbones: clip is the name of another",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    code, text = run_rules(tmp_path, change, "--dry-run")
    assert code != 0
    assert message in text
