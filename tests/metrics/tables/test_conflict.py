"""The curve over levels of conflict: which rows count, what stands beside ours, and what is refused."""

from pathlib import Path

import pandas as pd
import pytest

from cafa.common.errors import InputError
from metrics.tables.compute import BootstrapSettings
from metrics.tables.conflict import HERE, ConflictCurveSettings, conflict_frame, draw_conflict, read_published

SETTINGS = ConflictCurveSettings(
    systems={"cafa": "CAFA", "text_only": "text only"},
    levels={"own": "matched", "other": "cross"},
    bootstrap=BootstrapSettings(resamples=100),
)
VALUES = {("cafa", "matched"): 0.8, ("cafa", "cross"): 0.3, ("text_only", "matched"): 0.4, ("text_only", "cross"): 0.2}


@pytest.fixture
def scores() -> pd.DataFrame:
    rows = [
        (system, protocol, f"clip{number}", caption, metric, value + 0.01 * number)
        for (system, protocol), value in VALUES.items()
        for number in range(6)
        for caption in (("own",) if protocol == "matched" else ("a", "b"))
        for metric in ("IB", "CLAP", "DeSync")
    ]
    return pd.DataFrame(rows, columns=["system", "protocol", "clip_id", "caption_id", "metric", "value"])


@pytest.fixture
def files(scores: pd.DataFrame, tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{system}.parquet" for system in SETTINGS.systems]
    for path in paths:
        scores[scores["system"] == path.stem].to_parquet(path)
    return paths


def test_values_are_means_of_the_clips_that_all_have(scores: pd.DataFrame) -> None:
    lost = (scores["system"] == "text_only") & (scores["clip_id"] == "clip5") & (scores["protocol"] == "cross")
    frame = conflict_frame(scores[~lost], SETTINGS).set_index(["model", "level", "metric"])
    assert frame.loc[("CAFA", "own", "IB"), "value"] == pytest.approx(0.8 + 0.02)  # clips 0 to 4: clip 5 has no `other`
    assert frame.loc[("text only", "other", "CLAP"), "value"] == pytest.approx(0.2 + 0.02)
    assert set(frame["n_clips"]) == {5}
    assert dict(frame["n"].groupby("level").first()) == {"own": 5, "other": 10}
    assert (frame["low"] < frame["value"]).all()
    assert (frame["value"] < frame["high"]).all()


def test_a_system_without_a_level_is_refused(scores: pd.DataFrame) -> None:
    without = scores[~((scores["system"] == "cafa") & (scores["protocol"] == "cross"))]
    with pytest.raises(InputError, match="no scores of cafa cross IB; cafa cross CLAP"):
        conflict_frame(without, SETTINGS)
    with pytest.raises(ValueError, match="FAD has no value of a single sound"):
        ConflictCurveSettings(systems={"cafa": "CAFA"}, metrics=("FAD",))
    with pytest.raises(InputError, match="1 clips have scores"):
        conflict_frame(scores[scores["clip_id"] == "clip0"], SETTINGS)


def test_published_values_stand_beside_ours_with_their_source(files: list[Path], tmp_path: Path) -> None:
    published = Path("config/published/conflict.csv")
    for name in ("one", "two"):
        draw_conflict(files, SETTINGS, tmp_path / f"{name}.csv", tmp_path / f"{name}.svg", published)
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    for text in ("CAFA", "text only", "ControlFoley", "MMAudio", "L3", "other", "IB, published", "IB, measured here"):
        assert f">{text}</text>" in drawn
    table = pd.read_csv(tmp_path / "one.csv")
    assert set(table.loc[table["model"] == "CAFA", "source"]) == {HERE}
    others = table[table["source"] != HERE]
    assert len(others) == 20
    assert others["source"].str.contains("read off the plot").all()


def test_a_value_without_a_source_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text("model,level,metric,value,source\nA,L0,IB,0.3,\n")
    with pytest.raises(InputError, match="every row needs"):
        read_published(path)
    path.write_text("model,level,metric,value\nA,L0,IB,0.3\n")
    with pytest.raises(InputError, match="no column source"):
        read_published(path)


def test_the_command_writes_both(files: list[Path], tmp_path: Path, command) -> None:
    arguments = ["conflict", "--settings", SETTINGS.model_dump_json(), "--csv", f"{tmp_path}/c.csv"]
    arguments += [word for path in files for word in ("--scores", str(path))]
    command([*arguments, "--output", f"{tmp_path}/c.svg"])
    assert len(pd.read_csv(tmp_path / "c.csv")) == 8
    assert "published" not in (tmp_path / "c.svg").read_text()
