"""Sounds of other systems under the names and in the forms that their authors publish, by files made so."""

import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from cafa.common.errors import ClipError, InputError
from cafa.generation.samples import make_samples
from cafa.generation.samples_system import SamplesSystem
from cafa.generation.sound_archives import LARGEST_MEMBER, ArchiveFiles, open_sounds
from cafa.generation.sound_sources import PublishedSounds, open_published
from cafa.generation.sources import PromptRow, SampleContext, SampleFiles

CLIPS = ("-0jeONf82dE_000021", "3qesirWAGt4_000020", "ZYc410CE4Rg_000000")
ROWS = [PromptRow(clip, "own", "dog barking", "dog barking", "matched") for clip in CLIPS]
CONTEXT = SampleContext(ROWS, SampleFiles(Path("m"), Path("c"), Path("f")), 1, 8.0, 44100)


def sound(number: int, seconds: float, rate: int, form: str, channels: int = 1) -> bytes:
    samples = np.random.default_rng(number).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype="PCM_16")
    return file.getvalue()


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def made(root: Path, seconds: float = 8.0, **settings: Any) -> pd.DataFrame:
    """The index of samples that is made of what lies there."""
    system = SamplesSystem(**settings)
    source = open_published(system, SampleContext(ROWS, CONTEXT.files, 1, system.window(10.0, seconds), 44100))
    place = root / "made" / "0"
    make_samples(
        ROWS, source, label="t", seed=1, batch_size=2, shard=(0, 1), folder=place, index=root / "0.parquet", key={}
    )
    return pd.read_parquet(root / "0.parquet").assign(path=lambda rows: [place / str(name) for name in rows["file"]])


def mmaudio(folder: Path) -> dict[str, Any]:
    files = {f"mmaudio_large_44k_vggsound/{clip}.flac": sound(n, 8, 44100, "FLAC") for n, clip in enumerate(CLIPS)}
    write_tar(folder / "m.tar", files)
    return {"archive": str(folder / "m.tar"), "pattern": "**/{youtube_id}_{start:06d}.flac"}


def compressed(folder: Path) -> dict[str, Any]:
    write_tar(folder / "m.tar.gz", {f"{c}.wav": sound(n, 8, 16000, "WAV") for n, c in enumerate(CLIPS)}, "w:gz")
    return {"archive": str(folder / "m.tar.gz"), "pattern": "{clip_id}.wav"}


def vatt(folder: Path) -> dict[str, Any]:
    for number, clip in enumerate(CLIPS):
        (folder / f"{clip}.wav").write_bytes(sound(number, 10, 16000, "WAV"))
    return {"folder": str(folder), "pattern": "{youtube_id}_{start:06d}.wav"}


def rewas(folder: Path) -> dict[str, Any]:
    for number, clip in enumerate(CLIPS):
        (folder / f"{clip}.wav").write_bytes(sound(number, 5, 16000, "WAV"))
    return {"folder": str(folder), "pattern": "{clip_id}.wav", "seconds": 5.0}


def multifoley(folder: Path) -> dict[str, Any]:
    """A webdataset in several tars, whose keys are numbers: the names stand in the JSON beside the sounds."""
    for number, clip in enumerate(CLIPS):
        files = {
            f"{number:06d}.wav": sound(number, 8, 48000, "WAV", 2),
            f"{number:06d}.json": json.dumps({"name": clip}).encode(),
        }
        write_tar(folder / f"{number:05d}.tar", files)
    return {"archive": f"{folder}/*.tar", "pattern": "{clip_id}.wav", "name_field": "name"}


@pytest.mark.parametrize(
    ("publish", "seconds", "rate", "channels"),
    [
        (mmaudio, 8.0, 44100, 1),
        (compressed, 8.0, 16000, 1),
        (vatt, 8.0, 16000, 1),
        (rewas, 5.0, 16000, 1),
        (multifoley, 8.0, 48000, 2),
    ],
)
def test_every_published_form_is_read_to_the_sample(
    tmp_path: Path, publish: Callable[[Path], dict[str, Any]], seconds: float, rate: int, channels: int
) -> None:
    index = made(tmp_path, **publish(tmp_path))
    assert index["status"].tolist() == ["ok"] * 3, index["detail"].tolist()
    assert (index["seconds"] == seconds).all()
    assert (index["sample_rate"] == rate).all()
    for number, path in enumerate(index["path"]):
        there = np.random.default_rng(number).uniform(-0.5, 0.5, (round(seconds * rate), channels))
        copy, _ = soundfile.read(path, always_2d=True)
        np.testing.assert_allclose(copy[: len(there)], there[: len(copy)], atol=2**-15)


