"""Judges beside the published ones through the rules of the workflow: from clips and sounds that are there to a table.

One run has both: that of a plug-in, and the one without weights.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml

from cafa.common.files import sha256_file
from cafa.common.ledger import ledger_row, write_ledger
from cafa.data.manifest import SCHEMA as MANIFEST
from cafa.data.prompts import SCHEMA as PROMPTS
from metrics.judges.level_names import METER_ERROR
from metrics.judges.levels import VERSION, levels_of
from tests.evaluation_clips import write_wav
from tests.extending.from_docs import code_blocks
from tests.extending.test_judge import FILE, add_weights, by_hand, cosine
from tests.tiny_judges import SIZES, make_panns, write_table

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 0.5
CLIPS = ("clip0", "clip1", "clip2", "clip3")
#: columns of the judge without weights
LEVELS = ["LUFS", "True_peak", "Silence", "Clipping"]
#: the rules that concern judges; what they read of others lies there
RULES = (
    *("register_judge", "embed_reference", "embed_text", "embed_samples"),
    *("check_judges", "score_system", "make_table"),
)


def write_set(results: Path) -> None:
    """What the stages before leave of a data set `tiny` of one shard, and the sounds of a system `ours`."""
    rows = []
    for number, clip in enumerate(CLIPS):
        write_wav(results / f"clips/tiny/0/{clip}.flac", number, SECONDS)
        row: dict[str, Any] = {"uri": f"{clip}.mp4", "start": 0.0, "duration": None, "split": "test", "licence": ""}
        rows.append({"clip_id": clip, **row, "label": "ab"[number % 2], "caption": "a dog", "line": number + 2})
    for folder in ("manifests", "prompts", "samples/tiny/ours"):
        (results / folder).mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=MANIFEST), results / "manifests/tiny.parquet")
    write_ledger(results / "clips/tiny/0.ledger.parquet", [ledger_row(clip, "ingest", "ok") for clip in CLIPS])
    write_ledger(results / "manifests/tiny.refused.parquet", [])
    write_ledger(results / "prompts/tiny.excluded.ledger.parquet", [])
    keys = {"caption_id": "own", "protocol": "matched", "caption": "a dog", "label": "a"}
    more = {"own_label": "a", "own_caption": "a dog"}
    prompts = pd.DataFrame([{"clip_id": clip, **keys, **more} for clip in CLIPS])
    prompts[PROMPTS.names].to_parquet(results / "prompts/tiny.parquet", index=False)
    index = []
    for number, clip in enumerate(CLIPS):
        path = write_wav(results / f"samples/tiny/ours/0/{clip}.flac", 100 + number, SECONDS)
        made = {"file": path.name, "seconds": SECONDS, "sample_rate": 16000, "sha256": sha256_file(path)}
        index.append({"clip_id": clip, **keys, **made, "status": "ok", "detail": None})
    pd.DataFrame(index).to_parquet(results / "samples/tiny/ours/0.parquet", index=False)


def write_weights(folder: Path) -> tuple[dict[str, Any], np.ndarray]:
    """PANNs, tiny, and the toy's matrix, with their table."""
    folder.mkdir()
    make_panns(folder / "Cnn14_16k_mAP=0.438.pth")
    sizes = {"classifier": SIZES["classifier"]}
    settings = {"weights": str(folder), "table": str(write_table(folder)), "sizes": sizes}
    matrix = np.random.default_rng(0).standard_normal((8, 64)).astype(np.float32)
    add_weights(settings, matrix)
    return settings, matrix


