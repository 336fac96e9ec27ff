"""Metrics from outside, as docs/extending/metric.md adds them, printed by `cafa evaluate`."""

from pathlib import Path

import pandas as pd

from tests.cafa.cli.test_evaluate import miniature  # noqa: F401
from tests.evaluation_clips import write_video, write_wav
from tests.extending.plugin import run_with_plugin

SCRIPT = """
import sys
from click.testing import CliRunner
from cafa.cli import cli

judges = sys.argv[1]
words = ["evaluate", "--reference", "reference", "--samples", "ours", "--prompts", "prompts.csv", "--output", "out"]
words += ["--judges", "miniature", "--weights", judges, "--check", f"{judges}/judges.json", "--resamples", "100"]
words += ["--metric", "Sureness", "--metric", "Variety", "--metric", "FAD"]
done = CliRunner().invoke(cli, words)
assert done.exit_code == 0, (done.output, done.exception)
wrong = CliRunner().invoke(cli, [*words, "--metric", "Surenes"])
print(wrong.exception)
"""


def test_metrics_of_a_plugin_are_columns_with_intervals(tmp_path: Path, miniature: Path) -> None:  # noqa: F811
    names = ["one", "two", "three", "four"]
    for number, name in enumerate(names):
        write_video(tmp_path / "reference" / f"{name}.mp4", number, 2.4)
        write_wav(tmp_path / "ours" / f"{name}.wav", 100 + number, 2.4)
    prompts = pd.DataFrame({"clip_id": names, "caption": ["a dog", "a cat", "rain", "bells"]})
    prompts.to_csv(tmp_path / "prompts.csv", index=False)
    script = SCRIPT.replace("sys.argv[1]", repr(str(miniature)))
    done = run_with_plugin("metric.md", "my_metrics", script, tmp_path)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "out" / "table.csv").iloc[0]
    clips = pd.read_parquet(tmp_path / "out" / "clips.parquet")
    assert 1 / 3 < table["Sureness"] <= 1
    assert abs(clips["Sureness"].mean() - table["Sureness"]) < 1e-5
    assert 0 <= table["Variety_low"] <= table["Variety"] <= table["Variety_high"]
    assert table["Variety"] > 0
    assert "did you mean 'Sureness'? There are FAD" in done.stdout
