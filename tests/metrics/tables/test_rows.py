"""Tables whose rows are not all alike: blocks, means of several takes, chosen clips, another length, rows left out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from cafa.common.errors import InputError
from metrics.functional.bootstrap import Estimate, mean_of
from metrics.tables.compute import TableSettings

COMMON: dict[str, Any] = {
    "protocol": "cross",
    "metrics": ["FAD", "KL", "CLAP", "Acc"],
    "bootstrap": {"resamples": 100, "seed": 4},
    "inception_splits": 1,
    "max_loss": 0.1,
}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, command: Any, make_experiment: Any) -> Any:
    """Four systems; `cafa` lacks one sample, two are takes of one row."""
    experiment = make_experiment(tmp_path_factory.mktemp("rows"))
    experiment.add_system("cafa", follows=0.9, delay=1, lost=(5,))
    experiment.add_system("text", follows=1.0, delay=4)
    experiment.add_system("other_take0", follows=0.2, delay=2)
    experiment.add_system("other_take3", follows=0.6, delay=3)
    for name in ("cafa", "text", "other_take0", "other_take3"):
        command(experiment.score_arguments(name))
    return experiment


def made(scored: Any, command: Any, **settings: Any) -> tuple[pd.DataFrame, str, dict[str, Any]]:
    table = {**COMMON, **settings}
    rows = TableSettings.model_validate(table)
    parts = [part for name in rows.systems for part in rows.parts_of(name)]
    arguments = scored.table_arguments({**table, "systems": parts})
    arguments[arguments.index("--settings") + 1] = json.dumps(table)
    command(arguments)
    folder: Path = scored.folder
    return (
        pd.read_csv(folder / "table1.csv"),
        (folder / "table1.md").read_text(),
        json.loads((folder / "table1.card.json").read_text()),
    )


def test_blocks_order_the_rows_and_each_has_its_best(scored: Any, command: Any) -> None:
    blocks = [{"name": "V2A", "systems": ["text"]}, {"name": "TV2A", "systems": ["other_take0", "cafa"]}]
    table, page, _ = made(scored, command, blocks=blocks)
    assert table[["block", "system"]].to_numpy().tolist() == [
        ["V2A", "text"],
        ["TV2A", "other_take0"],
        ["TV2A", "cafa"],
    ]
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in lines[2:7]] == ["**V2A**", "text", "**TV2A**", "other_take0", "cafa"]
    assert lines[3].count("**") == 0  # alone in its block: nothing to be better than
    assert "**" in lines[5] + lines[6]
    assert "best printed value of the block" in page


def test_a_row_is_the_mean_of_its_takes(scored: Any, command: Any) -> None:
    apart, _, _ = made(scored, command, systems=["other_take0", "other_take3", "text"])
    table, page, card = made(
        scored,
        command,
        systems=["other", "text"],
        takes={"other": ["other_take0", "other_take3"]},
        compare=[["text", "other"]],
    )
    assert table["takes"].tolist() == [2, 1]
    for metric in COMMON["metrics"]:
        mean = apart[metric][:2].mean()
        assert table[metric][0] == pytest.approx(mean, rel=1e-4)
        assert table[metric][1] == apart[metric][2]
    assert set(table["n"]) == {60}
    assert "other: mean of 2 sounds of each prompt (other_take0, other_take3)" in page
    assert card["settings"]["takes"] == {"other": ["other_take0", "other_take3"]}


def test_the_clips_of_a_table_are_those_of_a_list_or_of_a_system(scored: Any, command: Any, tmp_path: Path) -> None:
    _, page, card = made(scored, command, systems=["text"], clips={"of_system": "cafa"})
    assert (card["n"], card["asked"], card["missing"]["text"]["count"]) == (59, 59, 0)
    assert "Of 60 prompts the table takes 59, of 30 clips: rows of which cafa has a sound." in page
    ids = sorted(set(scored.prompts["clip_id"]))[:4]
    pd.DataFrame({"id": [*ids, "elsewhere"]}).to_csv(tmp_path / "ids.csv", index=False)
    clips = {"file": str(tmp_path / "ids.csv"), "column": "id"}
    table, page, card = made(scored, command, systems=["text", "other_take0"], clips=clips)
    assert set(table["n_clips"]) == {4}
    assert card["notes"]["clips"]["not_in_prompts"] == 1
    assert "clips of ids.csv. 1 ids of the list are no clips here." in page
    with pytest.raises(InputError, match="no column 'clip_id'"):
        made(scored, command, systems=["text"], clips={"file": str(tmp_path / "ids.csv")})
    pd.DataFrame({"clip_id": ["elsewhere"]}).to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(InputError, match="no row remains"):
        made(scored, command, systems=["text"], clips={"file": str(tmp_path / "none.csv")})


def test_rows_that_are_left_out_are_said(scored: Any, command: Any) -> None:
    _, page, card = made(scored, command, systems=["text", "cafa"], left_out={"vatt": "no samples at generations/vatt"})
    assert "* vatt: no samples at generations/vatt" in page
    assert card["settings"]["left_out"] == {"vatt": "no samples at generations/vatt"}


def test_sounds_of_another_length_than_the_tables_are_refused(scored: Any, command: Any) -> None:
    with pytest.raises(InputError, match=r"the table is of 5 s, and the sounds were judged on"):
        made(scored, command, systems=["text"], seconds=5.0)


def test_a_card_says_nothing_of_what_is_not_set(scored: Any, command: Any) -> None:
    _, _, card = made(scored, command, systems=["text", "cafa"])
    assert not {"blocks", "seconds", "clips", "takes", "left_out"} & set(card["settings"])


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "at least one row"),
        ({"systems": ["a"], "blocks": [{"name": "V2A", "systems": ["b"]}]}, "not both"),
        ({"blocks": [{"name": "X", "systems": ["a"]}, {"name": "X", "systems": ["b"]}]}, "one name"),
        ({"systems": ["a"], "takes": {"b": ["c"]}}, "have none"),
        ({"systems": ["a"], "takes": {"a": ["b"]}, "clips": {"of_system": "a"}}, "name one of them"),
        ({"systems": ["a"], "clips": {}}, "either `file` or `of_system`"),
        ({"systems": ["a"], "clips": {"of_system": "a", "column": "id"}}, "not given"),
        ({"systems": ["a"], "seconds": -1}, "greater than 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        TableSettings.model_validate({**COMMON, **settings})


def test_a_mean_needs_the_same_draws() -> None:
    one, two = (Estimate(1.0, np.zeros(3), n) for n in (4, 5))
    with pytest.raises(InputError, match="same clips and draws"):
        mean_of([one, two])
    assert mean_of([one]) is one