def configuration(results: Path, weights: dict[str, Any]) -> dict[str, Any]:
    """Laid over config.yaml: classifier, the plug-in's judge and the one without weights; a table of their columns."""
    table = {
        "metrics": ["FAD", "Timbre", *LEVELS],
        "systems": ["ours"],
        "dataset": "tiny",
        "protocol": "matched",
        "seconds": None,
        "compare": [],
        "controls": [],
        "published": None,
    }
    anything = {"react": {"largest_cosine_of_different_sounds": 1.0}, "tell": {"same_over_other": 0.0}}
    models = {"backbone": {"kind": "stable_audio_open"}, "av_clip": {"kind": "synchformer", "file": "none"}}
    return {
        "results": str(results),
        "plugins": ["my_judge"],
        "datasets": {
            "tiny": {"kind": "folder", "csv": "none.csv", "root": ".", "shards": 1, "prompts": {"matched": {}}}
        },
        "evaluate": "tiny",
        "judges": {"clap": None, "imagebind": None, "synchformer": None, "spectrum": {}, "levels": {}},
        "pretrained": {
            "models": models,
            "judges": weights,
            "canary": {"classifier": {**anything["react"], **anything["tell"]}, "spectrum": anything["react"]},
        },
        "systems": {"ours": {"kind": "samples", "folder": "none", "pattern": "{clip_id}.wav"}},
        "features": {"encode": {"workers": 1}},
        "embed": {"pretrained": {"seconds": SECONDS, "workers": 0}},
        "tables": {"table1": table, "table2": table},
        "bootstrap": {"resamples": 100},
        "figure": None,
        "examples": {"systems": ["ours"]},
        "check_first": "warn",
    }


def run_rules(folder: Path, settings: dict[str, Any], *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "my_judge.py").write_text(code_blocks("judge.md")[0], encoding="utf-8")
    (folder / "change.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    search = os.pathsep.join([str(folder), str(ROOT)])
    command = [sys.executable, "-m", "tests.preloaded_jobs", "--cores", "1", "--directory", str(folder), *words]
    return subprocess.run(
        [*command, "--configfile", str(ROOT / "config/config.yaml"), str(folder / "change.yaml")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        check=False,
    )


class Run(NamedTuple):
    """What the rules made, the weights that they were given, and the matrix of the plug-in's judge."""

    results: Path
    weights: Path
    matrix: np.ndarray

    def table(self) -> pd.DataFrame:
        return pd.read_csv(self.results / "table1.csv").set_index("system")

    def card(self) -> dict[str, Any]:
        card: dict[str, Any] = json.loads((self.results / "table1.card.json").read_text())
        return card


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("judges")
    write_set(results := folder / "results")
    weights, matrix = write_weights(folder / "weights")
    target = str(results / "table1.csv")
    done = run_rules(folder, configuration(results, weights), target, "--allowed-rules", *RULES)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return Run(results, folder / "weights", matrix)


def test_the_rules_register_embed_check_score_and_print_a_judge_of_a_plugin(run: Run) -> None:
    results, matrix = run.results, run.matrix
    cosines = [
        cosine(
            by_hand(results / f"clips/tiny/0/{clip}.flac", matrix, SECONDS),
            by_hand(results / f"samples/tiny/ours/0/{clip}.flac", matrix, SECONDS),
        )
        for clip in CLIPS
    ]
    table, card = run.table(), run.card()
    assert table.loc["ours", "Timbre"] == pytest.approx(np.mean(cosines), abs=1e-5)
    assert table.loc["ours", "Timbre_n"] == len(CLIPS)
    assert list(card["judges"]) == ["classifier", "levels", "spectrum"]
    assert card["judges"]["spectrum"]["weights_sha256"] == sha256_file(run.weights / FILE)
    made = {path.name for path in (results / "embeddings").rglob("*") if path.is_file()}
    files = {"classifier.parquet", "levels.parquet", "spectrum.parquet", "ledger.parquet", "index.parquet"}
    assert made == files


def test_the_rules_register_embed_check_score_and_print_the_judge_without_weights(run: Run) -> None:
    sounds = [soundfile.read(run.results / f"samples/tiny/ours/0/{clip}.flac", always_2d=True) for clip in CLIPS]
    wanted = np.mean([levels_of(data.T[:, : round(SECONDS * rate)], rate) for data, rate in sounds], axis=0)
    assert run.table().loc["ours", LEVELS].tolist() == pytest.approx(wanted.tolist(), abs=1e-3)
    judges = run.card()["judges"]
    assert judges["levels"]["weights_sha256"] == VERSION
    assert judges["levels"]["measures"][METER_ERROR]["good"]
