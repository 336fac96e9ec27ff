import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile

from cafa.common.errors import ClipError, FolderInUseError, InputError, MissingClipError
from cafa.common.ledger import read_ledgers
from cafa.common.resume import VARIABLE, ChangedError
from metrics.embedding.cache import EmbeddingCache
from metrics.evaluation.evaluate import default_metrics, evaluate
from metrics.evaluation.pairs import read_pairs
from metrics.functional.frechet import frechet_distance
from metrics.judges.media import decode_whole_sound, fill_up, sample_frames
from metrics.parity.inputs import decoded_frames
from tests.evaluation_clips import QuickPanel, sound_of, write_video, write_wav
from tests.metrics.evaluation.evaluation_pairs import find, make_pairs, settings
from tests.two_runs import another_writer

#: Names that a known evaluator cuts to 18 characters, and so confuses.
NAMES = [("GT_playing_drum_kit_in_a_hall_1")[:length] for length in range(18, 31)]


def logits(output: Path, system: str = "ours/0") -> pd.Series:
    frame = pq.read_table(output / "embeddings" / system / "classifier.parquet", partitioning=None).to_pandas()
    return frame.set_index("clip_id")["logits"]


def test_names_of_18_to_30_characters_are_told_apart(tmp_path: Path):
    assert sorted({len(name) for name in NAMES}) == list(range(18, 31))
    pairs = make_pairs(tmp_path, NAMES)
    evaluate(pairs, QuickPanel(), settings("FAD", "KL"), tmp_path / "out", {})
    clips = pd.read_parquet(tmp_path / "out" / "clips.parquet").set_index("clip_id")
    assert sorted(clips.index) == sorted(NAMES)
    for number, name in enumerate(NAMES):
        assert clips.loc[name, "file"] == f"{name}.wav"
        heard, _ = decode_whole_sound(tmp_path / "ours" / f"{name}.wav")
        np.testing.assert_allclose(heard, sound_of(100 + number, 0.5), atol=2e-4)
    assert len({tuple(values) for values in logits(tmp_path / "out")}) == len(NAMES)


def test_a_bad_file_is_lost_alone_and_never_replaced(tmp_path: Path):
    names = [f"clip{number:02}" for number in range(10)]
    whole = make_pairs(tmp_path, names)
    evaluate(whole, QuickPanel(), settings(), tmp_path / "whole", {})
    (tmp_path / "ours" / "clip03.wav").write_bytes(b"this is no sound")
    write_wav(tmp_path / "ours" / "clip05.wav", 105, 0.3)
    (tmp_path / "ours" / "clip07.wav").unlink()
    (tmp_path / "reference" / "clip08.wav").write_bytes(b"")
    evaluate(find(tmp_path, names), QuickPanel(), settings(max_loss=0.4), tmp_path / "out", {})
    good, bad = logits(tmp_path / "whole"), logits(tmp_path / "out")
    assert list(bad.index) == ["clip00", "clip01", "clip02", "clip04", "clip06", "clip09"]
    for clip_id in bad.index:
        np.testing.assert_array_equal(bad[clip_id], good[clip_id])
    missing = pd.read_csv(tmp_path / "out" / "missing.csv").set_index("clip_id")["reason"].to_dict()
    assert missing == {"clip03": "not_media", "clip05": "short", "clip07": "missing_sample", "clip08": "empty_file"}
    ledger = read_ledgers([tmp_path / "out" / "ledger.parquet"])
    assert len(ledger) == 20
    assert ledger[ledger["stage"] == "reference"].set_index("clip_id")["status"]["clip08"] == "empty_file"
    card = json.loads((tmp_path / "out" / "table.card.json").read_text())
    assert (card["n"], card["asked"], card["missing"]["ours"]["count"]) == (6, 10, 4)
    assert card["stages"]["reference"] == {"empty_file": 1, "ok": 9}
    clips = pd.read_parquet(tmp_path / "out" / "clips.parquet")
    assert len(clips) == 10
    assert clips.set_index("clip_id")["KL"].isna().sum() == 4


