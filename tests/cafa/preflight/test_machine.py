import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cafa.cli.check import command
from cafa.common.files import sha256_file
from cafa.models.encoders import synchformer
from cafa.models.encoders.synchformer_network import DESYNC_STRIDE, segment_starts
from cafa.preflight import jobs as preflight_jobs
from cafa.preflight.disk import ENCODED, JUDGED_PICTURE, estimate
from cafa.preflight.jobs import JobNeeds, findings_of_jobs, minutes_of, read_partitions
from cafa.preflight.machine import PreflightSettings, findings
from cafa.preflight.weights import findings_of_models
from metrics.encoders.synchformer.offset_network import VIDEO_VECTORS
from tests.tiny_judges import make_weights
from tests.tiny_pretrained import make_clip


def test_everything_is_said_at_once(tmp_path: Path) -> None:
    settings = {
        "device": "nothing",
        "results": str(tmp_path / "new" / "results"),
        "disk": {"raw clips": 10**18},
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


def test_lists_on_this_machine_are_the_right_ones(tmp_path: Path) -> None:
    good, other, page = (tmp_path / name for name in ("good.csv", "other.csv", "page.csv"))
    good.write_text("abc,0,dog,train\n")
    other.write_text("abc,1,dog,train\n")
    page.write_text("\n<!DOCTYPE html><html>404</html>")
    lists = {good: sha256_file(good), other: sha256_file(good), page: None, tmp_path / "fetched.csv": "0" * 64}
    found = list(findings(PreflightSettings(results=tmp_path, lists=lists)))
    assert [finding.kind for finding in found] == ["error", "error"]
    assert f"other.csv has SHA-256 {sha256_file(other)}, expected {sha256_file(good)}" in found[0].text
    assert "page.csv: it is a web page" in found[1].text


def test_a_place_that_data_sets_share_is_named_once(tmp_path: Path) -> None:
    fetch = {name: {"sources": [{"kind": "folder", "root": str(tmp_path / "vggsound")}]} for name in ("one", "two")}
    (finding,) = findings(PreflightSettings.model_validate({"results": tmp_path, "fetch": fetch}))
    assert finding.text.startswith(f"one, two: no folder at {tmp_path / 'vggsound'}: ")


def test_programs_are_asked_for_only_where_a_source_needs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    folder = {"kind": "folder", "root": str(tmp_path)}
    settings = {"results": tmp_path, "fetch": {"clips": {"sources": [folder]}}}
    assert not list(findings(PreflightSettings.model_validate(settings)))
    settings["fetch"] = {"clips": {"sources": [folder, {"kind": "youtube"}]}}
    assert ["ffmpeg" in finding.text for finding in findings(PreflightSettings.model_validate(settings))] == [True]


def test_warnings_alone_let_the_run_begin(tmp_path: Path) -> None:
    settings = {"results": str(tmp_path), "disk": {"raw clips": 10**18}}
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


@pytest.mark.parametrize(
    ("settings", "looked_at"),
    [({}, ""), ({"paths": {"clip.mp4": "a clip"}, "packages": {"json": "all"}}, "; paths: 1; packages: 1")],
)
def test_a_run_that_nothing_stops_hears_what_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], looked_at: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").touch()
    done = CliRunner().invoke(command, ["--settings", json.dumps(settings)])
    said = f"nothing would stop the run; looked at: device cpu, room in results{looked_at}\n"
    assert (done.exit_code, done.stdout) == (0, said)


def texts(jobs: list[JobNeeds]) -> list[str]:
    return [f"{finding.kind}: {finding.text}" for finding in findings_of_jobs(jobs)]


