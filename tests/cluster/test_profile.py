"""The profile for SLURM: every key is an option of Snakemake and its plugin, every rule is one of the workflow."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def profile() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())


def rules() -> dict[str, str]:
    """Text of every rule of both sizes; one that both have counts as one. Of those for a data set the paper's."""
    found: dict[str, str] = {}
    datasets = yaml.safe_load((ROOT / "config/paper.yaml").read_text())["datasets"]
    for path in sorted(ROOT.glob("workflow/rules/**/*.smk")):
        begin = r"^ *rule (\w+):$|^    rule:\n        name:\n            f\"(\w+)_\{dataset\}\"$"
        parts = re.split(begin, path.read_text(), flags=re.MULTILINE)
        for one, each, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            for name in [one] if one else [f"{each}_{dataset}" for dataset in datasets]:
                found[name] = found.get(name, "") + text
    return found


def test_every_key_is_an_option() -> None:
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="needs the extra `full`")
    from snakemake.cli import get_argument_parser

    parser = get_argument_parser()
    known = {option for action in parser._actions for option in action.option_strings}
    assert {f"--{key}" for key in profile()} <= known


def test_every_rule_exists() -> None:
    assert set(profile()["set-resources"]) <= rules().keys()


def test_commands_with_a_device_get_a_gpu() -> None:
    with_device = {name for name, text in rules().items() if "--device" in text}
    assert {name for name, text in rules().items() if "        gpu=" in text} == with_device
    in_partition = {name for name, entry in profile()["set-resources"].items() if "gpu" in entry["slurm_partition"]}
    assert in_partition == with_device


def test_memory_time_and_gpus_are_stated_in_the_rules_alone() -> None:
    entries = [profile()["default-resources"], *profile()["set-resources"].values()]
    assert not [entry for entry in entries if {"mem_mb", "runtime", "gpu"} & entry.keys()]


def test_no_rule_retries_by_itself() -> None:
    # Inside a SLURM job a rule's own retries run again in the same allocation, with the same memory.
    assert profile()["retries"] > 0
    assert not [name for name, text in rules().items() if "    retries:" in text]
