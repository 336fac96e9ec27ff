"""The judge without weights through the rules: planned in either world, and run with a small classifier beside it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from metrics.judges.level_names import METER_ERROR
from metrics.judges.levels import VERSION, levels_of
from tests.extending.test_judge_in_workflow import (
    CLIPS,
    RULES,
    SECONDS,
    configuration,
    snakemake,
    write_set,
    write_weights,
)
from tests.workflow.test_arrivals import snakemake as planned

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


def test_the_rules_register_embed_check_score_and_print_it_at_full_size(tmp_path: Path) -> None:
    results = tmp_path / "results"
    write_set(results)
    weights, _ = write_weights(tmp_path / "weights")
    settings = configuration(results, weights)
    del settings["judges"]["spectrum"], settings["pretrained"]["canary"]["spectrum"]
    settings["judges"]["levels"] = {}
    for table in ("table1", "table2"):
        settings["tables"][table]["metrics"] = ["FAD", *COLUMNS]
    done = snakemake(tmp_path, settings, str(results / "table1.csv"), "--allowed-rules", *RULES)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]

    table = pd.read_csv(results / "table1.csv").set_index("system")
    sounds = [soundfile.read(results / f"samples/tiny/ours/0/{clip}.flac", always_2d=True) for clip in CLIPS]
    wanted = np.mean([levels_of(data.T[:, : round(SECONDS * rate)], rate) for data, rate in sounds], axis=0)
    assert table.loc["ours", COLUMNS].tolist() == pytest.approx(wanted.tolist(), abs=1e-3)
    card = json.loads((results / "table1.card.json").read_text())
    assert list(card["judges"]) == ["classifier", "levels"]
    assert card["judges"]["levels"]["weights_sha256"] == VERSION
    assert card["judges"]["levels"]["measures"][METER_ERROR]["good"]
