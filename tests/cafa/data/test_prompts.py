"""Prompt sets: which clips, which captions, and why the others are not there."""

import itertools
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from cafa.cli import cli
from cafa.common.errors import InputError
from cafa.common.files import sha256_file
from cafa.common.ledger import ledger_row, read_ledgers, write_ledger
from cafa.data.manifest import SCHEMA as MANIFEST
from cafa.data.manifest import check_clip_id
from cafa.data.prompt_files import publish
from cafa.data.prompts import (
    SCHEMA,
    CrossSettings,
    PromptSettings,
    caption_ids,
    cross_prompts,
    make_prompts,
    matched_prompts,
    read_prompts,
)

LABELS = ["dog barking", "playing drum kit", "cattle mooing"]


def manifest_of(clips_per_label: int = 6) -> pd.DataFrame:
    """Clips of three labels; each caption is a wording of its own; one training clip per label."""
    rows = [
        {"clip_id": f"{label[:3]}{k}", "label": label, "caption": f"{label}, wording {k}", "split": "test"}
        for label in LABELS
        for k in range(clips_per_label)
    ]
    rows += [{"clip_id": f"train{k}", "label": "only trained", "caption": "x", "split": "train"} for k in range(3)]
    return pd.DataFrame(rows).assign(uri="x", line=range(2, len(rows) + 2))


def ledger_of(tmp_path: Path, manifest: pd.DataFrame, stage: str = "ingest", **bad: str) -> Path:
    """Ledger in which all clips are ok, but for those named."""
    path = tmp_path / f"{stage}.ledger.parquet"
    rows = [(clip_id, bad.get(clip_id, "ok")) for clip_id in manifest["clip_id"]]
    write_ledger(path, [ledger_row(clip_id, stage, status, f"about {clip_id}") for clip_id, status in rows])
    return path


def make(tmp_path: Path, settings: dict, *ledgers: Path, manifest: pd.DataFrame | None = None, seed: int = 7) -> tuple:
    """Prompts and excluded rows."""
    manifest = manifest_of() if manifest is None else manifest
    ledgers = ledgers or (ledger_of(tmp_path, manifest),)
    output, excluded = tmp_path / "p.parquet", tmp_path / "excluded.parquet"
    counts = make_prompts(manifest, ledgers, PromptSettings.model_validate(settings), seed, output, excluded)
    prompts = read_prompts(output)
    assert prompts["protocol"].value_counts().to_dict() == counts
    assert not prompts.duplicated(["clip_id", "caption_id", "protocol"]).any()
    assert prompts.equals(prompts.sort_values(["protocol", "clip_id", "caption_id"]))
    for name in [*prompts["caption_id"], *prompts["protocol"]]:
        check_clip_id(name)
    return prompts, read_ledgers([excluded])


def test_matched_takes_each_clip_with_its_own_caption(tmp_path: Path) -> None:
    prompts, excluded = make(tmp_path, {"matched": {}})
    assert list(prompts.columns) == SCHEMA.names
    assert len(prompts) == 18
    assert excluded.empty
    assert (prompts["caption"] == prompts["own_caption"]).all()
    assert (prompts["label"] == prompts["own_label"]).all()
    assert set(prompts["caption_id"]) == {"own"}


def test_cross_takes_each_clip_with_every_other_label(tmp_path: Path) -> None:
    prompts, _ = make(tmp_path, {"cross": {"clips_per_label": 4}, "matched": {"clips_per_label": 4}})
    cross = prompts[prompts["protocol"] == "cross"]
    assert len(cross) == 3 * 4 * 2
    for _, rows in cross.groupby("clip_id"):
        assert set(rows["label"]) == set(LABELS) - set(rows["own_label"])
    assert set(cross["clip_id"]) == set(prompts[prompts["protocol"] == "matched"]["clip_id"])
    captions = dict(zip(manifest_of()["caption"], manifest_of()["label"], strict=True))
    assert [captions[caption] for caption in cross["caption"]] == list(cross["label"])
    assert set(cross["caption_id"]) == {"dog_barking", "playing_drum_kit", "cattle_mooing"}
    assert cross.groupby("label")["caption"].nunique().min() > 2  # the wordings vary


