"""Systems of other people's code: stand-in checkouts, run by the drivers, with everything that goes wrong."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from pydantic import ValidationError

from cafa.common.errors import CafaError, InputError
from cafa.generation.systems import parse_system
from tests.cafa.generation.external_runs import command, made, write_clips, write_prompts
from tests.peers.checkouts import git, make_checkout

CLIPS = [f"clip{number}" for number in range(4)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Stand-in checkouts by peer, and clips."""
    folder = tmp_path_factory.mktemp("peers")
    write_clips(folder / "clips", CLIPS, 8.0)
    return {"clips": folder / "clips"} | {
        peer: make_checkout(peer, folder / peer) for peer in ("mmaudio", "foleycrafter", "rewas")
    }


@pytest.fixture
def here(lab: dict[str, Any], tmp_path: Path) -> Path:
    shutil.copytree(lab["clips"], tmp_path / "clips")
    write_prompts(tmp_path / "prompts.parquet", CLIPS)
    return tmp_path


def statuses(index: pd.DataFrame) -> dict[str, str]:
    """Status by clip; all captions of a clip have the same."""
    assert (index.groupby("clip_id")["status"].nunique() == 1).all()
    return dict(index.groupby("clip_id")["status"].first())


def test_mmaudio_gives_each_sound_the_noise_of_its_own_seed(lab: dict[str, Any], here: Path) -> None:
    index = made(here, lab["mmaudio"])
    assert set(index["status"]) == {"ok"}
    assert set(index["sample_rate"]) == {44100}
    assert index["seconds"].tolist() == [8.0] * 8
    assert index["sha256"].nunique() == 8
    sound, _ = soundfile.read(here / "peer" / "0" / index["file"][0])
    assert np.abs(sound[: 8 * 44100][-1000:]).max() > 0  # as long as the clip, not filled up with silence
    alone = made(here, lab["mmaudio"], "alone", batch_size=1)
    assert alone["sha256"].tolist() == index["sha256"].tolist()


def test_prompts_are_worded_for_the_peer_and_stay_themselves_in_the_index(lab: dict[str, Any], here: Path) -> None:
    write_prompts(here / "prompts.parquet", CLIPS[:1])
    plain = made(here, lab["mmaudio"])
    without_text = made(here, {**lab["mmaudio"], "caption": ""}, "v2a")
    negative = made(here, {**lab["mmaudio"], "negative_prompt": "{own_caption}"}, "negative")
    assert plain["caption"].tolist() == without_text["caption"].tolist() == negative["caption"].tolist()
    assert len({index["sha256"][1] for index in (plain, without_text, negative)}) == 3


@pytest.mark.parametrize("peer", ["foleycrafter", "rewas"])
def test_peers_of_one_clip_a_call(lab: dict[str, Any], here: Path, peer: str) -> None:
    write_prompts(here / "prompts.parquet", CLIPS[:2])
    index = made(here, lab[peer])
    assert set(index["status"]) == {"ok"}, index["detail"].tolist()
    assert set(index["sample_rate"]) == {16000}
    assert set(index["seconds"]) == {5.0 if peer == "rewas" else 8.0}
    assert index["sha256"].nunique() == 4


def test_foleycrafter_builds_the_model_that_is_named(lab: dict[str, Any], here: Path) -> None:
    write_prompts(here / "prompts.parquet", CLIPS[:1])
    named = made(here, {**lab["foleycrafter"], "settings": {"pretrain": "somebody/another"}}, "named")
    assert set(named["status"]) == {"ok"}, named["detail"].tolist()
    assert set(named["sha256"]).isdisjoint(made(here, lab["foleycrafter"])["sha256"])


