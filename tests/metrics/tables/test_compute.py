"""Tables from files: right numbers, common rows, refusals, bytes that repeat, and a page that reads."""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from cafa.common.errors import InputError, MissingClipError
from cafa.common.ledger import ledger_row, write_ledger
from metrics.functional.frechet import frechet_distance
from metrics.functional.inception import inception_score
from metrics.functional.kernel import kernel_distance
from metrics.tables.compute import TableSettings
from metrics.tables.figure import FigureSettings, draw_trade_off, read_curves

SETTINGS = {
    "protocol": "cross",
    "systems": ["video", "cafa", "text"],
    "metrics": ["FAD", "KAD", "IS", "KL", "IB", "CLAP", "Acc", "DeSync"],
    "compare": [["cafa", "text"]],
    "bootstrap": {"resamples": 100, "seed": 4},
    "inception_splits": 1,
    "max_loss": 0.1,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, command, make_experiment):
    """Three systems, scored; `cafa` lacks one sample of the cross protocol."""
    experiment = make_experiment(tmp_path_factory.mktemp("finished"))
    experiment.add_system("video", follows=0.0, delay=0)
    experiment.add_system("cafa", follows=0.9, delay=1, lost=(5,))
    experiment.add_system("text", follows=1.0, delay=4)
    for name in SETTINGS["systems"]:
        command(experiment.score_arguments(name))
    return experiment


@pytest.fixture
def scored(finished, tmp_path):
    """A copy of the finished experiment that a test may break."""
    experiment = copy.copy(finished)
    experiment.folder = tmp_path / "experiment"
    shutil.copytree(finished.folder, experiment.folder)
    return experiment


def test_csv_holds_the_metrics_of_the_common_rows(scored, command):
    command(scored.table_arguments(SETTINGS))
    table = pd.read_csv(scored.folder / "table1.csv")
    expected = ["system", "n", "n_clips"]
    for metric in SETTINGS["metrics"]:
        expected += [metric, f"{metric}_low", f"{metric}_high", f"{metric}_n"]
    assert list(table) == expected
    assert table["system"].tolist() == SETTINGS["systems"]
    assert set(table["n"]) == {59}
    assert set(table["n_clips"]) == {30}
    for metric in SETTINGS["metrics"]:
        assert (table[f"{metric}_low"] <= table[metric]).all()
        assert (table[metric] <= table[f"{metric}_high"]).all()
        assert set(table[f"{metric}_n"]) == {59}

    lost = scored.prompts.loc[5]
    keep = scored.prompts[(scored.prompts["protocol"] == "cross") & (scored.prompts.index != 5)]
    assert len(keep) == 59
    text = table.set_index("system").loc["text"]
    scores = pd.read_parquet(scored.folder / "scores/text.parquet").query("protocol == 'cross'")
    dropped = (scores["clip_id"] == lost["clip_id"]) & (scores["caption_id"] == lost["caption_id"])
    means = scores[~dropped].groupby("metric")["value"].mean()
    for metric in ("KL", "IB", "CLAP", "Acc", "DeSync"):
        assert text[metric] == pytest.approx(means[metric], rel=1e-5)
    parts = [pd.read_parquet(scored.folder / f"embeddings/text/{n}/classifier.parquet") for n in range(2)]
    found = pd.concat(parts).merge(keep[["clip_id", "caption_id", "protocol"]])
    found = found.sort_values(["clip_id", "caption_id"])
    truth = pd.read_parquet(scored.folder / "embeddings/reference_set/classifier.parquet")
    embedding, reference = np.stack(found["embedding"]), np.stack(truth["embedding"])
    assert text["FAD"] == pytest.approx(frechet_distance(embedding, reference).value, rel=1e-5)
    assert text["KAD"] == pytest.approx(kernel_distance(embedding, reference), rel=1e-5)
    assert text["IS"] == pytest.approx(inception_score(np.stack(found["logits"]), splits=1).value, rel=1e-5)


