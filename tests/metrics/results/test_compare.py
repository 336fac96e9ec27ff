import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cafa.common.errors import InputError
from metrics.results.compare import compare_folders


def change_card(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    card = json.loads((folder / "table.card.json").read_text())
    change(card)
    (folder / "table.card.json").write_text(json.dumps(card))


@pytest.fixture
def two(evaluated: Path) -> tuple[Path, Path]:
    other = evaluated.with_name("other")
    shutil.copytree(evaluated, other)
    return evaluated, other


def test_equal_protocols_are_joined_with_paired_differences(two: tuple[Path, Path], tmp_path: Path):
    clips = pd.read_parquet(two[1] / "clips.parquet")
    clips.loc[clips["system"] == "ours", "KL"] += [0.25 + 0.01 * (number % 3) for number in range(12)]
    clips.to_parquet(two[1] / "clips.parquet")
    text = compare_folders((f"A={two[0]}", f"B={two[1]}"), tmp_path / "joined")
    assert "* nothing" in text
    differences = pd.read_csv(tmp_path / "joined" / "comparison.differences.csv")
    row = differences[(differences["a"] == "A/ours") & (differences["b"] == "B/ours")].set_index("metric").loc["KL"]
    assert row["difference"] == pytest.approx(-0.26)
    assert (row["better"], row["better_holm"], row["n"]) == ("A/ours", "A/ours", 12)
    assert 0 < row["detectable"] < 0.02
    broken = differences[(differences["a"] == "A/their_s") & (differences["metric"] == "KL")]
    assert set(broken["n"]) == {11}
    assert (differences["p_holm"] >= differences["p"]).all()
    assert len(pd.read_csv(tmp_path / "joined" / "comparison.csv")) == 2 * 4 * 3


def test_other_weights_of_one_judge_mark_its_columns_alone(two: tuple[Path, Path]):
    change_card(two[1], lambda card: card["judges"]["clap"].update(weights_sha256="f" * 64))
    text = compare_folders((f"A={two[0]}", f"B={two[1]}"))
    assert "* B, CLAP: weights of clap: SHA-256 ffffffffffffffff, 0000000000000000 in A" in text
    line = next(line for line in text.splitlines() if line.startswith("| B/ours"))
    assert line.rstrip(" |").endswith("‡")
    assert line.count("‡") == 1
    assert not [line for line in text.splitlines() if line.startswith("| A/ours − B/ours | CLAP")]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda card: card.update(seconds_scored=[5.0]), r"seconds scored: \[5.0\], \[0.5\] in A"),
        (lambda card: card["versions"].update(cafa="9.9"), "version of the metrics: cafa 9.9, "),
        (lambda card: card["extra"].update(judges="miniature"), "kind of judges: miniature, real in A"),
    ],
)
def test_what_makes_every_column_another_is_refused_with_its_reason(
    two: tuple[Path, Path], change: Callable[[dict[str, Any]], object], why: str
):
    change_card(two[1], change)
    with pytest.raises(InputError, match=f"nothing in B is comparable with A: .*{why}"):
        compare_folders((f"A={two[0]}", f"B={two[1]}"))


def test_other_clips_or_captions_are_refused(two: tuple[Path, Path]):
    clips = pd.read_parquet(two[1] / "clips.parquet")
    clips.assign(caption=clips["caption"].replace("sound 3", "a cat")).to_parquet(two[1] / "clips.parquet")
    with pytest.raises(InputError, match=r"captions: 1 clips have others than in A, e\.g\. clip03"):
        compare_folders((f"A={two[0]}", f"B={two[1]}"))
    clips[clips["clip_id"] != "clip00"].to_parquet(two[1] / "clips.parquet")
    with pytest.raises(InputError, match="clips: 0 that A has not, and 1 of A are lacking"):
        compare_folders((f"A={two[0]}", f"B={two[1]}"))


def test_without_scores_of_sounds_the_prompts_are_compared_by_digest(two: tuple[Path, Path]):
    (two[1] / "clips.parquet").unlink()
    assert "None: they need the scores" in compare_folders((f"A={two[0]}", f"B={two[1]}"))
    change_card(two[1], lambda card: card["extra"].update(prompts_sha256="0" * 64))
    with pytest.raises(InputError, match="other clips or captions"):
        compare_folders((f"A={two[0]}", f"B={two[1]}"))
    with pytest.raises(InputError, match="two places are called 'A'"):
        compare_folders((f"A={two[0]}", f"A={two[1]}"))