def test_one_of_ten_takes_is_chosen_and_several_are_systems_of_their_own(tmp_path: Path) -> None:
    files = {
        f"frieren_noreflow_25/Y{clip}_{take}.wav": sound(10 * n + take, 8.2, 16000, "WAV")
        for n, clip in enumerate(CLIPS)
        for take in range(10)
    }
    write_zip(tmp_path / "frieren_noreflow_25.zip", files)
    settings = {
        "archive": str(tmp_path / "frieren_noreflow_25.zip"),
        "pattern": "**/Y{youtube_id}_{start:06d}_{take}.wav",
    }
    index = made(tmp_path, **settings, takes=(7,))
    first, _ = soundfile.read(index["path"][0])
    np.testing.assert_allclose(first, np.random.default_rng(7).uniform(-0.5, 0.5, len(first)), atol=2**-15)
    several = SamplesSystem(**settings, takes=(0, 3, 9))
    assert list(several.parts("frieren")) == ["frieren_take0", "frieren_take3", "frieren_take9"]
    assert several.parts("frieren")["frieren_take3"]["takes"] == [3]
    with pytest.raises(InputError, match="make the samples of each by itself"):
        PublishedSounds(several, 44100, 8.0)


def test_what_is_missing_short_or_ambiguous_is_a_row_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "set/a").mkdir(parents=True)
    for folder in (tmp_path / "set", tmp_path / "set/a"):
        (folder / f"{CLIPS[1]}.wav").write_bytes(sound(0, 8, 16000, "WAV"))
    (tmp_path / f"set/{CLIPS[2]}.wav").write_bytes(sound(0, 5, 16000, "WAV"))
    index = made(tmp_path, folder=str(tmp_path / "set"), pattern="**/{clip_id}.wav")
    assert index["status"].tolist() == ["missing_sample", "ambiguous", "short"]
    assert index["detail"][2] == f"{CLIPS[2]}.wav holds 5.00 s of 8.0 s"


def test_the_first_pattern_of_several_that_is_there_is_taken(tmp_path: Path) -> None:
    for name in (f"{CLIPS[0]}.wav", f"{CLIPS[0]}.flac", f"{CLIPS[1]}.flac"):
        (tmp_path / name).write_bytes(sound(len(name), 8, 16000, name[-4:].strip(".").upper()))
    source = PublishedSounds(
        SamplesSystem(folder=str(tmp_path), pattern=("{clip_id}.wav", "{clip_id}.flac")), 44100, 8.0
    )
    assert [source.name_of(row) for row in ROWS[:2]] == [f"{CLIPS[0]}.wav", f"{CLIPS[1]}.flac"]


def test_a_pattern_that_fits_nothing_is_an_error_that_lists_the_names(tmp_path: Path) -> None:
    (tmp_path / "audio-000021.wav").write_bytes(sound(0, 8, 16000, "WAV"))
    with pytest.raises(InputError, match=r"looked for -0jeONf82dE_000021\.mp3 .*does not read: audio-000021\.wav"):
        made(tmp_path, folder=str(tmp_path), pattern="{clip_id}.mp3")


@pytest.mark.parametrize("name", ["../out.wav", "/etc/out.wav", "a/../../out.wav", "C:\\out.wav", "..\\out.wav"])
def test_a_name_that_leads_outside_refuses_the_archive(tmp_path: Path, name: str) -> None:
    write_tar(tmp_path / "bad.tar", {name: b"x"})
    with pytest.raises(InputError, match="leads outside"):
        ArchiveFiles([tmp_path / "bad.tar"])
    if "\\" not in name:
        write_zip(tmp_path / "bad.zip", {name: b"x"})
        with pytest.raises(InputError, match="leads outside"):
            ArchiveFiles([tmp_path / "bad.zip"])