def test_cross_with_fewer_captions_is_a_part_of_cross_with_more(tmp_path: Path) -> None:
    every, _ = make(tmp_path, {"cross": {}})
    one, _ = make(tmp_path, {"cross": {"captions_per_clip": 1}})
    assert len(one) == 18
    assert one["clip_id"].is_unique
    assert set(one["label"]) == set(LABELS)  # not the same label for all clips
    assert len(one.merge(every, how="inner")) == len(one)


def test_choice_is_nested_and_does_not_depend_on_order() -> None:
    manifest = manifest_of()
    manifest = manifest[manifest["split"] == "test"]
    sizes = [{row["clip_id"] for row in matched_prompts(manifest, n, 7)} for n in (1, 2, 4, 6)]
    for smaller, larger in itertools.pairwise(sizes):
        assert smaller < larger
    assert [len(size) for size in sizes] == [3, 6, 12, 18]
    shuffled = manifest.sample(frac=1, random_state=1)
    settings = CrossSettings(clips_per_label=2)
    few = [sorted(map(str, cross_prompts(rows, rows, settings, 7))) for rows in (manifest, shuffled)]
    assert few[0] == few[1]
    assert {row["clip_id"] for row in matched_prompts(manifest, 2, 8)} != sizes[1]  # another seed, another choice


def test_excluded_clips_are_replaced_and_named(tmp_path: Path) -> None:
    manifest = manifest_of()
    before, _ = make(tmp_path, {"matched": {"clips_per_label": 2}})
    lost = next(clip_id for clip_id in before["clip_id"] if clip_id.startswith("dog"))
    ledgers = [
        ledger_of(tmp_path, manifest, "ingest", **{lost: "no_audio", "train0": "short"}),
        ledger_of(tmp_path, manifest, "features media", **{lost: "short", "cat1": "missing_feature"}),
    ]
    after, excluded = make(tmp_path, {"matched": {"clips_per_label": 2}}, *ledgers)
    assert len(after) == 6
    assert set(before["clip_id"]) - set(after["clip_id"]) <= {lost, "cat1"}
    rows = excluded.set_index("clip_id")
    assert rows["status"].to_dict() == {lost: "no_audio", "cat1": "missing_feature"}
    assert rows.at[lost, "detail"] == f"ingest: about {lost}"
    assert rows.at["cat1", "detail"] == "features media: about cat1"
    assert set(excluded["stage"]) == {"prompts"}


def test_a_missing_shard_is_an_error(tmp_path: Path) -> None:
    manifest = manifest_of()
    part = ledger_of(tmp_path, manifest.iloc[2:], "ingest")
    with pytest.raises(InputError, match=r"ledgers of ingest do not name 2 of 18 clips, e\.g\. dog0"):
        make(tmp_path, {"matched": {}}, part)
    assert not (tmp_path / "p.parquet").exists()


def test_no_prompt_remains(tmp_path: Path) -> None:
    manifest = manifest_of(1)
    bad = ledger_of(tmp_path, manifest, **dict.fromkeys(manifest["clip_id"], "corrupt"))
    with pytest.raises(InputError, match="no prompt remains: 3 clips asked for, 3 excluded"):
        make(tmp_path, {"matched": {}}, bad, manifest=manifest)
    assert len(read_ledgers([tmp_path / "excluded.parquet"])) == 3


