from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from cafa.cli.train import command
from cafa.common.errors import InputError
from cafa.common.files import write_json
from cafa.training.cost_table import training_row, training_table, write_training_table
from cafa.training.run_card import hardware, phase

PUBLISHED = Path(__file__).resolve().parents[3] / "config" / "published" / "table5.csv"


def run(data: str, steps: int, sessions: list[dict], before: list[dict] | None = None, batch: int = 16) -> dict:
    loop = {"steps": steps, "batch_size": batch // 2, "accumulation": 2}
    card = {
        "kind": "adapter",
        "settings": {"loop": loop},
        "seed": 0,
        "clips": 9,
        "data": {"name": data, "sha256": "0"},
        "parameters_trained": 7,
        "seconds": sum(s["seconds"] for s in sessions),
        **hardware(sessions),
    }
    return {**card, "phases": [*(before or []), phase(card)]}


def session(seconds: float, count: int = 1, device: str = "NVIDIA A100", kind: str = "cuda") -> dict:
    return {"device": device, "kind": kind, "count": count, "seconds": seconds}


def test_two_phases_are_added():
    first = run("vggsound", 48_000, [session(24 * 3600)])
    second = run("visualsound", 33_000, [session(6 * 3600, count=4)], before=first["phases"])
    row = training_row("cafa", second)
    assert row["steps_or_epochs"] == "81000 steps"
    assert row["gpu_hours"] == pytest.approx(48)
    assert row["hours"] == pytest.approx(30)
    assert row["hardware"] == "NVIDIA A100 + 4x NVIDIA A100"
    assert row["batch"] == "16"


def test_a_run_that_moved_between_machines_counts_both():
    card = run("vggsound", 100, [session(3600), session(1800, count=2, device="NVIDIA H100")])
    assert card["gpu_hours"] == pytest.approx(2)
    assert training_row("x", card)["hardware"] == "NVIDIA A100 + 2x NVIDIA H100"


def test_a_cpu_has_no_gpu_hours():
    row = training_row("x", run("world", 10, [session(7200, device="cpu", kind="cpu")]))
    assert (row["gpu_hours"], row["hours"]) == (0, pytest.approx(2))


def test_the_unknown_cost_of_published_weights_is_named():
    before = [{"data": "cafa_adapter", "steps": None}]
    row = training_row("x", run("visualsound", 10, [session(3600)], before=before))
    assert row["steps_or_epochs"] == "cafa_adapter + 10 steps"


def test_published_rows_stand_beside_ours_as_they_were_given():
    published = pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False)
    table = training_table({"mine": run("world", 10, [session(3600)])}, published).set_index("model")
    assert table.loc["CAFA", ["steps_or_epochs", "hardware", "batch", "gpu_hours"]].tolist() == [
        "81k steps",
        "A100 40GB",
        "16",
        "48",
    ]
    assert table.loc["MMAudio", "batch"] == "-"
    assert (table.loc["mine", "source"], table.loc["CAFA", "source"]) == ("cafa", "paper")
    assert list(table.index) == ["mine", *published["model"]]


def test_the_verb_writes_csv_and_markdown_from_cards(tmp_path):
    for name in ("adapter_vggsound", "adapter"):
        write_json(tmp_path / name / "card.json", run("world", 10, [session(3600)]))
    cards = [
        option for name in ("adapter_vggsound", "adapter") for option in ("--card", f"{tmp_path}/{name}/card.json")
    ]
    done = CliRunner().invoke(
        command, ["table", *cards, "--published", str(PUBLISHED), "--output", f"{tmp_path}/table5.csv"]
    )
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "table5.csv")
    assert table["model"].tolist()[:3] == ["adapter_vggsound", "adapter", "CAFA"]
    assert float(table["gpu_hours"][0]) == 1
    assert "| adapter | cafa | 10 steps | NVIDIA A100 | 16 | 1 |" in (tmp_path / "table5.md").read_text()


def test_cards_that_tell_of_no_training_or_clash_are_refused(tmp_path):
    with pytest.raises(InputError, match="tells of no training: it is of kind 'pretrained'"):
        training_row("x", {"kind": "pretrained"})
    for folder in ("a", "b"):
        write_json(tmp_path / folder / "m" / "card.json", run("world", 10, [session(1)]))
    with pytest.raises(InputError, match="of one name"):
        write_training_table(
            [tmp_path / "a" / "m" / "card.json", tmp_path / "b" / "m" / "card.json"], None, tmp_path / "t.csv"
        )
    with pytest.raises(InputError, match=r"\.csv"):
        write_training_table([tmp_path / "a" / "m" / "card.json"], None, tmp_path / "t.txt")