def test_links_and_what_is_too_large_are_not_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "links.tar", "w") as tar:
        for name, kind in (
            ("soft.wav", tarfile.SYMTYPE),
            ("hard.wav", tarfile.LNKTYPE),
            ("pipe.wav", tarfile.FIFOTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    with zipfile.ZipFile(tmp_path / "links.zip", "w") as archive:
        link = zipfile.ZipInfo("zipped.wav")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with open_sounds(archives=[str(tmp_path / "links.tar"), str(tmp_path / "links.zip")]) as files:
        assert files.names == ["soft.wav", "hard.wav", "pipe.wav", "zipped.wav"]
        for name in files.names:
            with pytest.raises(ClipError, match="bad_path"), files.path_of(name):
                pass
    header = tarfile.TarInfo("huge.wav")
    header.size = LARGEST_MEMBER + 512
    with (tmp_path / "huge.tar").open("wb") as file:
        file.write(header.tobuf())
        file.truncate(header.size + 512 + 1024)
    with open_sounds(archives=str(tmp_path / "huge.tar")) as files, pytest.raises(ClipError, match="too_large"):
        files.path_of("huge.wav").__enter__()


def test_damaged_and_unknown_archives_are_refused(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "whole.tar", {"a.wav": b"x" * 5000}).read_bytes()
    for name, data, why in (
        ("cut.tar", whole[:3000], "cut short"),
        ("no.zip", b"no", "damaged"),
        ("no.tar.gz", b"no", "damaged"),
        ("a.rar", b"", "end with"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=why):
            ArchiveFiles([tmp_path / name])
    with pytest.raises(InputError, match="is not there"):
        ArchiveFiles([tmp_path / "none.tar"])


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "either `folder` or `archive`"),
        ({"folder": "a", "archive": "b"}, "either `folder` or `archive`"),
        ({"folder": "a", "pattern": "{clip_id}_{take}.wav"}, "give `takes`"),
        ({"folder": "a", "pattern": "{clip_id}.wav", "takes": [0]}, "give `takes`"),
        ({"folder": "a", "pattern": "{clip_id}_{take}.wav", "takes": [0, 0]}, "different numbers"),
        ({"folder": "a", "name_field": "name"}, "is for archives"),
        ({"folder": "a", "seconds": 0}, "greater than 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        SamplesSystem(**settings)


def test_an_optional_system_says_what_it_lacks(tmp_path: Path) -> None:
    lacking = SamplesSystem(folder=str(tmp_path / "none"), optional=True)
    assert lacking.left_out == f"no samples at {tmp_path / 'none'}"
    assert SamplesSystem(folder=str(tmp_path / "none")).left_out == ""
    assert SamplesSystem(folder=str(tmp_path), optional=True).left_out == ""


SCENES = Path(os.environ.get("CAFA_SHARED", Path(__file__).resolve().parents[4] / "shared")) / "clips/generated"


@pytest.mark.parametrize("system", ["cafa", "foleycrafter", "rewas"])
def test_the_published_scenes_are_read_from_their_folder_and_from_a_tar(tmp_path: Path, system: str) -> None:
    if not (SCENES / system).is_dir():
        pytest.skip(f"no published scenes at {SCENES}: set CAFA_SHARED")
    rows = [
        PromptRow(scene, f"c{n}", caption, caption, "matched")
        for n, (scene, caption) in enumerate([("cow", "man burping"), ("drum", "playing drum kit")])
    ]
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        tar.add(SCENES / system, arcname=f"published/{system}")
    own = PublishedSounds(SamplesSystem(folder=str(SCENES / system)), 44100, 4.0).sounds(rows)
    packed = PublishedSounds(
        SamplesSystem(archive=str(tmp_path / "s.tar"), pattern="**/{clip_id}__{caption}.mp4"), 44100, 4.0
    ).sounds(rows)
    for one, other in zip(own, packed, strict=True):
        assert not isinstance(one, ClipError), one
        assert not isinstance(other, ClipError), other
        np.testing.assert_array_equal(one.samples, other.samples)
