"""Scores of a system from files: right values, nothing lost silently."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from cafa.common.errors import InputError, MissingClipError
from metrics.embedding.reading import CLIP_KEY, SAMPLE_KEY, Embeddings, read_embeddings


def scores_of(experiment, name: str) -> pd.DataFrame:
    return pd.read_parquet(experiment.folder / f"scores/{name}.parquet")


def test_scores_have_one_value_per_sample_and_metric(experiment, command):
    experiment.add_system("good", follows=0.9, delay=0)
    command(experiment.score_arguments("good"))
    scores = scores_of(experiment, "good")
    assert list(scores) == ["system", "protocol", "clip_id", "caption_id", "metric", "value"]
    assert not scores.duplicated(["protocol", "clip_id", "caption_id", "metric"]).any()
    counts = scores.groupby(["protocol", "metric"]).size()
    for metric in ("CLAP", "KL", "IB", "DeSync", "DeSync_windows"):
        assert counts["cross", metric] == 60
        assert counts["matched", metric] == 30
    # The own caption cannot be told from itself: no accuracy in the matched protocol.
    assert counts["cross", "Acc"] == counts["cross", "Acc_margin"] == 60
    assert "Acc" not in counts["matched"]
    means = scores.groupby(["protocol", "metric"])["value"].mean()
    assert means["cross", "DeSync"] == 0.0
    assert means["cross", "Acc"] > 0.9
    assert means["cross", "KL"] > 10 * means["matched", "KL"]
    assert set(scores.loc[scores["metric"] == "DeSync_windows", "value"]) == {1.0}


def test_a_system_that_follows_the_picture_is_told_from_one_that_follows_the_prompt(experiment, command):
    experiment.add_system("picture", follows=0.0, delay=0)
    experiment.add_system("prompt", follows=1.0, delay=4)
    for name in ("picture", "prompt"):
        command(experiment.score_arguments(name))
    picture, prompt = (
        scores_of(experiment, name).query("protocol == 'cross'").groupby("metric")["value"].mean()
        for name in ("picture", "prompt")
    )
    assert picture["Acc"] < 0.1 < 0.9 < prompt["Acc"]
    assert picture["IB"] > prompt["IB"]
    assert picture["DeSync"] == 0.0 < 0.1 < prompt["DeSync"]
    assert prompt["DeSync"] == pytest.approx(0.22, abs=0.05)  # mean |k| / 10 over k in -4..4


def test_the_number_of_shards_does_not_matter(experiment, command):
    state = experiment.random.bit_generator.state
    experiment.add_system("one", follows=0.5, delay=2, shards=1)
    experiment.random.bit_generator.state = state
    experiment.add_system("three", follows=0.5, delay=2, shards=3)
    for name in ("one", "three"):
        command(experiment.score_arguments(name))
    one, three = (scores_of(experiment, name).drop(columns="system") for name in ("one", "three"))
    pd.testing.assert_frame_equal(one, three, rtol=1e-12)


def test_a_missing_sample_is_an_error_unless_its_index_excuses_it(experiment, command):
    experiment.add_system("lossy", follows=0.9, delay=0, lost=(0, 7))
    with pytest.raises(MissingClipError, match="2 of 90 rows are missing: clip000/label1/cross"):
        command(experiment.score_arguments("lossy", index=False))
    command(experiment.score_arguments("lossy"))
    scores = scores_of(experiment, "lossy")
    assert len(scores[scores["metric"] == "CLAP"]) == 88


def test_a_sample_that_is_ok_but_was_not_embedded_is_an_error(experiment, command):
    experiment.add_system("good", follows=0.9, delay=0, shards=2)
    arguments = experiment.score_arguments("good")
    place = arguments.index("--embeddings")
    del arguments[place : place + 2]  # forget a shard of embeddings, keep its index
    with pytest.raises(MissingClipError, match=r"45 of 90 rows are missing: .* and 40 more"):
        command(arguments)


def test_a_shard_given_twice_is_an_error(experiment, command):
    experiment.add_system("good", follows=0.9, delay=0)
    again = str(experiment.folder / "embeddings/good/0")
    with pytest.raises(InputError, match="45 rows are there twice"):
        command([*experiment.score_arguments("good"), "--embeddings", again])


def test_samples_of_another_prompt_set_are_an_error(experiment, command):
    experiment.add_system("stale", follows=0.9, delay=0)
    path = experiment.folder / "samples/stale/0.parquet"
    index = pd.read_parquet(path)
    index.loc[3, "caption"] = "an older wording"
    index.to_parquet(path, index=False)
    with pytest.raises(InputError, match="1 samples were made for other prompts"):
        command(experiment.score_arguments("stale"))


def test_values_that_are_not_finite_name_their_clip():
    keys = pd.DataFrame({"clip_id": ["a", "b"]})
    embeddings = Embeddings("truth", keys, {"logits": np.array([[1.0, 2.0], [np.nan, 0.0]], dtype=np.float32)})
    assert embeddings.take(keys[:1], "logits").tolist() == [[1.0, 2.0]]
    with pytest.raises(MissingClipError, match="logits of 1 rows is not finite: b"):
        embeddings.take(keys, "logits")


def test_reading_refuses_what_is_not_an_embedding_file(experiment):
    truth = experiment.folder / "embeddings/reference_set/classifier.parquet"
    with pytest.raises(InputError, match="has no column caption_id, protocol, only clip_id"):
        read_embeddings([truth], SAMPLE_KEY, ("embedding",))
    with pytest.raises(InputError, match=r"no file .*absent\.parquet"):
        read_embeddings([truth.with_name("absent.parquet")], CLIP_KEY, ("embedding",))
    with pytest.raises(InputError, match="no file of embeddings"):
        read_embeddings([], CLIP_KEY, ("embedding",))


def test_a_file_that_is_something_else_is_named(experiment, command):
    experiment.add_system("good", follows=0.9, delay=0, shards=1)
    arguments = experiment.score_arguments("good")
    place = arguments.index("--index") + 1
    with pytest.raises(InputError, match=r"text\.parquet is not an index of samples: it has no column clip_id"):
        command([*arguments[:place], str(experiment.folder / "embeddings/text.parquet"), *arguments[place + 1 :]])
    with pytest.raises(InputError, match=r"absent\.parquet is not an index of samples"):
        command([*arguments[:place], str(experiment.folder / "absent.parquet"), *arguments[place + 1 :]])


def change_metadata(path, changes: dict) -> None:
    table = pq.read_table(path)
    kept = {k: v for k, v in (table.schema.metadata | changes).items() if v is not None}
    pq.write_table(table.replace_schema_metadata(kept), path)


def test_a_synchronisation_judge_without_a_grid_is_refused(experiment, command):
    experiment.add_system("good", follows=0.9, delay=0, shards=1)
    change_metadata(experiment.folder / "embeddings/good/0/synchformer.parquet", {b"grid": None})
    with pytest.raises(InputError, match="no `grid` of offsets"):
        command(experiment.score_arguments("good"))


def test_embeddings_of_different_judges_are_refused(experiment, command):
    experiment.add_system("good", follows=0.9, delay=0, shards=2)
    path = experiment.folder / "embeddings/good/1/clap.parquet"
    change_metadata(path, {b"weights_sha256": b"e" * 64})
    with pytest.raises(InputError, match="the shards were made by different judges"):
        command(experiment.score_arguments("good"))
    change_metadata(path.parents[1] / "0/clap.parquet", {b"weights_sha256": b"e" * 64})
    with pytest.raises(
        InputError, match=r"made by another judge \(weights e{64}\) than .*text\.parquet \(weights 1{64}\)"
    ):
        command(experiment.score_arguments("good"))
