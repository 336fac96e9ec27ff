"""A table of the clips that VGGSounder's labels choose: the paper's commented choice, the rule, and what is refused."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tests.cafa.data.test_vggsounder import VGGSOUND, VGGSOUNDER
from tests.snakemake_starts import snakemake
from tests.workflow.test_arrivals import published, run_rules

ROOT = Path(__file__).resolve().parents[2]


def chosen_table(tmp_path: Path, **table: Any) -> dict[str, Any]:
    """The miniature with a table on a published data set, its clips chosen by a list that is there."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a.csv").write_text(VGGSOUND)
    (tmp_path / "lists" / "v.csv").write_text(VGGSOUNDER)
    change = published(tmp_path, prompts={"matched": {}})
    annotations = {"path": "lists/v.csv", "format": "vggsounder", "licence": "Apache-2.0"}
    choice = {"annotations": annotations, "drop": ["invisible", "background-music"]}
    columns = {"protocol": "matched", "dataset": "lab", "systems": ["reference"], "metrics": ["FAD"]}
    return {**change, "tables": {"chosen": {"title": "t", **columns, "vggsounder": choice, **table}}}


def test_the_papers_commented_lines_give_table_2_beside_itself(tmp_path: Path) -> None:
    paper = (ROOT / "config/paper.yaml").read_text()
    (lines,) = re.findall(r"^  # table2_vggsounder:\n(?:  #   .*\n)+", paper, re.MULTILINE)
    text = paper.replace(lines, re.sub(r"^  # ", "  ", lines, flags=re.MULTILINE))
    tables = yaml.safe_load(text)["tables"]
    own = {"title", "vggsounder"}
    assert {name: entry for name, entry in tables["table2_vggsounder"].items() if name not in own} == {
        name: entry for name, entry in tables["table2"].items() if name not in own
    }
    (tmp_path / "paper.yaml").write_text(text)
    folder = "results/paper/vggsounder"
    done = snakemake(
        *("--dry-run", "--printshellcmds", "--cores", "1", f"{folder}/table2_vggsounder.clips.csv"),
        *("--configfile", str(tmp_path / "paper.yaml")),
        cwd=ROOT,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-3000:]
    digest = tables["table2_vggsounder"]["vggsounder"]["annotations"]["sha256"]
    assert (
        "cafa dataset vggsounder --annotations results/paper/lists/vggsounder+background-music.csv"
        f" --manifest results/paper/manifests/vggsound_test.parquet --sha256 {digest}"
        f" --drop inaudible --drop invisible --labels {folder}/table2_vggsounder.labels.parquet"
    ) in printed
    assert "rule fetch_list" in printed


def test_a_rule_chooses_the_clips_and_the_table_takes_them(tmp_path: Path) -> None:
    change = chosen_table(tmp_path)
    folder = tmp_path / "results/vggsounder"
    code, text = run_rules(tmp_path, change, str(folder / "chosen.clips.csv"))
    assert code == 0, text[-3000:]
    assert pd.read_csv(folder / "chosen.clips.csv")["clip_id"].tolist() == ["-heard-seen_000030", "only_seen_2_000120"]
    statuses = pd.read_parquet(folder / "chosen.ledger.parquet")["status"].tolist()
    assert statuses == ["ok", "invisible", "ok", "background_music", "label_not_annotated", "not_annotated"]
    (tmp_path / "films").mkdir()
    table = str(tmp_path / "results/chosen.csv")
    code, text = run_rules(tmp_path, change, "--dry-run", "--printshellcmds", table)
    assert code == 0, text[-3000:]
    (made,) = [line for line in text.splitlines() if "cafa table --name chosen" in line]
    assert f'"clips": {{"file": "{folder}/chosen.clips.csv"}}' in made
    assert f"--ledger {folder}/chosen.ledger.parquet" in made
    assert '"drop": ["invisible", "background-music"]' in made.partition("--card-extra")[2]


def test_choices_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    change = chosen_table(tmp_path, clips={"of_system": "reference"})
    code, text = run_rules(tmp_path, change, "--dry-run")
    assert code != 0
    assert "chosen by `clips` or by `vggsounder`, not by both" in text
    change["tables"]["chosen"] |= {"clips": None}
    change["tables"]["chosen"]["vggsounder"]["annotations"]["format"] = "vggsound"
    code, text = run_rules(tmp_path, change, "--dry-run")
    assert code != 0
    assert "must have the form vggsounder, not vggsound" in text