def test_the_largest_jobs_are_compared_with_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight_jobs, "machine_megabytes", lambda: 16_000)
    monkeypatch.setattr(preflight_jobs.os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    small, large = JobNeeds(rule="small", memory_mb=16_000, threads=2, gpus=2), JobNeeds(rule="large", memory_mb=32_000)
    assert not texts([small])
    assert texts([small, large]) == [
        "warning: a job of large asks for 32 GB of memory, and this machine has 16 GB: it may be killed"
    ]
    (many,) = texts([small, JobNeeds(rule="many", threads=5)])
    assert "a job of many uses 5 CPUs, and this machine has 2" in many
    (gpus,) = texts([small, JobNeeds(rule="several", gpus=4)])
    assert gpus.startswith("error: a job of several needs 4 GPUs")


def test_memory_is_that_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(preflight_jobs, "MEMORY_LIMITS", (limit, tmp_path / "none"))
    limit.write_text("max\n")
    whole = preflight_jobs.machine_megabytes()
    limit.write_text("500000000\n")
    assert preflight_jobs.machine_megabytes() == 500 < whole


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [("1-12:00:00", 2160), ("infinite", None), ("30:00", 30), ("2:00:30", 121), ("n/a", None), ("0:30", 1)],
)
def test_time_limits_of_slurm(limit: str, minutes: int | None) -> None:
    assert minutes_of(limit) == minutes


#: as `sinfo --format=%R|%l|%m|%c|%G|%a` says it: a line for every kind of node
SINFO = """\
cpu|infinite|64000|16|(null)|up
gpu|1-00:00:00|128000+|32|gpu:a100:4(S:0-1)|up
gpu|1-00:00:00|64000|16|gpu:2,shard:8|up
old|1:00:00|1000|1|(null)|drain
"""


def test_what_slurm_does_not_know_is_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sinfo = tmp_path / "sinfo"
    sinfo.write_text("#!/bin/sh\necho 'odd|infinite|N/A|UNLIMITED|(null)|up'\n")
    sinfo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert not texts([JobNeeds(rule="ingest", partition="odd", memory_mb=64000, threads=8)])
    (found,) = texts([JobNeeds(rule="train", partition="odd", gpus=1)])
    assert "asks for 1 GPUs, and the largest node of the partition odd has 0" in found


def test_partitions_of_slurm_are_compared_with_what_jobs_ask_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_partitions(SINFO)["gpu"] == (1440, 128000, 32, 4, True)
    sinfo = tmp_path / "sinfo"
    sinfo.write_text(f"#!/bin/sh\ncat <<'end'\n{SINFO}end\n")
    sinfo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    good = JobNeeds(rule="encode", partition="gpu", memory_mb=128000, threads=5, minutes=1440, gpus=4)
    assert not texts([good, JobNeeds(rule="ingest", partition="cpu", memory_mb=64000, minutes=10**6)])
    found = texts(
        [
            good.model_copy(update={"rule": "train", "minutes": 4320}),
            good.model_copy(update={"rule": "wide", "gpus": 8, "memory_mb": 10**6, "threads": 64}),
            JobNeeds(rule="lost", partition="gpus"),
            JobNeeds(rule="late", partition="old"),
        ]
    )
    assert "error: train asks for 4320 minutes, and the partition gpu allows 1440: write `runtime: 1440`" in found[0]
    assert [text.partition(", and")[0] for text in found[1:4]] == [
        "error: wide asks for 1000000 MB of memory",
        "error: wide asks for 64 CPUs",
        "error: wide asks for 8 GPUs",
    ]
    assert found[4] == "error: lost: SLURM has no partition 'gpus', it has cpu, gpu, old: edit the profile"
    assert found[5] == "warning: late: the partition old is not up"


def test_slurm_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = JobNeeds(rule="encode", partition="gpu")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ["no `sinfo` here" in text for text in texts([job])] == [True]
    (tmp_path / "sinfo").write_text("#!/bin/sh\necho 'sinfo: no controller' >&2\nexit 1\n")
    (tmp_path / "sinfo").chmod(0o755)
    assert ["sinfo: no controller" in text for text in texts([job])] == [True]


