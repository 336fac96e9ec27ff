"""Names of results: two requests never share one, and every name can be written."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from cafa.common.errors import InputError
from cafa.common.file_names import LONGEST_NAME, plain_part, readable_part
from cafa.common.files import read_json, write_json
from cafa.generation.finish import Finish, Finished
from cafa.generation.foley import FoleyResult
from cafa.generation.foley_files import INDEX, ResultFiles
from cafa.generation.generate_options import Written
from cafa.generation.new_video import NewVideo


def video_at(path: Path, content: bytes = b"picture") -> Path:
    path.write_bytes(content)
    return path


PROMPTS = [
    "Dog",
    "dog",
    "dog!",
    "狗",
    "собака",
    "!!!",
    "???",
    "🐶",
    "🐱",
    "x" * 300,
    "x" * 299 + "y",
    "é",
    "e\u0301",
    "a/b",
    "a\\b",
]


def test_names_differ_wherever_requests_do(tmp_path: Path) -> None:
    videos = [
        video_at(tmp_path / "a.mp4"),
        video_at(tmp_path / "a.mov"),
        video_at(tmp_path / "b.mp4"),
        video_at(tmp_path / ("ж" * 120 + ".mp4")),
    ]
    settings: list[dict] = [{}, {"gamma": 0.7}, {"negative_prompt": "x"}, {"models": {"backbone": "00"}}]
    names = [
        ResultFiles(tmp_path / "out", video, setting).name(prompt, seed)
        for video, setting, prompt, seed in itertools.product(videos, settings, PROMPTS, (0, 1))
    ]
    assert len(set(names)) == len(names) == len(videos) * len(settings) * len(PROMPTS) * 2
    assert all(len(os.fsencode(name)) <= LONGEST_NAME - 75 and "/" not in name for name in names)
    again = ResultFiles(tmp_path / "elsewhere", videos[0], {}).name(PROMPTS[0], 0)
    assert again == names[0]
    other = ResultFiles(tmp_path / "out", video_at(tmp_path / "a.mp4", b"another"), {})
    assert other.name(PROMPTS[0], 0) not in names


def test_readable_parts() -> None:
    assert readable_part("  A dog, barking: LOUD ") == "A_dog_barking_LOUD"
    assert readable_part("犬の声") == "犬の声"
    assert readable_part("e\u0301cole") == "école"
    assert readable_part("ж" * 100, 61) == "ж" * 30
    assert readable_part("../..") == ""
    assert plain_part("école 犬--0") == "ecole_--0"


@pytest.fixture
def files(tmp_path: Path) -> ResultFiles:
    return ResultFiles(tmp_path, video_at(tmp_path / "a.mp4"), {})


def save(files: ResultFiles, write: tuple[Written, ...] = ("wav",)) -> list[Path]:
    result = FoleyResult("dog", 0, np.zeros(800, np.float32), 8000, b"")
    sound = Finished(np.zeros((1, 800), np.float32), 8000, {"lufs": -23.0})
    return files.save(result, sound, NewVideo(files.video), Finish(), write)


def test_a_file_of_another_request_is_never_written_over(files: ResultFiles, tmp_path: Path) -> None:
    name = files.name("dog", 0)
    write_json(tmp_path / INDEX, {name: {"request_sha256": "0" * 64}})
    with pytest.raises(InputError, match="another request"):
        save(files)
    assert list(read_json(tmp_path / INDEX)) == [name]
    (tmp_path / INDEX).write_text("no json")
    with pytest.raises(InputError, match="not an index"):
        files.check("dog", 0)


def test_what_is_there_is_recognised_kind_by_kind(files: ResultFiles, tmp_path: Path) -> None:
    assert files.there("dog", 0, ("wav",)) is None
    (wav,) = save(files)
    assert files.there("dog", 0, ("wav",)) == [wav]
    assert files.there("dog", 0, ("flac", "wav")) is None
    (flac,) = save(files, ("flac",))
    assert files.there("dog", 0, ("flac", "wav")) == [flac, wav]
    (entry,) = read_json(tmp_path / INDEX).values()
    assert entry["files"] == sorted([flac.name, wav.name])
    assert entry["sound"] == {"sample_rate": 8000, "channels": 1, "seconds": 0.1, "lufs": -23.0}
    wav.unlink()
    assert files.there("dog", 0, ("wav",)) is None


def test_a_result_that_somebody_changed_is_not_made_again(files: ResultFiles) -> None:
    (wav,) = save(files)
    wav.write_bytes(wav.read_bytes() + b"edited")
    with pytest.raises(InputError, match="was changed since it was made"):
        files.there("dog", 0, ("wav",))