def test_differences_are_paired_and_say_who_is_better(scored, command):
    command(scored.table_arguments(SETTINGS))
    table = pd.read_csv(scored.folder / "table1.csv").set_index("system")
    differences = pd.read_csv(scored.folder / "table1.differences.csv").set_index("metric")
    assert differences.index.tolist() == SETTINGS["metrics"]
    for metric in SETTINGS["metrics"]:
        row = differences.loc[metric]
        expected = table.loc["cafa", metric] - table.loc["text", metric]
        assert row["difference"] == pytest.approx(expected, abs=1e-4)
        assert row["low"] <= row["difference"] <= row["high"]
    assert differences.loc["DeSync", "better"] == "cafa"
    assert differences.loc["DeSync", "high"] < 0
    assert differences.loc["IB", "better"] == "cafa"


def test_fewer_draws_for_metrics_of_sets_leave_the_values_alone(scored, command):
    settings = {**SETTINGS, "metrics": ["FAD", "CLAP"], "bootstrap": {"resamples": 300, "set_resamples": 100}}
    command(scored.table_arguments(settings, "fewer"))
    command(scored.table_arguments({**settings, "bootstrap": {"resamples": 300, "set_resamples": None}}, "all"))
    fewer, both = (pd.read_csv(scored.folder / f"{name}.csv") for name in ("fewer", "all"))
    same = [name for name in fewer if name not in ("FAD_low", "FAD_high")]
    pd.testing.assert_frame_equal(fewer[same], both[same])
    assert (fewer["FAD_high"] != both["FAD_high"]).all()


def test_equal_inputs_give_equal_bytes(scored, command):
    suffixes = ("csv", "md", "card.json", "differences.csv")
    command(scored.table_arguments(SETTINGS))
    before = [(scored.folder / f"table1.{suffix}").read_bytes() for suffix in suffixes]
    command(scored.table_arguments(SETTINGS))
    assert [(scored.folder / f"table1.{suffix}").read_bytes() for suffix in suffixes] == before


def test_files_of_an_older_cut_are_not_read(scored, command):
    command(scored.table_arguments(SETTINGS))
    expected = (scored.folder / "table1.csv").read_bytes()
    shutil.copy(scored.folder / "samples/cafa/0.parquet", scored.folder / "samples/cafa/9.parquet")
    shutil.copytree(scored.folder / "embeddings/cafa/0", scored.folder / "embeddings/cafa/9")
    command(scored.table_arguments(SETTINGS, "again", "--shards", "2"))
    assert (scored.folder / "again.csv").read_bytes() == expected
    with pytest.raises(InputError, match="1 of 3 shards are missing"):
        command(scored.table_arguments(SETTINGS, "three", "--shards", "3"))


def test_card_says_what_the_numbers_are(scored, command):
    ledger = scored.folder / "ingest.parquet"
    rows = [ledger_row("clip000", "ingest"), ledger_row("clip999", "ingest", "no_audio", "no sound stream")]
    write_ledger(ledger, rows)
    extra = ["--ledger", str(ledger), "--card-extra", json.dumps({"base_seed": 17})]
    command(scored.table_arguments({**SETTINGS, "meaning": "A toy."}, "table1", *extra))
    card = json.loads((scored.folder / "table1.card.json").read_text())
    assert (card["n"], card["n_clips"], card["asked"], card["asked_clips"]) == (59, 30, 60, 30)
    assert card["missing"]["cafa"]["reasons"] == {"corrupt": 1}
    assert card["missing"]["cafa"]["first"][0]["detail"] == "decoding fails"
    assert card["missing"]["text"]["count"] == 0
    assert card["stages"] == {"ingest": {"no_audio": 1, "ok": 1}}
    assert card["clips_lost_before"][0]["clip_id"] == "clip999"
    assert card["judges"]["clap"]["weights_sha256"] == "1" * 64
    assert (card["seconds_scored"], card["sample_rate"]) == ([3.2], [16000])
    assert card["extra"]["base_seed"] == 17
    assert len(card["extra"]["prompts_sha256"]) == 64
    assert card["notes"]["reference_sounds"] == 30
    assert card["notes"]["Acc_ties"] == {"video": 0, "cafa": 0, "text": 0}
    assert card["intervals"]["resamples"] == 100
    assert card["versions"]["numpy"] == np.__version__


