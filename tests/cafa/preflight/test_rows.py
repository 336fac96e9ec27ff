"""Which rows of a configuration can be made, and what the others need."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cafa.cli.rows import command
from cafa.common.errors import InputError
from cafa.preflight.configuration import check_keys, read_configuration
from cafa.preflight.rows import planned_rows
from tests.extending.from_docs import code_blocks

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
    table = {"title": "t", "protocol": "matched", "systems": list(systems), "metrics": ["FAD"]}
    config = {"results": str(tmp_path), "tables_folder": ".", "systems": systems, "tables": {"t": table}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "t.csv").write_text("system,n\nreference,3\n")
    said(tmp_path / "c.yaml", "--json")
    rows = json.loads(capsys.readouterr().out)
    found = {row["row"]: row for row in rows if row["table"] == "t"}
    states = {name: row["state"] for name, row in found.items()}
    assert states == {"theirs": "importable", "absent": "missing", "cafa": "can be made", "reference": "made"}
    assert found["absent"]["needs"] == [f"no samples at {tmp_path / 'none'}: ask them"]
    said(tmp_path / "c.yaml")
    others = len(rows) - len(found)
    expected = f"{len(rows)} rows: 1 made, {others + 1} can be made, 1 importable, 1 missing"
    assert expected in capsys.readouterr().out


def said(file: Path, *options: str) -> None:
    """Print the rows of a file that is laid over the miniature's configuration."""
    words = ["--configfile", str(CONFIG / "config.yaml"), "--configfile", str(file), *options]
    command.main(words, standalone_mode=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sistems": {}}, r"config: .*'sistems' was unexpected.*did you mean systems for sistems"),
        ({"tables": {"table1": {"metricz": ["FAD"]}}}, r"config tables\.table1: .*did you mean metrics for metricz"),
        ({"systems": {"cafa": {"asymetric_scale": 1}}}, r"config systems\.cafa: .*did you mean asymmetric_scale"),
        ({"samples": {"shards": 0}}, r"config samples\.shards: 0 is less than the minimum"),
        ({"pretrained": {"modelz": {}}}, r"config pretrained: "),
    ],
)
def test_what_the_workflow_refuses_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(change))
    with pytest.raises(InputError, match=re.compile(message, re.DOTALL)):
        said(tmp_path / "c.yaml")


#: what lies below a configuration beside config.yaml
BELOW = {"published_examples.yaml": ["local.yaml"], "test_paper.yaml": ["paper_miniature.yaml", "test.yaml"]}


def test_null_takes_out_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("tables: {table2: null}\n")
    said(tmp_path / "c.yaml", "--json")
    assert {row["table"] for row in json.loads(capsys.readouterr().out)} == {"table1"}


@pytest.mark.parametrize("name", sorted(file.name for file in CONFIG.glob("*.yaml")))
def test_every_configuration_that_comes_with_the_rules_passes(name: str) -> None:
    files = [CONFIG / file for file in ("config.yaml", *BELOW.get(name, []), name)]
    check_keys(read_configuration(files), CONFIG.parent / "workflow/schemas/config.schema.yaml")


def test_without_the_rules_the_rows_are_listed_and_the_missing_check_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cafa.preflight.rows.project_root", lambda: tmp_path)
    (tmp_path / "c.yaml").write_text("seed: 1\n")
    said(tmp_path / "c.yaml")
    printed = capsys.readouterr()
    assert "16 rows: " in printed.out
    assert "keys are not checked" in printed.err


def test_kinds_of_systems_of_the_plugins_that_it_names_are_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tones_for_rows.py").write_text(code_blocks("system.md")[0].replace('"tone"', '"tone_for_rows"'))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CAFA_PLUGINS", "")
    systems = {"tones": {"kind": "tone_for_rows"}}
    change = {"plugins": ["tones_for_rows"], "systems": systems, "tables": {"table1": {"systems": ["tones"]}}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(change))
    said(tmp_path / "c.yaml")
    assert re.search(r"tones +tone_for_rows", capsys.readouterr().out)


def test_a_configuration_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no configuration"):
        read_configuration([tmp_path / "none.yaml"])
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(InputError, match="must be a mapping"):
        read_configuration([tmp_path / "list.yaml"])
    (tmp_path / "empty.yaml").write_text("# seed: 1\n")
    with pytest.raises(InputError, match="holds no key, at most comments"):
        read_configuration([tmp_path / "empty.yaml"])


def test_a_part_of_a_configuration_alone_is_refused_by_what_it_lacks() -> None:
    with pytest.raises(InputError, match=r"no tables_folder.*config/config\.yaml first"):
        list(planned_rows(read_configuration(["config/paper.yaml"])))
