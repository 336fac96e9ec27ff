"""How clips and lists arrive, under the rules' own command lines."""

import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from cafa.common.ledger import read_ledgers
from tests.cafa.data.test_ingest import one_clip  # noqa: F401
from tests.snakemake_starts import snakemake

ROOT = Path(__file__).resolve().parents[2]
#: found by every Python of the job, workers included: some files crash or hang their reader
FAULTS = """
import os, signal, sys, time
if "cafa" in os.path.basename(sys.argv[0] if sys.argv else "") or "forkserver" in " ".join(sys.orig_argv):
    import cafa.data.ingest
    normalise = cafa.data.ingest.normalise_clip
    def faulty(source, **options):
        if source.stem == "hangs":
            time.sleep(600)
        if source.stem == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        return normalise(source, **options)
    cafa.data.ingest.normalise_clip = faulty
"""


def run_rules(tmp_path: Path, change: dict[str, Any], *arguments: str, **environment: str) -> tuple[int, str]:
    (tmp_path / "change.yaml").write_text(yaml.safe_dump({"results": str(tmp_path / "results"), **change}))
    done = snakemake(
        *("--cores", "2", *arguments, "--directory", str(tmp_path)),
        *("--configfile", str(ROOT / "config/config.yaml"), str(tmp_path / "change.yaml")),
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stdout + done.stderr


def published(tmp_path: Path, **entry: Any) -> dict[str, Any]:
    """A data set of one published list, its clips from a folder."""
    build = {"lists": [{"path": "lists/a.csv", "url": "https://localhost/a.csv", "format": "vggsound", "licence": "x"}]}
    fetch = {"sources": [{"kind": "folder", "root": str(tmp_path / "films")}]}
    return {
        "datasets": {
            "lab": {"kind": "published", "list": "vggsound", "build": build, "fetch": fetch, "shards": 2, **entry}
        }
    }


def test_a_file_that_hangs_or_crashes_its_reader_costs_only_itself(tmp_path: Path, one_clip: Path) -> None:  # noqa: F811
    films = tmp_path / "films"
    films.mkdir()
    names = ["fine", "hangs", "crashes", "other"]
    for name in names:
        shutil.copy(one_clip, films / f"{name}.mp4")
    clips = [{"clip_id": name, "uri": f"{name}.mp4", "label": "x", "caption": "x", "split": "test"} for name in names]
    pd.DataFrame(clips).assign(start=0.0, duration=1.0, licence="x").to_csv(tmp_path / "clips.csv", index=False)
    change = {
        "datasets": {"lab": {"kind": "folder", "csv": str(tmp_path / "clips.csv"), "root": str(films), "shards": 1}},
        "ingest": {"workers": 2, "seconds_per_clip": 8},
    }
    (tmp_path / "faults").mkdir()
    (tmp_path / "faults" / "sitecustomize.py").write_text(FAULTS)
    ledger = tmp_path / "results/clips/lab/0.ledger.parquet"
    code, text = run_rules(
        tmp_path, change, str(ledger), PYTHONPATH=f"{tmp_path / 'faults'}:{ROOT}", OMP_NUM_THREADS="1"
    )
    assert code == 0, text[-3000:]
    rows = read_ledgers([ledger]).set_index("clip_id")
    assert rows["status"].to_dict() == {"fine": "ok", "hangs": "unreadable", "crashes": "unreadable", "other": "ok"}
    assert "not done after 8 s" in rows["detail"]["hangs"]
    assert "died (exit code -11)" in rows["detail"]["crashes"]


def test_a_list_is_fetched_by_a_rule_of_its_own(tmp_path: Path) -> None:
    manifest = str(tmp_path / "results/manifests/lab.parquet")
    code, text = run_rules(tmp_path, published(tmp_path), "--dry-run", manifest)
    assert code == 0, text
    assert "rule fetch_list" in text and "results/lists/a.csv" in text  # noqa: PT018


@pytest.mark.parametrize("place", ["path", "folder"])
def test_a_list_that_is_there_needs_no_internet(tmp_path: Path, place: str) -> None:
    folder = tmp_path / ("lists" if place == "path" else "others")
    folder.mkdir()
    (folder / "a.csv").write_text("abcdefghijk,30,dog barking,test\n")
    change = published(tmp_path) | ({"lists": {"folder": str(folder)}} if place == "folder" else {})
    manifest = tmp_path / "results/manifests/lab.parquet"
    (tmp_path / "films").mkdir()
    code, text = run_rules(
        tmp_path, change, str(manifest), http_proxy="http://localhost:9", https_proxy="http://localhost:9"
    )
    assert code == 0, text
    assert "fetch_list" not in text
    assert list(pd.read_parquet(manifest)["clip_id"]) == ["abcdefghijk_000030"]


def test_two_lists_of_one_name(tmp_path: Path) -> None:
    change = published(tmp_path)
    lists = change["datasets"]["lab"]["build"]["lists"]
    lists.append({**lists[0], "url": "https://localhost/other/a.csv"})
    code, text = run_rules(tmp_path, change, "--dry-run", str(tmp_path / "results/manifests/lab.parquet"))
    assert code != 0
    assert "two lists are called a.csv" in text


def test_a_folder_of_clips_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a.csv").write_text("abcdefghijk,30,dog barking,test\n")
    target = tmp_path / "results/fetched/lab/0.parquet"
    code, text = run_rules(tmp_path, published(tmp_path), str(target))
    assert code != 0
    assert text.count(f"no folder at {tmp_path / 'films'}") == 1
    assert not list((tmp_path / "results").rglob("*.parquet"))


def test_a_data_set_takes_clips_from_another(tmp_path: Path, one_clip: Path) -> None:  # noqa: F811
    names = ["abcdefghijk_000030", "bbcdefghijk_000030", "cbcdefghijk_000030"]
    (tmp_path / "films").mkdir()
    (tmp_path / "lists").mkdir()
    for name in names:
        shutil.copy(one_clip, tmp_path / "films" / f"{name}.mp4")
    (tmp_path / "lists" / "a.csv").write_text("".join(f"{name[:11]},30,dog barking,test\n" for name in names[:2]))
    (tmp_path / "lists" / "b.csv").write_text("".join(f"{name[:11]},30,dog barking,test\n" for name in names[1:]))
    change = published(tmp_path)
    other = published(tmp_path, reuse=["lab"], shards=1)["datasets"]["lab"]
    other["build"]["lists"][0] |= {"path": "lists/b.csv", "url": "https://localhost/b.csv"}
    change["datasets"]["second"] = other
    for entry in change["datasets"].values():
        entry["build"]["seconds"] = 1.0
    target = tmp_path / "results/clips/second/0.ledger.parquet"
    code, text = run_rules(tmp_path, change, str(target))
    assert code == 0, text[-3000:]
    assert set(read_ledgers([target])["status"]) == {"ok"}
    clips = tmp_path / "results/clips"
    first = next(clips.glob(f"lab/*/{names[1]}.mp4"))
    assert (clips / "second/0" / first.name).samefile(first)
    assert (clips / "second/0" / f"{names[2]}.mp4").is_file()


@pytest.mark.parametrize(
    ("reuse", "message"), [(["nobody"], "which is no published data set"), (["lab"], "leads back to itself")]
)
def test_reuse_that_leads_nowhere(tmp_path: Path, reuse: list[str], message: str) -> None:
    code, text = run_rules(tmp_path, published(tmp_path, reuse=reuse), "--dry-run", str(tmp_path / "results/x"))
    assert code != 0
    assert message in text


def commands_for(target: str, dataset: str) -> list[str]:
    """Commands of a data set's jobs that the paper's configuration plans for a file."""
    words = ("--dry-run", "--printshellcmds", "--cores", "2", target, "--configfile", "config/paper.yaml")
    done = snakemake(*words, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:]
    return [line for line in (done.stdout + done.stderr).splitlines() if dataset in line and "cafa " in line]


def test_the_paper_encodes_no_clip_twice_for_visualsound() -> None:
    commands = commands_for("results/paper/features/visualsound/av_clip/0.arrow", "visualsound")
    (encode,) = [line for line in commands if "features encode av_clip latents --model" in line]
    features = "results/paper/features"
    assert f"--reuse {features}/vggsound_train/av_clip --reuse {features}/vggsound_train/latents --threads" in encode
    assert f"--output {features}/visualsound/av_clip/0.arrow --output {features}/visualsound/latents/0.arrow" in encode
    ingest = next(line for line in commands if "cafa ingest" in line)
    assert "--reuse results/paper/clips/vggsound_train" in ingest


def test_everything_that_is_made_of_a_training_clip_is_one_job() -> None:
    commands = commands_for("results/paper/features/vggsound_train/latents_tangoflux/7.arrow", "vggsound_train")
    (encode,) = [line for line in commands if "features encode" in line]
    folder = "results/paper/models"
    assert (
        f"features encode av_clip clip latents latents --model {folder}/av_clip --model {folder}/clip"
        f" --model {folder}/backbone --model {folder}/tangoflux --manifest"
    ) in encode
    assert encode.count("--output ") == 4
    assert "--keep --ledger results/paper/features/vggsound_train/encoded/7.ledger.parquet" in encode
