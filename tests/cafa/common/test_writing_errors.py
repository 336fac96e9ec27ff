"""A place that takes no files: refused before any work, or one line that says which folder and how much is free."""

import errno
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cafa.cli import VERBS, cli
from cafa.cli.options import writable
from cafa.common.errors import InputError, WriteError
from cafa.common.files import atomic_write, write_json
from cafa.common.writing_errors import check_writable, explanation
from cafa.media.mux import put_sound_under_video
from cafa.media.normalise import NormaliseSettings, normalise_clip
from cafa.media.sound import write_sound
from tests.evaluation_clips import write_video

NOISE = np.random.default_rng(0).uniform(-0.9, 0.9, 400_000).astype(np.float32)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 192 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["sound.wav", "sound.flac"])
def test_full_disk_while_sound_is_written(small_disk: Path, name: str) -> None:
    with pytest.raises(WriteError) as caught:
        write_sound(small_disk / name, NOISE, 16000)
    assert f"no space left in {small_disk} for {name}: about 0.8 MB are needed, " in str(caught.value)
    assert "are free" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not left_in(small_disk)


def test_full_disk_while_pictures_are_written(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, clip = write_video(tmp_path / "raw.mp4", 1, 6.0), tmp_path / "clip.mp4"
    normalise_clip(raw, start=0.0, duration=None, settings=NormaliseSettings(), video_output=clip, sound_output=None)
    (small_disk / "filled").write_bytes(b"0" * 180_000)
    with pytest.raises(WriteError, match="no space left in"):
        put_sound_under_video(clip, NOISE[:96_000], 16000, small_disk / "out.mp4")
    with pytest.raises(WriteError, match="no space left in"):
        normalise_clip(
            raw,
            start=0.0,
            duration=None,
            settings=NormaliseSettings(),
            video_output=small_disk / "v.mp4",
            sound_output=small_disk / "s.flac",
        )
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    chosen, ours = small_disk / "x" / "y", Path(tempfile.mkdtemp()) / "y"
    for place, hint in ((chosen, False), (ours, True)):
        with pytest.raises(WriteError) as caught, atomic_write(place) as path:
            path.write_bytes(b"0" * 100_000)
        assert ("set the variable TMPDIR" in str(caught.value)) == hint
    assert left_in(small_disk) == ["filled"]


def test_full_disk_while_an_index_is_written(small_disk: Path) -> None:
    with pytest.raises(WriteError, match=r"no space left in .* for index\.json"):
        write_json(small_disk / "index.json", {"text": "x" * 300_000})
    assert not left_in(small_disk)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENAMETOOLONG])
def test_any_such_error_is_one_line_of_the_command(number: int, tmp_path: Path) -> None:
    path = tmp_path / "somewhere.bin"
    message = explanation(OSError(number, os.strerror(number), str(path)))
    assert "somewhere.bin" in message
    assert "\n" not in message
    program = (
        "import cafa.cli, sys\n"
        f"def fail(*args, **kwargs): raise OSError({number}, {os.strerror(number)!r}, {str(path)!r})\n"
        "cafa.cli.cli = fail\ncafa.cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    figures = re.compile(r"\d+\.\d MB are free")  # what is free changes while the test runs
    assert figures.sub("", done.stderr) == figures.sub("", f"cafa: error: {message}\n")


def test_other_errors_keep_their_traceback(tmp_path: Path) -> None:
    assert explanation(FileNotFoundError(errno.ENOENT, "none", "x")) is None
    assert explanation(ValueError("x"), tmp_path / "x") is None
    with pytest.raises(ValueError, match="of the block"), atomic_write(tmp_path / "x"):
        raise ValueError("of the block")


def test_a_place_is_checked_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    check_writable(tmp_path / "new" / "folder" / "x.json")
    check_writable(tmp_path / ("ж" * 127))
    assert left_in(tmp_path) == ["file"]
    with pytest.raises(InputError, match=r"256 bytes, 255 are possible"):
        check_writable(tmp_path / ("ж" * 128) / "x")
    with pytest.raises(InputError, match=r"file is not a folder"):
        check_writable(tmp_path / "file" / "x")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=f"no files can be written in {tmp_path}"):
        check_writable(tmp_path / "new" / "x")


def test_every_command_checks_what_it_writes(tmp_path: Path) -> None:
    checked = []
    for verb in VERBS:
        command = cli.get_command(None, verb)
        for name, part in getattr(command, "commands", {"": command}).items():
            for option in part.params:
                words = getattr(option, "help", None) or ""
                if option.opts[0].startswith("--output") or "to write" in words:
                    assert option.callback is writable, (verb, name, option.opts)
                    checked.append((verb, name, option.opts[0]))
    assert len(checked) > 35
    (tmp_path / "file").write_text("")
    for words in (["generate", __file__, "--prompt", "x", "--output-folder"], ["evaluate", "--output"]):
        result = CliRunner().invoke(cli, [*words, str(tmp_path / "file" / "x")])
        assert isinstance(result.exception, InputError)
        assert "cannot be made" in str(result.exception)
