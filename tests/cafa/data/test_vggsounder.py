"""VGGSounder's list: its labels by modality, which clips are taken, why others are not, and lists that are refused."""

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from cafa.cli import cli
from cafa.common.errors import InputError
from cafa.common.files import sha256_file
from cafa.common.ledger import read_ledgers
from cafa.data.published_datasets import VGGSoundSettings, build_dataset
from cafa.data.vggsounder import read_annotations

#: as published: rows of a clip need not follow each other, and labels with commas are quoted
VGGSOUNDER = """video_id,label,modality,background_music,static_image,voice_over
-heard-seen_000030,dog barking,AV,False,False,False
-heard-seen_000030,"male speech, man speaking",A,False,False,False
heard_only1_000001,dog barking,A,False,True,True
only_seen_2_000120,"male speech, man speaking",V,False,False,True
background3_000000,playing piano,AV,True,False,False
wrong_label_000009,dog barking,AV,False,False,False
-heard-seen_000030,people crowd,V,False,False,False
elsewhere_8_000010,dog barking,AV,False,False,False
"""
#: VGGSound's list of the same clips; VGGSounder annotates the test split alone
VGGSOUND = """-heard-seen,30,dog barking,test
heard_only1,1,dog barking,test
only_seen_2,120,"male speech, man speaking",test
background3,0,playing piano,test
wrong_label,9,wind noise,test
not_in_list,10,dog barking,test
in_training,10,dog barking,train
"""
ALL = ("inaudible", "invisible", "background-music", "static-image", "voice-over")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """VGGSounder's list, and a manifest of VGGSound's."""
    (tmp_path / "list.csv").write_text(VGGSOUNDER)
    (tmp_path / "vggsound.csv").write_text(VGGSOUND)
    build(tmp_path)
    return tmp_path


def build(folder: Path, **more: object) -> dict[str, int]:
    lists = [{"path": str(folder / "vggsound.csv"), "format": "vggsound", "licence": "CC-BY-4.0"}]
    settings = VGGSoundSettings.model_validate({"lists": lists, **more})
    return build_dataset("vggsound", settings, folder / "m.parquet", folder / "r.parquet")[0]


def choose(folder: Path, *options: str) -> tuple[list[str], pd.DataFrame, pd.DataFrame, str]:
    """Clips that are taken, ledger and labels by clip, and what the command prints."""
    arguments = ["dataset", "vggsounder", "--annotations", f"{folder / 'list.csv'}"]
    arguments += ["--manifest", f"{folder / 'm.parquet'}", "--labels", f"{folder / 'labels.parquet'}"]
    arguments += ["--clips", f"{folder / 'clips.csv'}", "--ledger", f"{folder / 'ledger.parquet'}", *options]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    clips = pd.read_csv(folder / "clips.csv")["clip_id"].tolist()
    ledger = read_ledgers([folder / "ledger.parquet"]).set_index("clip_id")
    return clips, ledger, pd.read_parquet(folder / "labels.parquet").set_index("clip_id"), done.output


def test_clips_whose_own_label_is_heard_and_seen_are_taken(folder: Path) -> None:
    clips, ledger, _, printed = choose(folder, "--sha256", sha256_file(folder / "list.csv"))
    assert clips == ["-heard-seen_000030", "background3_000000"]
    assert ledger["status"].to_dict() == {
        "-heard-seen_000030": "ok",
        "heard_only1_000001": "invisible",
        "only_seen_2_000120": "inaudible",
        "background3_000000": "ok",
        "wrong_label_000009": "label_not_annotated",
        "not_in_list_000010": "not_annotated",
    }
    assert ledger["line"].tolist() == [1, 2, 3, 4, 5, 6]
    assert "'wind noise' is none of its labels, which are dog barking (AV)" in ledger["detail"]["wrong_label_000009"]
    assert printed.startswith("2 of 6 clips taken; left out: 1 invisible, 1 inaudible, 1 label_not_annotated, 1 not_an")


def test_every_test_clip_has_its_labels_by_modality(folder: Path) -> None:
    _, _, labels, _ = choose(folder)
    first = labels.loc["-heard-seen_000030"]
    assert (first["own_label"], first["own_modality"], first["taken"]) == ("dog barking", "AV", True)
    found = {name: list(first[name]) for name in ("heard_and_seen", "heard", "seen")}
    # commas inside, and a row that is not beside the others of its clip
    assert found == {
        "heard_and_seen": ["dog barking"],
        "heard": ["male speech, man speaking"],
        "seen": ["people crowd"],
    }
    assert labels.loc["heard_only1_000001", ["background_music", "static_image", "voice_over"]].tolist() == [
        False,
        True,
        True,
    ]
    assert labels["own_modality"].isna().tolist() == [False, False, False, False, True, True]
    assert labels.loc["not_in_list_000010", ["own_modality", "heard", "voice_over"]].isna().all()
    assert len(labels) == 6