def test_bytes_on_disk_are_those_of_the_arrays() -> None:
    assert ENCODED["av_clip"] == ENCODED["clip"] == synchformer.TOKENS * 768 * 2
    assert ENCODED["latents"] == -(-441_000 // 2048) * 64 * 2
    assert len(segment_starts(200, DESYNC_STRIDE)) * VIDEO_VECTORS * 768 * 4 == JUDGED_PICTURE
    found = estimate({"fetched": 10, "samples": 3, "adapters": 2}, 10.0, 44100)
    assert found["raw clips"] == 20_000_000
    assert found["samples"] == 3 * 10 * 44100 * 2 * 2
    assert found["normalised clips"] == found["features"] == 0
    assert estimate({"fetched": 10}, 5.0, 44100)["raw clips"] == 10_000_000


def judges_said(settings: dict[str, object], *options: str) -> str:
    wanted = {"judges": ["classifier", "clap"], "judge_settings": settings}
    return CliRunner().invoke(command, ["--settings", json.dumps(wanted), *options]).output


HEADER = "name\turl\tsha256\tbytes\tlicence\tused_by\tnote\n"


def change_row(table: Path, name: str, **values: str) -> None:
    """Other values in a row of a table of weights."""
    lines = [line.split("\t") for line in table.read_text().splitlines()]
    (row,) = [line for line in lines if line[0] == name]
    for column, value in values.items():
        row[lines[0].index(column)] = value
    table.write_text("".join("\t".join(line) + "\n" for line in lines))


def test_every_file_of_a_judge_is_looked_at(tmp_path: Path) -> None:
    settings = make_weights(tmp_path)
    assert judges_said(settings).startswith("nothing would stop the run;")
    (tmp_path / "merges.txt").unlink()
    (tmp_path / "vocab.json").write_text("")
    change_row(Path(settings["table"]), "panns_cnn14_16k", sha256="")
    first, second, third = judges_said(settings).splitlines()
    assert "error: judge clap: there is no" in first + second
    assert "merges.txt: download https://" in first + second
    assert "vocab.json is empty" in first + second
    assert third.startswith("error: judge classifier: the table of weights has no SHA-256 of")


def test_large_weights_are_hashed_on_request(tmp_path: Path) -> None:
    settings = make_weights(tmp_path)
    file = tmp_path / "Cnn14_16k_mAP=0.438.pth"
    with file.open("ab") as stream:
        stream.truncate(11_000_000)
    change_row(Path(settings["table"]), "panns_cnn14_16k", bytes="")
    assert "SHA-256" not in judges_said(settings)
    assert f"has SHA-256 {sha256_file(file)}, expected" in judges_said(settings, "--hash")


def models_said(folder: Path, table: Path, **more: object) -> list[str]:
    settings = {"models": {"clip": {"kind": "clip", "source": str(folder), **more}}, "weights_table": str(table)}
    models = PreflightSettings.model_validate(settings).models
    return [f"{finding.kind}: {finding.text}" for finding in findings_of_models(models, table, hashed=True)]


def test_files_of_models_are_compared_with_the_table_of_weights(tmp_path: Path) -> None:
    folder, table = make_clip(tmp_path / "clip"), tmp_path / "weights.tsv"
    file = folder / "model.safetensors"
    url = "https://huggingface.co/openai/clip-vit-large-patch14/resolve/abc/model.safetensors"
    table.write_text(f"{HEADER}clip_large\t{url}\t{sha256_file(file)}\t\tMIT\t\t\n")
    assert models_said(folder, table) == []
    change_row(table, "clip_large", bytes=str(file.stat().st_size))
    assert models_said(folder, table) == []
    change_row(table, "clip_large", bytes="1710540580")
    (said,) = models_said(folder, table)
    assert f"has {file.stat().st_size:,} bytes, the published file has 1,710,540,580" in said
    change_row(table, "clip_large", bytes="", sha256="0" * 64)
    (said,) = models_said(folder, table)
    assert f"has SHA-256 {sha256_file(file)}" in said
    assert models_said(folder, table, sha256={"model.safetensors": sha256_file(file)}) == []
    file.unlink()
    (said,) = models_said(folder, table)
    assert said.startswith("error: model clip: ")
    assert "model.safetensors" in said


def test_a_model_that_will_be_downloaded_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "weights.tsv").write_text(HEADER)
    source = "hub:nobody/nothing-of-that-name"
    settings = {"models": {"clip": {"kind": "clip", "source": source, "download": True}}}
    models = PreflightSettings.model_validate(settings).models
    (finding,) = findings_of_models(models, tmp_path / "weights.tsv", hashed=False)
    assert finding.kind == "warning"
    assert "will be downloaded" in finding.text
