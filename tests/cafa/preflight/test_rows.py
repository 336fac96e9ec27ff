"""Which rows of a configuration can be made, and what the others need."""

import json
from pathlib import Path

import pytest
import yaml

from cafa.cli.rows import command
from cafa.common.errors import InputError
from cafa.preflight.rows import planned_rows, read_configuration

CONFIG = Path(__file__).resolve().parents[3] / "config"
#: rows of the paper's tables 1, 2 and 4, as our configuration calls them
PAPER = {
    "table1": {"foleycrafter_temporal", "mmaudio", "mmaudio_negative", "cafa"},
    "table1_rewas": {"rewas", "cafa"},
    "table2": {"foleycrafter_v2a", "mmaudio_v2a", "frieren", "foleycrafter", "mmaudio", "vatt", "cafa"},
    "table2_rewas": {"rewas", "cafa"},
    "table2_multifoley": {"multifoley", "cafa"},
    "table4": {"cafa_b", "cafa", "cafa_c", "cafa_tf"},
    "table5": {"adapter_vggsound", "adapter", "adapter_c", "adapter_tf"},
}


def test_the_paper_has_all_its_rows_and_each_says_what_it_needs() -> None:
    rows = list(planned_rows(read_configuration([CONFIG / "config.yaml", CONFIG / "paper.yaml"]), weights=False))
    for table, names in PAPER.items():
        assert names <= {row.row for row in rows if row.table == table}, table
    by_name = {(row.table, row.row): row for row in rows}
    assert by_name["table2", "frieren"].block == "V2A"
    assert by_name["table2_rewas", "rewas"].seconds == 5.0
    for row in rows:
        assert (row.state == "missing") == bool(row.needs), row
    assert "frieren_noreflow_25.zip" in by_name["table2", "frieren"].needs[0]
    assert "CC BY-NC" in by_name["table1", "mmaudio"].needs[0]
    assert by_name["table2_multifoley", "cafa"].needs[0].startswith("the rows that multifoley has")


def test_states_follow_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "theirs").mkdir()
    systems = {
        "theirs": {"kind": "samples", "folder": str(tmp_path / "theirs")},
        "absent": {"kind": "samples", "folder": str(tmp_path / "none"), "how_to_get": "ask them"},
        "cafa": {"kind": "adapter"},
        "reference": {"kind": "reference"},
    }
    config = {
        "results": str(tmp_path),
        "tables_folder": ".",
        "window": {"seconds": 3.2},
        "adapters": {"adapter": {"train_on": "x"}},
        "systems": systems,
        "tables": {"t": {"systems": list(systems)}},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "t.csv").write_text("system,n\nreference,3\n")
    command.main(["--configfile", str(tmp_path / "c.yaml"), "--json"], standalone_mode=False)
    found = {row["row"]: row for row in json.loads(capsys.readouterr().out)}
    states = {name: row["state"] for name, row in found.items()}
    assert states == {"theirs": "importable", "absent": "missing", "cafa": "can be made", "reference": "made"}
    assert found["absent"]["needs"] == [f"no samples at {tmp_path / 'none'}: ask them"]
    command.main(["--configfile", str(tmp_path / "c.yaml")], standalone_mode=False)
    assert "4 rows: 1 made, 1 can be made, 1 importable, 1 missing" in capsys.readouterr().out


def test_a_configuration_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no configuration"):
        read_configuration([tmp_path / "none.yaml"])
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(InputError, match="must be a mapping"):
        read_configuration([tmp_path / "list.yaml"])


def test_a_part_of_a_configuration_alone_is_refused_by_what_it_lacks() -> None:
    with pytest.raises(InputError, match=r"no tables_folder.*config/config\.yaml first"):
        list(planned_rows(read_configuration(["config/paper.yaml"])))