def test_too_many_losses_are_refused_with_their_names(tmp_path: Path):
    names = [f"clip{number:02}" for number in range(10)]
    make_pairs(tmp_path, names)
    (tmp_path / "ours" / "clip03.wav").write_bytes(b"this is no sound")
    with pytest.raises(MissingClipError, match=r"10.0% of 10 prompts .*more than --max-loss 5.0%: ours clip03 \(not_m"):
        evaluate(find(tmp_path, names), QuickPanel(), settings(), tmp_path / "out", {})
    assert not (tmp_path / "out" / "table.csv").exists()
    assert (tmp_path / "out" / "ledger.parquet").is_file()
    (tmp_path / "ours" / "clip04.wav").unlink()
    panel = QuickPanel()
    with pytest.raises(MissingClipError, match=r"ours clip04 \(missing_sample: no file clip04\.\* in .*ours"):
        evaluate(find(tmp_path, names), panel, settings(), tmp_path / "new", {})
    assert panel.opened == 0  # before anything was computed


def test_splits_that_would_hold_too_few_sounds_are_reduced_and_said(tmp_path: Path):
    names = [f"clip{number:02}" for number in range(25)]
    make_pairs(tmp_path, names)

    def score(count: int, splits: int) -> tuple[float, str]:
        output = tmp_path / f"{count}-{splits}"
        evaluate(find(tmp_path, names[:count]), QuickPanel(), settings("IS", inception_splits=splits), output, {})
        return pd.read_csv(output / "table.csv").loc[0, "IS"], (output / "table.md").read_text()

    for count, left in ((9, 1), (10, 1), (25, 2)):
        value, text = score(count, 10)
        assert value == score(count, left)[0] > 1.0
        said = f"IS: {left} split{'s, shuffled with seed 2020' if left > 1 else ''}, not 10: each holds at least 10"
        assert said in text
    assert "not 2" not in score(25, 2)[1]


def test_fewer_sounds_than_dimensions_give_a_distance_and_a_note(tmp_path: Path):
    names = [f"clip{number}" for number in range(5)]
    evaluate(make_pairs(tmp_path, names), QuickPanel(), settings("FAD", "KAD"), tmp_path / "out", {})
    own, ours = (
        np.stack(pq.read_table(tmp_path / "out/embeddings" / part / "classifier.parquet").to_pandas()["embedding"])
        for part in ("reference_set", "ours/0")
    )
    assert ours.shape == (5, 12)
    found = pd.read_csv(tmp_path / "out" / "table.csv").loc[0]
    assert found["FAD"] == pytest.approx(frechet_distance(ours, own).value, rel=1e-5)
    assert found["FAD"] > 0
    card = json.loads((tmp_path / "out" / "table.card.json").read_text())
    assert card["notes"]["FAD_rank_deficiency"] == 8
    assert "more dimensions than the smaller set can fill" in (tmp_path / "out" / "table.md").read_text()


def test_an_interrupted_evaluation_continues_to_the_same_bits(tmp_path: Path):
    names = [f"clip{number}" for number in range(6)]
    pairs, chosen = make_pairs(tmp_path, names), settings(batch_size=2)
    evaluate(pairs, QuickPanel(), chosen, tmp_path / "whole", {})
    with pytest.raises(KeyboardInterrupt):
        evaluate(pairs, QuickPanel(stop_after=9), chosen, tmp_path / "cut", {})
    assert not (tmp_path / "cut" / "table.csv").exists()
    panel = QuickPanel()
    evaluate(pairs, panel, chosen, tmp_path / "cut", {})
    assert panel.opened == 4  # 12 sounds, of which 8 were in whole batches
    for name in ("table.csv", "table.md", "table.card.json", "clips.parquet", "embeddings/ours/0/classifier.parquet"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    again = QuickPanel()
    evaluate(pairs, again, chosen, tmp_path / "cut", {})
    assert again.opened == 0


def test_a_last_batch_of_one_sound_is_judged_like_the_others(tmp_path: Path):
    names = [f"clip{number}" for number in range(5)]
    pairs = make_pairs(tmp_path, names)
    evaluate(pairs, QuickPanel(), settings(), tmp_path / "one", {})
    evaluate(pairs, QuickPanel(), settings(batch_size=2, workers=3), tmp_path / "two", {})
    one, two = logits(tmp_path / "one"), logits(tmp_path / "two")
    assert list(two.index) == names
    for name in names:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-6)


