"""A kind of system from outside the packages, exactly as docs/extending/system.md says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from cafa.data.prompts import SCHEMA
from tests.extending.from_docs import code_blocks

CAPTIONS = ["dog", "a dog barks", "music"]
SECONDS, RATE = 0.5, 16000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (code,) = code_blocks("system.md")
    (tmp_path / "tones.py").write_text(code)
    rows = [
        dict.fromkeys(SCHEMA.names, "")
        | {"clip_id": f"clip{k}", "caption_id": "own", "caption": caption, "label": "x", "protocol": "matched"}
        for k, caption in enumerate([*CAPTIONS, ""])
    ]
    pd.DataFrame(rows)[SCHEMA.names].to_parquet(tmp_path / "prompts.parquet", index=False)
    return tmp_path


def make(folder: Path, settings: dict, *, shard: str = "0/1", plugins: str = "tones") -> subprocess.CompletedProcess:
    words = ["--system", "my_tones", "--settings", json.dumps(settings), "--prompts", "prompts.parquet"]
    words += ["--features-folder", "features", "--models", "models", "--clips", "clips", "--seconds", str(SECONDS)]
    words += ["--sample-rate", str(RATE), "--seed", "0", "--batch-size", "2", "--shard", shard]
    words += ["--output-folder", f"samples/{shard[0]}", "--index", f"samples/{shard[0]}.parquet"]
    environment = os.environ | {
        "CAFA_PLUGINS": plugins,
        "PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).resolve().parents[2])]),
    }
    return subprocess.run(
        [sys.executable, "-m", "cafa", "samples", "make", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_makes_the_samples_of_a_kind_that_a_plugin_registers(folder: Path) -> None:
    result = make(folder, {"kind": "tone", "hertz_per_letter": 40})
    assert result.returncode == 0, result.stderr
    index = pd.read_parquet(folder / "samples" / "0.parquet")
    assert index["status"].tolist() == ["ok", "ok", "ok", "bad_row"]
    for row in index[index["status"] == "ok"].itertuples():
        sound, rate = soundfile.read(folder / "samples" / "0" / row.file)
        assert (rate, len(sound)) == (RATE, SECONDS * RATE)
        loudest = np.abs(np.fft.rfft(sound)).argmax() / SECONDS
        assert loudest == 40 * len(row.caption)


def test_samples_do_not_depend_on_their_shard(folder: Path) -> None:
    settings = {"kind": "tone"}
    assert make(folder, settings).returncode == 0
    whole = pd.read_parquet(folder / "samples" / "0.parquet")
    assert [make(folder, settings, shard=f"{k}/2").returncode for k in range(2)] == [0, 0]
    parts = pd.concat([pd.read_parquet(folder / "samples" / f"{k}.parquet") for k in range(2)])
    assert dict(zip(parts["clip_id"], parts["sha256"], strict=True)) == dict(
        zip(whole["clip_id"], whole["sha256"], strict=True)
    )


def test_without_the_plugin_the_kind_is_refused_with_those_that_there_are(folder: Path) -> None:
    result = make(folder, {"kind": "tone"}, plugins="")
    assert result.returncode != 0
    assert "there is no kind of system 'tone'" in result.stderr
    assert "oracle_wrong_times" in result.stderr
    wrong = make(folder, {"kind": "tone", "hertz_per_letter": -1})
    assert wrong.returncode != 0
    assert "hertz_per_letter" in wrong.stderr
