"""The judge without weights in plans of the miniature; tests/extending/test_judge_in_workflow.py runs it."""

from pathlib import Path

from metrics.judges.level_names import METER_ERROR
from tests.workflow.test_arrivals import run_rules as planned

COLUMNS = ["LUFS", "True_peak", "Silence", "Clipping"]


def test_the_miniature_registers_it_and_trains_the_others(tmp_path: Path) -> None:
    change = {"judges": {"levels": {}}, "tables": {"table2": {"metrics": ["FAD", *COLUMNS]}}}
    target = tmp_path / "results/table2.csv"
    code, text = planned(tmp_path, change, "--dry-run", "--printshellcmds", str(target))
    assert code == 0, text[-3000:]
    commands = [line.partition("Shell command: ")[2] or line for line in text.splitlines() if "cafa " in line]
    (registered,) = [line for line in commands if "cafa judges register" in line]
    assert f"cafa judges register levels --output {tmp_path}/results/models/judges/levels" in registered
    trained = {line.split()[3] for line in commands if line.strip().startswith("cafa judges train")}
    assert trained == {"classifier", "clap", "imagebind", "synchformer"}
    outputs = [line for line in text.splitlines() if line.startswith("    output: ")]
    assert any("/reference_set/classifier.parquet" in line for line in outputs)
    assert not any("/reference_set/levels.parquet" in line for line in outputs)
    assert any("/reference/0/levels.parquet" in line for line in outputs)


def test_a_threshold_of_it_is_refused_in_the_miniature(tmp_path: Path) -> None:
    change = {"judges": {"levels": {}}, "judges_gate": {"levels": {METER_ERROR: 1.0}}}
    code, text = planned(tmp_path, change, "--dry-run", str(tmp_path / "results/judges.json"))
    assert code != 0
    assert "config judges_gate: levels has no weights" in text
