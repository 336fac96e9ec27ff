"""`cafa generate` over folders and tables, parts, takes, what is written; and an end by Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import soundfile
from click.testing import CliRunner

from cafa.cli import cli
from cafa.common.errors import MissingClipError
from cafa.common.files import read_json
from cafa.generation.foley import FoleyPipeline
from cafa.generation.generate_files import LEDGER, GenerateOptions, GenerateRequest, generate_files
from cafa.generation.steps import Cancelled, Step
from cafa.generation.systems import Sampling
from cafa.media.container import open_media
from tests.cafa.generation.test_foley_pipeline import write_video

STEPS = GenerateOptions(steps=2)


@pytest.fixture(scope="module")
def pipeline(registered_models: Path) -> FoleyPipeline:
    return FoleyPipeline.from_pretrained(registered_models, sampling=Sampling(steps=2))


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "a.mp4", 25)
    write_video(folder / "b.mkv", 50, g="10", keyint_min="10", sc_threshold="0", bf="0")
    return folder


def test_a_table_is_made_row_by_row_and_goes_on_where_it_was(
    pipeline: FoleyPipeline, videos: Path, tmp_path: Path
) -> None:
    (videos / "broken.mp4").write_bytes(b"no video")
    table = videos / "list.csv"
    table.write_text(
        "video,prompt,negative_prompt,seed,start,end\n"
        "a.mp4,Music,,,,\n"
        "a.mp4,music,noise,7,,\n"
        "b.mkv,,,,0:00.4,1.2\n"
        "missing.mp4,music,,,,\n"
        "broken.mp4,music,,,,\n"
        "b.mkv,music,,x,,\n"
        "b.mkv,music,,,2,1\n"
    )
    request = GenerateRequest(table, ("a dog barks",), output_folder=tmp_path / "out", options=STEPS)
    said: list[str] = []
    with pytest.raises(MissingClipError, match=r"4 of 7 have no new sound.*cafa ledger show"):
        generate_files(request, said.append, pipeline=pipeline)
    ledger = pd.read_parquet(tmp_path / "out" / LEDGER)
    assert list(ledger["status"]) == ["ok", "ok", "ok", "missing_file", "not_media", "bad_row", "bad_row"]
    assert list(ledger["line"]) == [2, 3, 4, 5, 6, 7, 8]
    index = read_json(tmp_path / "out" / "generated.json")
    assert {(entry["prompt"], entry["seed"]) for entry in index.values()} == {
        ("Music", 0),
        ("music", 7),
        ("a dog barks", 0),
    }
    (part,) = (entry for entry in index.values() if entry["prompt"] == "a dog barks")
    assert part["written_part"]["start"] == pytest.approx(0.4)
    assert part["video_tracks"]["picture"] == "copied"
    assert part["sound"]["seconds"] == pytest.approx(0.8, abs=0.021)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.w*")}
    again: list[str] = []
    with pytest.raises(MissingClipError):
        generate_files(request, again.append, pipeline=pipeline)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.w*")} == before
    assert sum(line.endswith("(there already)") for line in again) == 6


def test_a_folder_is_made_and_the_command_says_what_it_could_not(
    registered_models: Path, videos: Path, tmp_path: Path
) -> None:
    words = ["generate", videos, "--models", registered_models, "--steps", 2, "--output-folder", tmp_path / "out"]
    run = CliRunner().invoke(cli, list(map(str, [*words, "--prompt", "music", "--write", "flac", "--end", "0.8"])))
    assert run.exit_code == 0, run.output
    files = [Path(line) for line in run.stdout.splitlines() if line.endswith(".flac")]
    assert len(files) == 2
    assert {path.suffix for path in (tmp_path / "out").iterdir() if path.suffix not in (".json", ".lock", "")} == {
        ".flac",
        ".parquet",
    }
    lengths = [soundfile.info(path).frames / 44100 for path in files]
    assert 0.8 - 1e-3 <= lengths[0] <= 0.8 + 4 / 25  # its frames are reordered
    assert lengths[1] == pytest.approx(0.8, abs=1e-3)
    nothing = CliRunner().invoke(cli, list(map(str, words)))
    assert "say what it should sound like" in str(nothing.exception)


def test_a_part_is_encoded_between_key_frames_and_a_rate_is_kept(
    pipeline: FoleyPipeline, videos: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    request = GenerateRequest(
        videos / "b.mkv", ("music",), output_folder=tmp_path / "out", options=STEPS, start=0.52, end=1.32
    )
    sound, video = generate_files(request, said.append, pipeline=pipeline)
    assert any("no key frame is at 0.520 s: from 0.400 or 0.800 s it would be copied" in line for line in said)
    assert video.suffix == ".mkv"
    assert soundfile.info(sound).frames == round(0.8 * 44100)
    with open_media(video) as media:
        frames = list(media.container.decode(video=0))
    assert len(frames) == 20
    (entry,) = read_json(tmp_path / "out" / "generated.json").values()
    assert entry["video_tracks"]["picture"] == "encoded"


def test_progress_is_told_and_ends_the_making(pipeline: FoleyPipeline, videos: Path, tmp_path: Path) -> None:
    steps: list[Step] = []
    request = GenerateRequest(videos / "a.mp4", ("music",), output_folder=tmp_path / "out", options=STEPS)

    def cancel(step: Step) -> None:
        steps.append(step)
        if step.name == "generate":
            raise Cancelled("no more")

    with pytest.raises(Cancelled):
        generate_files(request, pipeline=pipeline, on_progress=cancel)
    assert [(step.name, step.done) for step in steps] == [
        ("read video", 0),
        ("read video", 1),
        ("encode video", 0),
        ("encode video", 1),
        ("generate", 0),
    ]
    assert not list((tmp_path / "out").iterdir())


def test_a_take_that_is_kept_is_that_of_its_seed(pipeline: FoleyPipeline, videos: Path, tmp_path: Path) -> None:
    request = GenerateRequest(
        videos / "a.mp4", ("music",), (3,), output_folder=tmp_path / "out", options=STEPS, takes=3, write=("wav",)
    )
    (kept,) = generate_files(request, lambda line: None, pipeline=pipeline)
    alone = GenerateRequest(
        videos / "a.mp4", ("music",), (3,), output_folder=tmp_path / "alone", options=STEPS, write=("wav",)
    )
    (single,) = generate_files(alone, lambda line: None, pipeline=pipeline)
    assert kept.name == single.name
    assert kept.read_bytes() == single.read_bytes()
    assert read_json(tmp_path / "out" / "generated.json")[kept.stem]["take"]["of"] == 3


def whole_films(folder: Path) -> list[Path]:
    """Files that are whole: what is being written is named .part."""
    return [path for path in folder.glob("*.mp4") if ".part" not in path.name]


def test_ctrl_c_leaves_whole_files_only_and_the_rest_follows(registered_models: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    for number in range(30):
        write_video(folder / f"{number:02d}.mp4", 25)
    words = ["generate", folder, "--prompt", "music", "--models", registered_models, "--steps", 2]
    # A process that a shell started in the background ignores Ctrl-C: this one must not.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from cafa.cli import main; main()"
    program = [sys.executable, "-c", code, *map(str, words), "--output-folder", str(out)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ})
    end = time.monotonic() + 300
    while len(whole_films(out)) < 2 and time.monotonic() < end and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=200)
    assert process.returncode != 0, said
    sounds, films = list(out.glob("*.wav")), list(out.glob("*.mp4"))
    assert 2 <= len(films) < 30, said
    assert not [path for path in out.iterdir() if ".part" in path.name]
    for path in sounds:
        assert soundfile.info(path).frames == 44100
    for path in films:
        with open_media(path) as media:
            assert len(list(media.container.decode(video=0))) == 25
    index = read_json(out / "generated.json")
    assert all((out / name).is_file() for entry in index.values() for name in entry["files"])
