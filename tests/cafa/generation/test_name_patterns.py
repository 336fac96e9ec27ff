"""Names that publishers give their files, from rows and back."""

import pytest

from cafa.common.errors import InputError
from cafa.generation.name_patterns import NamePattern
from cafa.generation.systems import parse_system

ROW = {
    "clip_id": "-0jeONf82dE_000021",
    "caption": "cattle  mooing",
    "label": "cow",
    "caption_id": "own",
    "protocol": "matched",
    "take": 7,
}


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{youtube_id}_{start:06d}.flac", "-0jeONf82dE_000021.flac"),
        ("Y{youtube_id}_{start:06d}_{take}.wav", "Y-0jeONf82dE_000021_7.wav"),
        ("{clip_id}__{caption}.mp4", "-0jeONf82dE_000021__cattle_mooing.mp4"),
        ("{label}/{youtube_id}_{start}.wav", "cow/-0jeONf82dE_21.wav"),
        ("**/{clip_id}.wav", "-0jeONf82dE_000021.wav"),
    ],
)
def test_a_name_is_written_and_read_again(pattern: str, name: str) -> None:
    there = NamePattern(pattern)
    assert there.name_of(ROW) == name
    fields = there.read(name)
    assert fields is not None
    assert fields["clip_id"] == ROW["clip_id"]
    assert there.read(f"{name}.part") is None


def test_only_a_pattern_that_says_so_looks_into_folders() -> None:
    assert NamePattern("{clip_id}.wav").read("set/abc.wav") is None
    assert NamePattern("**/{clip_id}.wav").read("set/part/abc.wav") == {"clip_id": "abc"}


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("../{clip_id}.wav", "below the folder"),
        ("/{clip_id}.wav", "below the folder"),
        ("*/{clip_id}.wav", "below the folder"),
        ("{clip}.wav", "the fields are"),
        ("{caption}.wav", "must name"),
        ("{clip_id:06d}.wav", "cannot be asked"),
        ("{clip_id!r}.wav", "cannot be asked"),
        ("{clip_id", "expected"),
    ],
)
def test_what_is_no_pattern_is_refused_when_it_is_read(pattern: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        NamePattern(pattern)
    with pytest.raises(ValueError, match=why):
        parse_system({"kind": "samples", "folder": "there", "pattern": pattern})


def test_an_id_without_a_start_and_a_field_that_is_not_known_say_so() -> None:
    with pytest.raises(InputError, match="name files by"):
        NamePattern("{youtube_id}_{start}.wav").name_of({"clip_id": "cow"})
    with pytest.raises(InputError, match="nothing is known"):
        NamePattern("{clip_id}_{take}.wav").name_of({"clip_id": "cow"})
