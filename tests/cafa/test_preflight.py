import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cafa.preflight import PreflightSettings, findings


def test_everything_is_said_at_once(tmp_path: Path) -> None:
    settings = {
        "device": "nothing",
        "results": str(tmp_path / "new" / "results"),
        "disk_bytes": 10**18,
        "paths": {str(tmp_path): "there", str(tmp_path / "weights.pth"): "model av_clip"},
        "fetch": {"clips": {"sources": [{"kind": "folder", "root": str(tmp_path / "vggsound")}]}},
        "packages": {"no_such_package": "training", "json": "all"},
    }
    words = [sys.executable, "-m", "cafa", "check", "--settings", json.dumps(settings)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["error"] * 4 + ["warning"]
    for text in (
        "--device nothing",
        "weights.pth is not there (model av_clip)",
        "no_such_package",
        "no folder",
        "GB are free",
    ):
        assert text in done.stdout
    assert done.stderr == "cafa: error: 4 of these would stop the run\n"
    assert not (tmp_path / "new").exists()


def test_programs_are_asked_for_only_where_a_source_needs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    folder = {"kind": "folder", "root": str(tmp_path)}
    settings = {"results": tmp_path, "fetch": {"clips": {"sources": [folder]}}}
    assert not list(findings(PreflightSettings.model_validate(settings)))
    settings["fetch"] = {"clips": {"sources": [folder, {"kind": "youtube"}]}}
    assert ["ffmpeg" in finding.text for finding in findings(PreflightSettings.model_validate(settings))] == [True]


def test_warnings_alone_let_the_run_begin(tmp_path: Path) -> None:
    settings = {"results": str(tmp_path), "disk_bytes": 10**18}
    words = [
        sys.executable,
        "-m",
        "cafa",
        "check",
        "--settings",
        json.dumps(settings),
        "--output",
        str(tmp_path / "f.json"),
    ]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    assert [entry["kind"] for entry in json.loads((tmp_path / "f.json").read_text())] == ["warning"]