def test_page_reads(scored, command):
    published = scored.folder / "published.csv"
    published.write_text("model,system,FAD,Acc\nCAFA,published; cafa; text,27.33,0.87\nMMAudio,,16.43,0.36\n")
    settings = {
        **SETTINGS,
        "title": "Table 1: other categories' captions",
        "meaning": "Numbers of toy judges; not comparable with the paper.",
        "descriptions": {"cafa": "the adapter"},
        "controls": ["video"],
        "published_notes": {"Acc": "read with care.", "DeSync": "another scale."},
    }
    command(scored.table_arguments(settings, "table1", "--published", str(published)))
    page = (scored.folder / "table1.md").read_text()
    lines = page.splitlines()
    assert lines[0] == "# Table 1: other categories' captions"
    assert "> Numbers of toy judges; not comparable with the paper." in lines
    header = next(line for line in lines if line.startswith("| system"))
    assert header == "| system | FAD ↓ | KAD ↓ | IS ↑ | KL ↓ | IB ↑ | CLAP ↑ | Acc ↑ | DeSync ↓ |"
    row = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ") and line.count("[") == 8}
    assert list(row) == ["*video*", "cafa", "text"]
    assert "**" not in row["*video*"]  # a control is never the best
    cafa = pd.read_csv(scored.folder / "table1.csv").set_index("system").loc["cafa"]
    cell = f"**{cafa['DeSync']:.3f}** [{cafa['DeSync_low']:.3f}, {cafa['DeSync_high']:.3f}]"
    assert row["cafa"].split("|")[-2].strip() == cell
    assert "| MMAudio |  | 16.43 | 0.36 |" in lines
    assert "| CAFA | cafa, text | 27.33 | 0.87 |" in lines  # a system without a row here is not named
    assert "* Acc: read with care." in lines
    assert "another scale" not in page  # the paper's table has no such column
    assert "* cafa lacks 1: 1 corrupt" in lines
    assert "* **cafa**: the adapter" in lines


def test_too_many_missing_samples_are_refused_with_their_reasons(scored, command):
    with pytest.raises(
        MissingClipError, match=r"1\.7% of 60 prompts .* max_loss 1\.0%\. cafa: 1 missing: clip\S+ \(corr"
    ):
        command(scored.table_arguments({**SETTINGS, "max_loss": 0.01}))
    assert not (scored.folder / "table1.csv").exists()


def test_a_sample_that_is_ok_but_not_scored_is_refused(scored, command):
    path = scored.folder / "scores/text.parquet"
    scores = pd.read_parquet(path)
    gone = (scores["clip_id"] == "clip004") & (scores["protocol"] == "cross")
    scores[~gone].to_parquet(path, index=False)
    with pytest.raises(InputError, match="2 samples of text are ok in its index but have no score: clip004/"):
        command(scored.table_arguments(SETTINGS))


def test_accuracy_of_the_matched_protocol_is_refused(scored, command):
    settings = {**SETTINGS, "protocol": "matched", "metrics": ["Acc"]}
    with pytest.raises(InputError, match="30 of 30 rows have no Acc: it is defined only where the prompt differs"):
        command(scored.table_arguments(settings))


def test_a_judge_that_is_not_good_is_refused(scored, command):
    judges = json.loads((scored.folder / "judges.json").read_text())
    judges["judges"]["clap"]["measures"]["accuracy"] |= {"value": 0.5, "good": False}
    judges["judges"]["clap"]["good"] = judges["good"] = False
    (scored.folder / "judges.json").write_text(json.dumps(judges))
    with pytest.raises(InputError, match=r"not good enough to judge: clap \(accuracy is 0\.5, wanted >= 0\.9\)"):
        command(scored.table_arguments(SETTINGS))


def test_embeddings_of_a_judge_that_was_not_checked_are_refused(scored, command):
    judges = json.loads((scored.folder / "judges.json").read_text())
    judges["judges"]["classifier"]["weights_sha256"] = "f" * 64
    (scored.folder / "judges.json").write_text(json.dumps(judges))
    with pytest.raises(InputError, match=r"weights 0{64}\), not by the one that was checked \(weights f{64}\)"):
        command(scored.table_arguments(SETTINGS))


def test_a_system_without_scores_is_refused(scored, command):
    arguments = scored.table_arguments(SETTINGS)
    place = arguments.index("--scores")
    del arguments[place : place + 2]
    with pytest.raises(InputError, match="no scores of video, only of cafa, text"):
        command(arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": ["FID"]}, "no metric 'FID'; did you mean 'FAD'\\? There are FAD, KAD"),
        ({"systems": ["cafa", "cafa"], "compare": []}, "named twice"),
        ({"compare": [["cafa", "nobody"]]}, r"without a row: \['nobody'\]"),
        ({"compare": [["cafa", "cafa"]]}, "compared with itself"),
        ({"unknown": 1}, "Extra inputs are not permitted"),
        ({"bootstrap": {"resamples": 5}}, "greater than or equal to 100"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        TableSettings.model_validate({**SETTINGS, **change})


def test_published_tables_can_be_printed():
    folder = Path(__file__).parents[3] / "config/published"
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in ("table1", "table2", "table4")}
    table1 = tables["table1"].set_index("model")
    assert table1.loc["CAFA", ["FAD", "IS", "CLAP", "Acc", "DeSync"]].tolist() == [27.33, 5.63, 0.21, 0.87, 0.81]
    for table in tables.values():
        assert table.drop(columns=["system", "model", "block"], errors="ignore").notna().all(axis=None)


class TestFigure:
    TABLE = (
        "system,n,n_clips,DeSync,DeSync_low,DeSync_high,FAD,FAD_low,FAD_high,CLAP,CLAP_low,CLAP_high\n"
        "g1,9,3,0.06,0.05,0.07,4.4,4.0,4.8,0.858,0.84,0.87\n"
        "g0,9,3,0.02,0.01,0.03,5.1,4.7,5.5,0.847,0.83,0.86\n"
        "gh,9,3,0.03,0.02,0.05,4.5,4.1,4.9,0.855,0.84,0.87\n"
        "t0,9,3,0.05,0.04,0.07,6.1,5.7,6.6,0.802,0.79,0.81\n"
        "t2,9,3,0.12,0.09,0.15,7.5,7.1,7.9,0.811,0.80,0.82\n"
    )

    @pytest.fixture
    def table(self, tmp_path):
        path = tmp_path / "table1.csv"
        path.write_text(self.TABLE)
        return path

    def test_is_the_same_bytes_twice_and_tells_every_scale_and_curve(self, table, tmp_path, command):
        curves = {"CAFA": {"0": "g0", "0.5": "gh", "1": "g1"}, "CAFA-TF": {"0": "t0", "1.5": "t2"}}
        for name in ("one", "two"):
            output = str(tmp_path / f"{name}.svg")
            command(["figure", "--table", str(table), "--settings", json.dumps({"curves": curves}), "--output", output])
        drawn = (tmp_path / "one.svg").read_text()
        assert drawn == (tmp_path / "two.svg").read_text()
        for text in ("γ=0", "γ=1", "γ=1.5", "CAFA", "CAFA-TF", "DeSync (s), lower is better"):
            assert f">{text}</text>" in drawn
        assert ">γ=0.5</text>" not in drawn  # of a curve the ends are labelled
        assert all(f">{name}, " in drawn for name in ("FAD", "CLAP"))  # every metric of the table unless some are named
        assert "<dc:date>" not in drawn

    def test_points_stand_in_the_order_of_their_scales(self, table):
        settings = FigureSettings(curves={"CAFA": {1: "g1", 0.5: "gh", 0: "g0"}})
        points = read_curves(table, settings)["CAFA"]
        assert list(points.index) == ["g0", "gh", "g1"]
        assert list(points["gamma"]) == [0, 0.5, 1]

    def test_refuses_what_the_table_does_not_hold(self, table, tmp_path):
        output, curve = tmp_path / "f.svg", {"CAFA": {0: "g0", 1: "g1"}}
        with pytest.raises(InputError, match="has no row g2"):
            draw_trade_off(table, FigureSettings(curves={"CAFA": {0: "g0", 1: "g2"}}), output)
        with pytest.raises(InputError, match="has no column KL"):
            draw_trade_off(table, FigureSettings(curves=curve, metrics=("FAD", "KL")), output)
        with pytest.raises(ValueError, match="the same scale"):
            FigureSettings(curves={"CAFA": {"1": "g0", "1.0": "g1"}})
        with pytest.raises(ValueError, match="now `curves`"):
            FigureSettings(systems={"g0": 0, "g1": 1})
        assert not output.exists()
