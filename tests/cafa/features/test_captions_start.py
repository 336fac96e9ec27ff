"""Captions of the miniature: a job of less than a second, of which importing torch would be two more."""

import subprocess
import sys
from pathlib import Path

import pandas as pd

SETTINGS = '{"dim": 4, "words": 3}'
RUN = """
import sys
from cafa.cli import cli
cli(sys.argv[1:], standalone_mode=False)
assert "torch" not in sys.modules
"""


def test_the_miniatures_captions_need_no_torch(tmp_path: Path) -> None:
    clips = pd.DataFrame({"uri": ["a.mp4", "b.mp4"], "caption": ["a dog barks", "hammering nails"]})
    clips = clips.assign(clip_id=["a", "b"], label=clips["caption"], split="test", start=0.0, duration=3.2)
    (tmp_path / "clips").mkdir()
    for uri in clips["uri"]:
        (tmp_path / "clips" / uri).touch()
    clips.to_csv(tmp_path / "clips.csv", index=False)
    manifest, output = tmp_path / "manifest.parquet", tmp_path / "text.arrow"
    command = ["manifest", "--source", "clips.csv", "--root", "clips", "--output", str(manifest)]
    for words in (
        [*command, "--refused", "refused.parquet"],
        ["features", "text", "--manifest", str(manifest), "--settings", SETTINGS, "--output", str(output)],
    ):
        done = subprocess.run([sys.executable, "-c", RUN, *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert output.stat().st_size > 0