@pytest.mark.parametrize("peer", ["mmaudio", "foleycrafter"])
def test_a_crash_costs_the_clip_alone(
    lab: dict[str, Any], here: Path, peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(here, lab[peer], "whole")
    monkeypatch.setenv("STANDIN_FAULTS", json.dumps({"clip3": "crash"}))
    index = made(here, lab[peer])
    lost = index["clip_id"].eq("clip3")
    assert lost.sum() == 2
    assert set(index[lost]["status"]) == {"peer_crashed"}
    assert index[lost]["detail"].str.contains("SIGKILL; last line: stand-in: segmentation fault").all()
    assert index[~lost]["sha256"].tolist() == whole[~lost]["sha256"].tolist()


def test_other_faults_of_clips(lab: dict[str, Any], here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = {"clip0": "short", "clip1": "missing", "clip2": "error", "clip3": "long"}
    monkeypatch.setenv("STANDIN_FAULTS", json.dumps(faults))
    index = made(here, lab["foleycrafter"])
    assert statuses(index) == {
        "clip0": "short",
        "clip1": "missing_sample",
        "clip2": "peer_failed",
        "clip3": "ok",
    }
    details = index.groupby("clip_id")["detail"].first()
    assert details["clip0"] == "clip.wav holds 4.00 s of 8.0 s"
    assert details["clip2"] == "RuntimeError: CUDA error of clip2"
    assert set(index[index["clip_id"] == "clip3"]["seconds"]) == {8.0}  # judged; the file holds what was made
    file = here / "peer" / "0" / index[index["clip_id"] == "clip3"]["file"].iloc[0]
    assert soundfile.info(file).duration == pytest.approx(10.0)


def test_a_hang_is_ended(lab: dict[str, Any], here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_FAULTS", json.dumps({"clip1": "hang"}))
    write_prompts(here / "prompts.parquet", CLIPS[:3], ["a dog barks"])
    index = made(here, {**lab["mmaudio"], "seconds_per_clip": 4.0}, batch_size=3)
    assert statuses(index) == {"clip0": "ok", "clip1": "peer_hung", "clip2": "ok"}
    assert "no answer in time" in index["detail"][1]


def test_a_clip_that_is_not_there(lab: dict[str, Any], here: Path) -> None:
    (here / "clips/0/clip1.mp4").unlink()
    index = made(here, lab["mmaudio"])
    assert statuses(index) == {"clip0": "ok", "clip1": "missing_file", "clip2": "ok", "clip3": "ok"}


def test_where_every_clip_fails_it_is_not_the_clips(
    lab: dict[str, Any], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [f"clip{number}" for number in range(6)]
    for clip in clips[4:]:
        shutil.copy(here / "clips/0/clip0.mp4", here / f"clips/0/{clip}.mp4")
    write_prompts(here / "prompts.parquet", clips, ["a dog barks"])
    monkeypatch.setenv("STANDIN_FAULTS", json.dumps({"a dog barks": "error"}))
    with pytest.raises(CafaError, match=r"made no sound of 5 clips one after the other.*CUDA error of clip4"):
        made(here, lab["foleycrafter"], batch_size=1)


def test_checkouts_that_are_refused(lab: dict[str, Any], here: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(lab["rewas"]["checkout"], copy)
    settings = {**lab["rewas"], "checkout": str(copy)}
    with pytest.raises(InputError, match=r"is at commit .*, its driver was written for 4e09954d.*checkout 4e09954d"):
        made(here, {**settings, "commit": None})
    (copy / "audioldm/pipeline.py").write_text("changed\n")
    with pytest.raises(InputError, match=r"differ from commit .*: audioldm/pipeline.py"):
        made(here, settings)
    git(copy, "stash")
    with pytest.raises(InputError, match="inside of another checkout"):
        made(here, {**settings, "checkout": str(copy / "audioldm")})
    with pytest.raises(InputError, match=r"there is no checkout at .*git clone https://github.com/naver-ai/rewas"):
        made(here, {**settings, "checkout": str(tmp_path / "none")})
    with pytest.raises(InputError, match="is no git checkout"):
        made(here, {**settings, "checkout": str(here / "clips")})


def test_environments_that_are_refused(lab: dict[str, Any], here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    with pytest.raises(InputError, match=r"envs/mmaudio.yaml.*--sdm conda"):
        made(here, {**lab["mmaudio"], "python": None})
    with pytest.raises(InputError, match="cannot be started"):
        made(here, {**lab["mmaudio"], "python": "none/python"})
    # MMAudio's driver in an environment without MMAudio: the checkout of another peer.
    with pytest.raises(InputError, match=r"could not load its models.*No module named 'mmaudio'"):
        made(here, {**lab["rewas"], "peer": "mmaudio"})


def test_settings_that_are_refused() -> None:
    given = {"kind": "external", "peer": "mmaudio", "checkout": "x"}
    with pytest.raises(ValidationError, match="variant"):
        parse_system({**given, "settings": {"variant": "huge"}})
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        parse_system({**given, "settings": {"stepps": 3}})
    with pytest.raises(ValidationError, match="ReWaS takes no negative prompt"):
        parse_system({**given, "peer": "rewas", "negative_prompt": "music"})
    with pytest.raises(ValidationError, match="there is no peer 'mmaudo'; did you mean"):
        parse_system({**given, "peer": "mmaudo"})


def test_the_python_of_the_conda_environment_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = parse_system({"kind": "external", "peer": "mmaudio", "checkout": "x"})
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path))
    assert system.interpreter() == (str(tmp_path / "bin/python"),)  # type: ignore[attr-defined]


def test_killed_and_resumed_equals_uninterrupted(lab: dict[str, Any], here: Path) -> None:
    settings = here / "settings.json"
    settings.write_text(json.dumps(lab["foleycrafter"]))
    environment = {**os.environ, "STANDIN_FAULTS": json.dumps({"clip3": "short"})}
    subprocess.run(command(here, settings, "whole"), env=environment, check=True)
    killed = subprocess.Popen(command(here, settings, "killed"), env={**environment, "STANDIN_SECONDS": "0.7"})
    journal = here / "killed/0/.journal.jsonl"
    until = time.monotonic() + 120
    while len(journal.read_text().splitlines() if journal.exists() else []) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    done = len(journal.read_text().splitlines()) - 1
    assert 1 <= done < 4
    subprocess.run(command(here, settings, "killed"), env=environment, check=True)
    whole, resumed = (pd.read_parquet(here / f"{name}.parquet") for name in ("whole", "killed"))
    pd.testing.assert_frame_equal(whole, resumed)
    for file in whole["file"].dropna():
        first, second = (soundfile.read(here / name / "0" / file)[0] for name in ("whole", "killed"))
        np.testing.assert_array_equal(first, second)