def test_a_list_of_prompts(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(
        "clip_id,caption,label,protocol\n"
        'dog1,"a big, black dog",dog barking,easy\n'
        "dog1,a kettle,cattle mooing,hard\n"
        "dog1,a Kettle!,cattle mooing,hard\n"
        'dog2,"dog barking, wording 2",,matched\n'
        "gone,a dog,dog barking,easy\n"
        "pla3,a drum,playing drum kit,easy\n"
    )
    manifest = manifest_of()
    bad = ledger_of(tmp_path, manifest, pla3="short", cat0="corrupt")
    prompts, excluded = make(tmp_path, {"file": str(tmp_path / "list.csv")}, bad)
    rows = {(row.protocol, row.clip_id, row.caption): row for row in prompts.itertuples()}
    assert len(rows) == 4
    assert rows["easy", "dog1", "a big, black dog"].caption_id == "a_big_black_dog"
    assert rows["hard", "dog1", "a kettle"].caption_id != rows["hard", "dog1", "a Kettle!"].caption_id
    assert rows["hard", "dog1", "a kettle"].own_label == "dog barking"
    own = rows["matched", "dog2", "dog barking, wording 2"]
    assert (own.caption_id, own.label) == ("own", "dog barking")
    assert dict(zip(excluded["clip_id"], excluded["status"], strict=True)) == {
        "pla3": "short",
        "gone": "not_in_manifest",
    }
    assert dict(zip(excluded["clip_id"], excluded["line"], strict=True))["gone"] == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip_id,caption\ndog1,\n", "line 2: caption is empty"),
        ("clip_id,caption\ndog1,a,b\n", "line 2: 3 fields"),
        ("clip_id,caption\ndog1,x\ndog1,x\n", "line 3: the same clip, caption and protocol as in line 2"),
        ("clip_id,caption,protocol\ndog1,x,../up\n", "id must be"),
        ("clip_id,caption\n", "holds no prompt"),
    ],
)
def test_unusable_lists(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        make(tmp_path, {"file": str(tmp_path / "list.csv")})


def test_caption_ids_are_distinct_and_plain() -> None:
    texts = ["a b", "A-B", "own", "猫", "child speech, kid speaking", "x" * 200, "x" * 201, ""]
    ids = caption_ids(texts)
    assert ids["child speech, kid speaking"] == "child_speech_kid_speaking"
    assert len(set(ids.values())) == len(texts)
    assert "own" not in ids.values()
    for name in ids.values():
        check_clip_id(name)


def test_settings_are_one_way() -> None:
    for wrong in ({}, {"file": "a.csv", "matched": {}}):
        with pytest.raises(ValidationError, match="either `file`"):
            PromptSettings.model_validate(wrong)
    with pytest.raises(ValidationError, match="clips_per_label"):
        PromptSettings.model_validate({"cross": {"clips_per_label": 0}})


def test_reading_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a prompt set"):
        read_prompts(tmp_path / "none.parquet")
    pd.DataFrame({"clip_id": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="is not a prompt set"):
        read_prompts(tmp_path / "other.parquet")


def test_the_sound_of_a_label(tmp_path: Path) -> None:
    prompts, _ = make(tmp_path, {"matched": {}, "sound_of_label": {"clips_per_label": 2}})
    sound = prompts[prompts["protocol"] == "sound_of_label"]
    assert len(sound) == 6
    assert set(sound["caption"]) == {f"The sound of {label}" for label in LABELS}
    assert (sound["own_caption"] == sound["caption"]).all()
    assert set(sound["caption_id"]) == {"own"}
    matched = prompts[prompts["protocol"] == "matched"]
    assert set(sound["clip_id"]) < set(matched["clip_id"])
    assert matched["caption"].str.contains("wording").all()


def test_captions_may_be_worded_from_labels(tmp_path: Path) -> None:
    prompts, _ = make(tmp_path, {"cross": {"caption": "{label}"}})
    assert (prompts["caption"] == prompts["label"]).all()
    assert (prompts["own_caption"] == prompts["own_label"]).all()
    worded, _ = make(tmp_path, {"cross": {"caption": "{label}: {caption}"}})
    plain, _ = make(tmp_path, {"cross": {}})
    assert (worded["caption"] == plain["label"] + ": " + plain["caption"]).all()
    assert (worded["caption_id"] == plain["caption_id"]).all()
    for wrong in ("{clip_id}", "a dog", "{label.x}", ""):
        with pytest.raises(ValidationError, match="must name"):
            PromptSettings.model_validate({"cross": {"caption": wrong}})


def test_a_published_set_comes_back_as_it_was(tmp_path: Path) -> None:
    made, _ = make(tmp_path, {"matched": {}, "cross": {"clips_per_label": 2}, "sound_of_label": {}})
    digest = publish(made, tmp_path / "set.csv")
    assert digest == sha256_file(tmp_path / "set.csv")
    settings = {"file": str(tmp_path / "set.csv"), "sha256": digest}
    again, excluded = make(tmp_path, settings, seed=99)
    assert again.equals(made)
    assert excluded.empty
    assert publish(again, tmp_path / "again.csv") == digest
    with pytest.raises(InputError, match="it is another version, or damaged"):
        make(tmp_path, settings | {"sha256": "0" * 64})
    with pytest.raises(InputError, match="no prompt set at"):
        make(tmp_path, {"file": str(tmp_path / "none.csv")})
    with pytest.raises(ValidationError, match="`sha256` is that of `file`"):
        PromptSettings.model_validate({"matched": {}, "sha256": digest})


def test_ids_of_a_published_set(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("clip_id,caption,caption_id\ndog1,a cat,../x\n")
    with pytest.raises(InputError, match="id must be"):
        make(tmp_path, {"file": str(tmp_path / "list.csv")})
    (tmp_path / "list.csv").write_text("clip_id,caption,caption_id\ndog1,a cat,x\ndog1,a dog,x\n")
    with pytest.raises(InputError, match="line 3: the same clip, caption and protocol as in line 2"):
        make(tmp_path, {"file": str(tmp_path / "list.csv")})
    (tmp_path / "list.csv").write_text("clip_id,caption,caption_id\ndog1,a cat,\ndog1,a dog,a_cat\n")
    with pytest.raises(InputError, match="caption id a_cat, protocol file: asked for twice"):
        make(tmp_path, {"file": str(tmp_path / "list.csv")})


TVC = "video_id\tlabel_L0_raw\tlabel_L0\tlabel_L1_subject\tlabel_L1_action\tlabel_L2\tlabel_L3\n"


def test_conflict_levels(tmp_path: Path) -> None:
    text = f"{TVC}dog1\tdog, barking\tdog barking\twolf howling\tdog panting\tdrum\train\nnobody\ta\tb\tc\td\te\tf\n"
    (tmp_path / "tvc.tsv").write_text(text)
    tvc = {"file": str(tmp_path / "tvc.tsv"), "sha256": sha256_file(tmp_path / "tvc.tsv")}
    prompts, excluded = make(tmp_path, {"tvc": tvc})
    assert dict(zip(prompts["protocol"], prompts["caption"], strict=True)) == {
        "tvc_L0": "dog barking",
        "tvc_L1_action": "dog panting",
        "tvc_L1_subject": "wolf howling",
        "tvc_L2": "drum",
        "tvc_L3": "rain",
    }
    assert set(prompts["own_caption"]) == {"dog barking"}
    assert set(prompts["own_label"]) == {"dog barking"}
    assert prompts["caption_id"].tolist() == ["L0", "L1_action", "L1_subject", "L2", "L3"]
    assert [(row.clip_id, row.status, row.line) for row in excluded.itertuples()] == [("nobody", "not_in_manifest", 3)]
    both, _ = make(tmp_path, {"tvc": tvc | {"levels": ["L3"]}, "matched": {"clips_per_label": 1}})
    assert both["protocol"].value_counts().to_dict() == {"matched": 3, "tvc_L3": 1}
    with pytest.raises(InputError, match="another version"):
        make(tmp_path, {"tvc": tvc | {"sha256": "0" * 64}})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("dog1\ta\tb\tc\td\te\n", "line 2: 6 fields, the header has 7"),
        ("dog1\ta\tb\tc\td\te\t\n", "line 2: label_L3 is empty"),
        ("dog1\ta\tb\tc\td\te\tf\n" * 2, "line 3: dog1 is already in line 2"),
        ("", "holds no prompt"),
    ],
)
def test_unusable_conflicts(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "tvc.tsv").write_text(TVC + rows)
    with pytest.raises(InputError, match=message):
        make(tmp_path, {"tvc": {"file": str(tmp_path / "tvc.tsv")}})


def test_command(tmp_path: Path) -> None:
    manifest = manifest_of().assign(start=0.0, duration=10.0, licence="x")
    columns = [field.name for field in MANIFEST]
    pq.write_table(pa.Table.from_pandas(manifest[columns], schema=MANIFEST), tmp_path / "m.parquet")
    arguments = [
        "prompts",
        "--manifest",
        str(tmp_path / "m.parquet"),
        "--ledger",
        str(ledger_of(tmp_path, manifest)),
        "--settings",
        '{"sound_of_label": {}}',
        "--seed",
        "0",
        "--output",
        str(tmp_path / "p.parquet"),
        "--excluded",
        str(tmp_path / "x.parquet"),
        "--csv",
        str(tmp_path / "p.csv"),
    ]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    digest = sha256_file(tmp_path / "p.csv")
    assert result.output == f"18 sound_of_label\n{tmp_path / 'p.csv'}: SHA-256 {digest}\n"