def test_other_sounds_or_lengths_are_never_taken_from_an_older_run(tmp_path: Path):
    names = [f"clip{number}" for number in range(4)]
    evaluate(make_pairs(tmp_path, names), QuickPanel(), settings(), tmp_path / "out", {})
    before = logits(tmp_path / "out")
    write_wav(tmp_path / "ours" / "clip2.wav", 500, 0.5)
    panel = QuickPanel()
    evaluate(find(tmp_path, names), panel, settings(), tmp_path / "out", {})
    after = logits(tmp_path / "out")
    assert panel.opened == 1
    assert not np.array_equal(before["clip2"], after["clip2"])
    np.testing.assert_array_equal(before["clip1"], after["clip1"])
    other = QuickPanel(seconds=0.25)
    evaluate(find(tmp_path, names), other, settings(), tmp_path / "out", {})
    assert other.opened == 8


KEY = {"weights": {"clap": "0a"}, "batch_size": 4}


@pytest.mark.parametrize(("choice", "finished"), [("restart", False), ("resume", True)])
def test_embeddings_of_an_unfinished_evaluation_are_not_left_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str, finished: bool
) -> None:
    killed = EmbeddingCache(tmp_path, KEY)
    killed.put("a", "s1", {"x": np.arange(5)}, {})
    with pytest.raises(ChangedError, match=r"1 sounds and pictures done(.|\n)*batch_size: 4 -> 8"):
        EmbeddingCache(tmp_path, {**KEY, "batch_size": 8})
    monkeypatch.setenv(VARIABLE, choice)
    with EmbeddingCache(tmp_path, {**KEY, "batch_size": 8}) as cache:
        assert cache.finished("a", "s1") == finished
    monkeypatch.delenv(VARIABLE)
    with EmbeddingCache(tmp_path, KEY) as cache:  # that one came to its end: nothing to ask
        assert not cache.finished("a", "s1")


def test_a_half_finished_item_is_not_finished(tmp_path: Path):
    with EmbeddingCache(tmp_path, KEY) as cache:
        cache.put("a", "s1", {"x": np.arange(5)}, {"rate": 1})
        cache.put("b", "s2", {"x": np.arange(5)}, {})
        cache.put_failure("c", "s3", ClipError("short", "0.1 s"))
        np.testing.assert_array_equal(cache.arrays("a")["x"], np.arange(5))
    files = sorted(tmp_path.glob("*/*.npz"))
    files[0].write_bytes(files[0].read_bytes()[:-7])
    with EmbeddingCache(tmp_path, KEY) as cache:
        assert sorted([cache.finished("a", "s1"), cache.finished("b", "s2")]) == [False, True]
        assert not cache.finished("a", "other bytes")
        assert not cache.finished("a", "")
        assert cache.finished("c", "s3")
        with pytest.raises(ClipError, match=r"short: 0\.1 s"):
            cache.facts("c")
    files[1].unlink()
    with EmbeddingCache(tmp_path, KEY) as cache:
        assert not cache.finished("a", "s1")
        assert not cache.finished("b", "s2")


@pytest.mark.parametrize("channels", [1, 2])
def test_mono_and_stereo_files_are_decoded_to_the_sample(tmp_path: Path, channels: int):
    path = write_wav(tmp_path / "a.wav", 3, 0.5, rate=44100, channels=channels)
    samples, rate = decode_whole_sound(path)
    assert (samples.shape, samples.dtype, rate) == ((channels, 22050), np.float32, 44100)
    np.testing.assert_array_equal(samples, soundfile.read(path, dtype="float32", always_2d=True)[0].T)


