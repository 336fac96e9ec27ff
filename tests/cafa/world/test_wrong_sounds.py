"""Wrong sounds of the rendered world, and how well a filter finds them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cafa.common.errors import InputError, MissingClipError
from cafa.data.correspondence_scores import write_scores
from cafa.world.clips import event_times, plan, sound_of
from cafa.world.filter_table import filter_table, write_filter_table
from cafa.world.wrong_sounds import OTHER_CATEGORY, OTHER_TIMES, RIGHT, kind_of_sound, wrong_category

CLIPS = plan("wild", 20, seed=3)["clip_id"].tolist()


def test_share_and_kinds_of_wrong_sounds() -> None:
    kinds = pd.Series([kind_of_sound(clip_id, 3, 0.33) for clip_id in CLIPS]).value_counts()
    assert 0.23 < 1 - kinds[RIGHT] / len(CLIPS) < 0.43
    assert min(kinds[OTHER_CATEGORY], kinds[OTHER_TIMES]) > 20


def test_larger_share_makes_no_wrong_sound_right() -> None:
    few, many = ([kind_of_sound(clip_id, 3, share) for clip_id in CLIPS] for share in (0.2, 0.6))
    assert all(after == before for before, after in zip(few, many, strict=True) if before != RIGHT)
    assert {kind_of_sound(clip_id, 3, 0.0) for clip_id in CLIPS} == {RIGHT}
    assert RIGHT not in {kind_of_sound(clip_id, 3, 1.0) for clip_id in CLIPS}


def test_another_category_is_another() -> None:
    assert all(wrong_category(clip_id, "dog barking", 3) != "dog barking" for clip_id in CLIPS[:40])


def test_right_sounds_stay_and_wrong_ones_differ() -> None:
    for clip_id in CLIPS[:12]:
        same = np.array_equal(sound_of(clip_id, 3), sound_of(clip_id, 3, wrong_sounds=0.33))
        assert same == (kind_of_sound(clip_id, 3, 0.33) == RIGHT)


def test_event_times_say_which_sounds_are_wrong() -> None:
    assert "sound" not in event_times(CLIPS[:2], 3)
    known = event_times(CLIPS[:12], 3, wrong_sounds=0.33)
    assert known["sound"].tolist() == [kind_of_sound(clip_id, 3, 0.33) for clip_id in CLIPS[:12]]


def test_a_share_is_from_0_to_1() -> None:
    with pytest.raises(InputError, match="from 0 to 1"):
        kind_of_sound(CLIPS[0], 3, 1.5)


def filtered() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ten clips: six right, of which one is dropped; four wrong, of which three are."""
    sounds = pd.DataFrame(
        {"clip_id": list("abcdefghij"), "sound": [RIGHT] * 6 + [OTHER_CATEGORY] * 2 + [OTHER_TIMES] * 2}
    )
    kept = [True] * 5 + [False] * 4 + [True]
    return pd.DataFrame({"clip_id": list("abcdefghij"), "correspondence": 0.5, "kept": kept}), sounds


def test_precision_and_recall() -> None:
    values = filter_table(*filtered()).set_index(["measure", "of"])
    assert values.loc[("precision", "dropped clips"), ["count", "n"]].tolist() == [3, 4]
    assert values.loc[("recall", "wrong sounds"), ["count", "n"]].tolist() == [3, 4]
    assert values.loc[("recall", OTHER_TIMES), "value"] == 0.5
    assert values.loc[("dropped", RIGHT), ["count", "n"]].tolist() == [1, 6]
    assert values.loc[("wrong", "kept clips"), ["count", "n"]].tolist() == [1, 6]


def test_nothing_dropped_has_no_precision() -> None:
    scores, sounds = filtered()
    first = filter_table(scores.assign(kept=True), sounds).iloc[0]
    assert (first["measure"], first["n"]) == ("precision", 0)
    assert pd.isna(first["value"])


def test_files_and_refusals(tmp_path: Path) -> None:
    scores, sounds = filtered()
    write_scores(tmp_path / "scores.parquet", scores.to_dict("records"))
    sounds.to_parquet(tmp_path / "times.parquet")
    files = (tmp_path / "t.csv", tmp_path / "t.md")
    assert "| recall | wrong sounds | 0.750" in write_filter_table(
        tmp_path / "scores.parquet", tmp_path / "times.parquet", *files
    )
    assert all(file.is_file() for file in files)
    with pytest.raises(MissingClipError, match="1 scored clips"):
        filter_table(scores, sounds.iloc[1:])
    sounds.drop(columns="sound").to_parquet(tmp_path / "times.parquet")
    with pytest.raises(InputError, match="--wrong-sounds"):
        write_filter_table(tmp_path / "scores.parquet", tmp_path / "times.parquet", *files)