@pytest.mark.parametrize(
    ("drop", "left"),
    [
        (("inaudible",), {"-heard-seen", "heard_only1", "background3"}),
        (("invisible",), {"-heard-seen", "only_seen_2", "background3"}),
        (("background-music",), {"-heard-seen", "heard_only1", "only_seen_2", "wrong_label"}),
        (("static-image",), {"-heard-seen", "only_seen_2", "background3", "wrong_label"}),
        (("voice-over",), {"-heard-seen", "background3", "wrong_label"}),
        (ALL, {"-heard-seen"}),
    ],
)
def test_what_is_dropped(folder: Path, drop: tuple[str, ...], left: set[str]) -> None:
    options = [word for reason in drop for word in ("--drop", reason)]
    clips, ledger, _, _ = choose(folder, *options)
    assert {clip_id[:11] for clip_id in clips} == left
    assert len(ledger) == 6
    kept, _, _, _ = choose(folder, *options, "--keep-unlisted")
    assert {clip_id[:11] for clip_id in kept} == left | {"not_in_list"}


def test_all_reasons_are_named_and_the_first_counts(folder: Path) -> None:
    _, ledger, _, _ = choose(folder, *(word for reason in ALL for word in ("--drop", reason)))
    row = ledger.loc["heard_only1_000001"]
    assert (row["status"], row["retriable"]) == ("invisible", False)
    assert row["detail"] == "'dog barking' is heard only; static_image is True; voice_over is True"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("modality", "kind", "has no column 'modality'"),
        ("heard_only1_000001,dog barking,A,", "heard_only1_000001,dog barking,both,", "line 4: modality must be A, V"),
        (
            "heard_only1_000001,dog barking,A,False",
            "heard_only1_000001,dog barking,A,no",
            "line 4: background_music must",
        ),
        ("heard_only1_000001,dog barking", "heard_only1_000001,", "line 4: label is empty"),
        ('"male speech, man speaking",V', "male speech, man speaking,V", "line 5: 7 fields, the header has 6"),
        ("only_seen_2_000120", "only_seen_2", "line 5: .*neither <id>_<six digits>"),
        (
            "people crowd,V,False,False,False",
            "people crowd,V,False,False,True",
            "line 8: the flags of -heard-seen_000030",
        ),
        ("people crowd,V", "dog barking,V", "line 8: -heard-seen_000030 has the label 'dog barking' already"),
    ],
)
def test_a_list_that_is_not_as_published_is_refused(folder: Path, old: str, new: str, message: str) -> None:
    text = VGGSOUNDER.replace(old, new, 1)
    assert text != VGGSOUNDER
    (folder / "list.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_annotations(folder / "list.csv")


def test_another_version_is_refused_and_nothing_is_written(folder: Path) -> None:
    with pytest.raises(InputError, match="another version of the list, or damaged"):
        choose(folder, "--sha256", "0" * 64)
    assert not {"clips.csv", "labels.parquet", "ledger.parquet"} & {path.name for path in folder.iterdir()}


def test_a_choice_that_leaves_nothing(folder: Path) -> None:
    (folder / "list.csv").write_text(
        VGGSOUNDER.splitlines()[0] + "\nelsewhere_8_000010,dog barking,AV,False,False,False\n"
    )
    with pytest.raises(InputError, match=r"no clip of 6 is taken: 6 not_annotated.*ledger.failed.parquet"):
        choose(folder)
    assert not (folder / "clips.csv").exists()
    build(folder, splits=["train"])
    with pytest.raises(InputError, match="has no test clip"):
        choose(folder)


def test_the_clips_that_it_names_are_a_data_set(folder: Path) -> None:
    named = {"path": str(folder / "list.csv"), "format": "vggsounder", "licence": "Apache-2.0"}
    assert build(folder, subset=named, expected={"test": 5}) == {"test": 5}
    assert set(read_ledgers([folder / "r.parquet"])["clip_id"]) == {"not_in_list_000010", "in_training_000010"}
    with pytest.raises(ValidationError, match="gives a clip several labels"):
        build(folder, labels=[named])