def test_the_last_frame_of_a_codec_may_be_missing_and_no_more():
    filled = fill_up(np.ones((2, 985)), 1000, 1.0)
    assert filled.shape == (2, 1000)
    assert filled[:, 985:].max() == 0
    assert fill_up(np.ones((1, 1200)), 1000, 1.0).shape == (1, 1200)
    with pytest.raises(ClipError, match=r"short: 0\.970 s of sound, 1 s are scored"):
        fill_up(np.ones((2, 970)), 1000, 1.0)


def test_frames_at_two_rates_come_from_one_decoding_and_are_those_of_the_published_loader(tmp_path: Path):
    path = write_video(tmp_path / "a.mp4", 1, 4.2, rate=30)
    fast, slow = Fraction(25), Fraction(1, 2)
    found = sample_frames(path, {fast: 105, slow: 2}, lambda frame: frame)
    np.testing.assert_array_equal(found[fast], decoded_frames(path, fast, 105))
    np.testing.assert_array_equal(found[slow], decoded_frames(path, slow, 2))
    held = sample_frames(path, {fast: 107}, lambda frame: frame)[fast]
    np.testing.assert_array_equal(held[105:], held[[104, 104]])
    with pytest.raises(ClipError, match="short: 105 frames at 25 frames/s, 110 are scored"):
        sample_frames(path, {fast: 110}, lambda frame: frame)


def test_names_that_could_mean_two_files_are_refused(tmp_path: Path):
    make_pairs(tmp_path, ["one", "two"])
    shutil.copy(tmp_path / "ours" / "one.wav", tmp_path / "ours" / "one.flac")
    with pytest.raises(InputError, match=r"holds one\.flac and one\.wav: name the one that is meant in a column 'samp"):
        find(tmp_path, ["one", "two"])
    pairs = find(tmp_path, ["one", "two"], sample=["one.flac", "two.wav"])
    assert pairs.samples["ours"]["one", pairs.prompts["caption_id"][0]].path == tmp_path / "ours" / "one.flac"
    with pytest.raises(InputError, match="clip one has 2 captions"):
        find(tmp_path, ["one", "one"])
    with pytest.raises(InputError, match=r"'\.\./ours/two\.wav' is not a path inside"):
        find(tmp_path, ["one", "two"], sample=["one.wav", "../ours/two.wav"])
    with pytest.raises(InputError, match="clip one has two values of own_caption: 'x' and 'y'"):
        find(tmp_path, ["one", "one"], own_caption=["x", "y"])
    with pytest.raises(InputError, match="id must be 1 to 80"):
        find(tmp_path, ["a/b", "two"])


def test_a_list_without_captions_is_refused(tmp_path: Path):
    (tmp_path / "prompts.csv").write_text("clip_id\none\n")
    with pytest.raises(InputError, match="no column 'caption'; it has clip_id"):
        read_pairs(tmp_path / "prompts.csv", tmp_path, {})


def test_a_sound_file_beside_a_silent_picture(tmp_path: Path):
    write_wav(tmp_path / "reference" / "one.wav", 0, 0.5)
    write_video(tmp_path / "reference" / "one.mp4", 0, 0.5, sound=False)
    write_wav(tmp_path / "ours" / "one.wav", 1, 0.5)
    pairs = find(tmp_path, ["one"])
    assert (pairs.sounds["one"].path.name, pairs.pictures["one"].path.name) == ("one.wav", "one.mp4")


def test_all_metrics_controls_and_categories(tmp_path: Path):
    names = [f"clip{number}" for number in range(6)]
    for number, name in enumerate(names):
        write_video(tmp_path / "reference" / f"{name}.mp4", number, 0.6)
        write_wav(tmp_path / "ours" / f"{name}.wav", 100 + number, 0.5)
    labels = [f"label{number % 3}" for number in range(6)]
    own = [f"own caption of {label}" for label in labels]
    pairs = find(tmp_path, names, own_caption=own, own_label=labels, label=["drum", "dog"] * 3)
    metrics = default_metrics(pairs.prompts, ["Speech"])
    assert {"Acc", "Acc_margin", "FAD_CLAP", "KAD_CLAP", "Speech"} <= set(metrics)
    assert "Music" not in metrics
    panel = QuickPanel(["classifier", "clap", "imagebind", "synchformer"])
    evaluate(pairs, panel, settings(*metrics, inception_splits=1, controls=True), tmp_path / "out", {})
    table = pd.read_csv(tmp_path / "out" / "table.csv").set_index("system")
    assert list(table.index) == ["reference", "shuffled", "ours"]
    assert set(metrics) <= set(table.columns)
    assert table.loc["reference", "KL"] == 0
    assert table.loc["reference", "FAD"] == pytest.approx(0, abs=1e-6)
    assert table.loc["shuffled", "FAD"] == pytest.approx(0, abs=1e-6)  # every sound once
    assert table.loc["shuffled", "KL"] > 0
    clips = pd.read_parquet(tmp_path / "out" / "clips.parquet")
    shuffled = clips[clips["system"] == "shuffled"]
    assert sorted(shuffled["file"]) == [f"{name}.mp4" for name in names]
    of_file = {f"{name}.mp4": label for name, label in zip(names, labels, strict=True)}
    assert (shuffled["file"].map(of_file) != shuffled["own_label"]).all()
    assert clips["Speech"].between(0, 1).all()
    assert table.loc["ours", "Speech"] == pytest.approx(clips[clips["system"] == "ours"]["Speech"].mean(), rel=1e-5)
    assert table.loc["ours", ["FAD_CLAP_n", "KAD_CLAP_n", "Speech_n"]].tolist() == [6, 6, 6]
    assert (table.loc["ours", "Speech_low"] < table.loc["ours", "Speech"]).all()
    categories = pd.read_csv(tmp_path / "out" / "categories.csv")
    ours = categories[(categories["system"] == "ours") & (categories["metric"] == "Acc")]
    by_label = ours[ours["own_label"] == "*"].set_index("label")
    assert by_label["n"].to_dict() == {"dog": 3, "drum": 3}
    mine = clips[clips["system"] == "ours"]
    for label in ("dog", "drum"):
        assert by_label.loc[label, "value"] == pytest.approx(mine[mine["label"] == label]["Acc"].mean(), rel=1e-5)
    assert len(ours) == 2 + 6  # by category, and by pair


def test_metrics_that_cannot_be_computed_are_refused_early(tmp_path: Path):
    pairs = make_pairs(tmp_path, ["one", "two"])
    assert {"Acc", "Speech"}.isdisjoint(default_metrics(pairs.prompts, ()))
    with pytest.raises(InputError, match="Acc cannot be computed: in 2 of 2 rows the prompt is the clip's own caption"):
        evaluate(pairs, QuickPanel(["classifier", "clap"]), settings("Acc"), tmp_path / "out", {})
    with pytest.raises(InputError, match="Music cannot be computed: these judges have no such class"):
        evaluate(pairs, QuickPanel(), settings("Music"), tmp_path / "out", {})
    with pytest.raises(InputError, match="IB needs the judge imagebind, which was not loaded"):
        evaluate(pairs, QuickPanel(), settings("IB"), tmp_path / "out", {})


def test_an_evaluation_in_use_is_refused_before_anything_is_computed(tmp_path: Path):
    pairs, panel = make_pairs(tmp_path, ["one", "two"]), QuickPanel()
    with another_writer(tmp_path / "out") as holder, pytest.raises(FolderInUseError, match=f"process {holder} on "):
        evaluate(pairs, panel, settings(), tmp_path / "out", {})
    assert panel.opened == 0
    evaluate(pairs, panel, settings(), tmp_path / "out", {})


def test_a_cache_that_two_runs_share_gives_each_its_own_arrays(tmp_path: Path):
    """Even where a file system has no locks."""
    with EmbeddingCache(tmp_path, "k" * 64) as one, EmbeddingCache(tmp_path, "k" * 64) as two:
        one.put("ours/a", "bytes 1", {"x": np.zeros(3)}, {})
        two.put("ours/a", "bytes 2", {"x": np.ones(3)}, {})
        np.testing.assert_array_equal(one.arrays("ours/a")["x"], np.zeros(3))
        np.testing.assert_array_equal(two.arrays("ours/a")["x"], np.ones(3))
