import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile

from cafa.common.errors import InputError, MissingClipError
from cafa.common.files import read_json, sha256_file
from cafa.data.prompts import SCHEMA as PROMPTS
from cafa.features.store import write_features
from cafa.media.sound import write_sound
from metrics.embedding.miniature import embed_samples
from metrics.encoders.miniature.synchformer import GRID
from metrics.judges.level_names import METER_ERROR
from metrics.judges.levels import VERSION, levels_of
from metrics.judges.trained import MicroJudges
from metrics.tables.scores import read_generated, read_reference
from tests.metrics.toy_clips import LABELS, SIZE, toy_sound


@pytest.fixture
def index(tmp_path):
    """Index of a shard of seven samples: clips 0..6 with the sound of the next label, clip 3 not made."""
    rows = []
    for number in range(7):
        label = LABELS[(number + 1) % 3]
        row = {"clip_id": f"clip{number:03}", "caption_id": label, "protocol": "cross", "file": f"{number}.flac"}
        path = tmp_path / "0" / row["file"]
        write_sound(path, toy_sound(number, label), 16000)
        rows.append({**row, "sha256": sha256_file(path), "status": "ok"})
    rows[3] |= {"status": "corrupt", "file": None, "sha256": None}
    pd.DataFrame(rows).to_parquet(tmp_path / "0.parquet", index=False)
    return tmp_path / "0.parquet"


def test_samples_are_embedded_for_scoring(toy, command, index, tmp_path):
    output = tmp_path / "embeddings"
    command(
        [
            "embed",
            "samples",
            "--judges",
            str(toy.judges),
            "--index",
            str(index),
            "--frames",
            str(toy.frames),
            "--batch-size",
            "4",
            "--output-folder",
            str(output),
        ]
    )
    found = read_generated([output])
    keys = found["clap"].keys()
    assert keys["clip_id"].tolist() == [f"clip{number:03}" for number in (0, 1, 2, 4, 5, 6)]
    assert set(keys["protocol"]) == {"cross"}
    heard = [LABELS[k] for k in found["classifier"].column("logits").argmax(1)]
    assert heard == keys["caption_id"].tolist()
    assert found["synchformer"].grid == list(GRID)
    assert np.abs(np.array(GRID)[found["synchformer"].column("logits_first").argmax(1)]).mean() < 0.2


def test_the_files_say_which_weights_made_them(toy, index, tmp_path):
    judges = MicroJudges(toy.judges)
    assert embed_samples(judges, index, [toy.frames], 16, tmp_path / "e") == 6
    for name, judge in judges.judges.items():
        metadata = pq.read_schema(tmp_path / "e" / f"{name}.parquet").metadata
        assert metadata[b"weights_sha256"].decode() == judge.weights_sha256
        assert (b"grid" in metadata) == (name == "synchformer")
    assert json.loads(metadata[b"grid"]) == list(GRID)


def test_the_batch_size_hardly_matters(toy, index, tmp_path):
    judges = MicroJudges(toy.judges)
    for size in (1, 6):
        embed_samples(judges, index, [toy.frames], size, tmp_path / f"by{size}")
    one, six = (read_generated([tmp_path / f"by{size}"]) for size in (1, 6))
    for name, column in (("classifier", "logits"), ("clap", "embedding"), ("synchformer", "logits_last")):
        assert np.allclose(one[name].column(column), six[name].column(column), rtol=1e-5, atol=1e-5)


def test_a_changed_file_is_refused_and_nothing_is_left(toy, index, tmp_path):
    write_sound(index.with_suffix("") / "2.flac", np.zeros(51200, np.float32), 16000)
    with pytest.raises(InputError, match=r"2\.flac has changed since the index"):
        embed_samples(MicroJudges(toy.judges), index, [toy.frames], 2, tmp_path / "e")
    assert not list((tmp_path / "e").iterdir())


def test_a_lost_file_is_refused(toy, index, tmp_path):
    (index.with_suffix("") / "2.flac").unlink()
    with pytest.raises(InputError, match="is not there, but"):
        embed_samples(MicroJudges(toy.judges), index, [toy.frames], 2, tmp_path / "e")


def test_a_sound_that_is_too_short_is_refused(toy, index, tmp_path):
    path = index.with_suffix("") / "2.flac"
    write_sound(path, np.zeros(16000, np.float32), 16000)
    rows = pd.read_parquet(index)
    rows.loc[2, "sha256"] = sha256_file(path)
    rows.to_parquet(index, index=False)
    with pytest.raises(InputError, match=r"2\.flac cannot be judged: short"):
        embed_samples(MicroJudges(toy.judges), index, [toy.frames], 2, tmp_path / "e")


def test_a_clip_without_frames_is_an_error(toy, index, tmp_path):
    rows = pd.read_parquet(index)
    rows.loc[0, "clip_id"] = "elsewhere"
    rows.to_parquet(index, index=False)
    with pytest.raises(MissingClipError, match="no frames for clip elsewhere"):
        embed_samples(MicroJudges(toy.judges), index, [toy.frames], 2, tmp_path / "e")


def test_frames_of_another_encoder_are_refused(toy, index, tmp_path):
    frames = np.zeros((80, SIZE, SIZE, 3), np.uint8)
    write_features(
        tmp_path / "f.arrow",
        [("clip000", frames)],
        kind="frames",
        shape=frames.shape,
        dtype="uint8",
        encoder={"name": "other"},
    )
    with pytest.raises(InputError, match="not the configured one"):
        embed_samples(MicroJudges(toy.judges), index, [tmp_path / "f.arrow"], 2, tmp_path / "e")


def test_a_shard_without_sounds_gives_empty_tables(toy, index, tmp_path):
    rows = pd.read_parquet(index).assign(status="corrupt")
    rows.to_parquet(index, index=False)
    assert embed_samples(MicroJudges(toy.judges), index, [toy.frames], 2, tmp_path / "e") == 0
    assert pq.read_table(tmp_path / "e" / "clap.parquet").num_rows == 0


def test_reference_and_text_are_embedded_for_scoring(toy, command, tmp_path):
    prompt = {
        "clip_id": "clip000",
        "caption_id": "own",
        "caption": "the sound of a drum",
        "label": "drum",
        "own_label": "bell",
        "own_caption": "the sound of a bell",
        "protocol": "cross",
    }
    prompts = pd.DataFrame([prompt])[PROMPTS.names]
    prompts.to_parquet(tmp_path / "prompts.parquet", index=False)
    command(
        [
            "embed",
            "reference",
            "--judges",
            str(toy.judges),
            "--frames",
            str(toy.frames),
            "--mel",
            str(toy.mel),
            "--manifest",
            str(toy.manifest_path),
            "--output-folder",
            str(tmp_path / "reference"),
        ]
    )
    command(
        [
            "embed",
            "text",
            "--judges",
            str(toy.judges),
            "--prompts",
            str(tmp_path / "prompts.parquet"),
            "--output",
            str(tmp_path / "text.parquet"),
        ]
    )
    reference = read_reference([tmp_path / "reference"], tmp_path / "text.parquet")
    assert reference.audio("classifier").keys()["clip_id"].tolist() == sorted(toy.manifest["clip_id"])
    assert reference.video("imagebind").column("video").shape == (36, 64)
    assert reference.text("clap").keys()["caption"].tolist() == ["the sound of a bell", "the sound of a drum"]
    labels = reference.audio("classifier").column("logits").argmax(1)
    assert np.mean(labels == toy.clips.targets) > 0.9


def test_a_judge_without_weights_is_registered_embeds_is_checked_and_scores(toy, command, index, tmp_path):
    judges, made = tmp_path / "judges", tmp_path / "embeddings"
    shutil.copytree(toy.judges, judges)
    embed_samples(MicroJudges(judges), index, [toy.frames], 4, tmp_path / "before")
    assert "no weights (v1)" in command(["judges", "register", "levels", "--output", str(judges / "levels")])
    more = {"caption": "a drum", "label": "drum", "own_label": "bell", "own_caption": "a bell", "detail": ""}
    rows = pd.read_parquet(index).assign(**more)
    rows.to_parquet(index, index=False)
    prompts = tmp_path / "prompts.parquet"
    rows[PROMPTS.names].to_parquet(prompts, index=False)
    of = ["--judges", str(judges)]
    features = ["--frames", str(toy.frames), "--mel", str(toy.mel), "--manifest", str(toy.manifest_path)]
    frames = ["--frames", str(toy.frames), "--batch-size", "4"]
    text, reference, scores = tmp_path / "text.parquet", tmp_path / "reference", tmp_path / "scores.parquet"
    command(["embed", "samples", *of, "--index", str(index), *frames, "--output-folder", str(made)])
    command(["embed", "reference", *of, *features, "--output-folder", str(reference)])
    command(["embed", "text", *of, "--prompts", str(prompts), "--output", str(text)])
    command(["judges", "check", *of, *features, "--seed", "3", "--output", str(tmp_path / "judges.json")])
    files = ["--embeddings", str(made), "--reference-embeddings", str(reference), "--text", str(text)]
    system = ["--system", "ours", "--prompts", str(prompts), "--index", str(index)]
    command(["score", *system, *files, "--output", str(scores)])

    wanted = levels_of(soundfile.read(index.with_suffix("") / "5.flac", always_2d=True)[0].T, 16000)
    found = pd.read_parquet(scores).set_index(["clip_id", "metric"])["value"]
    columns = ("LUFS", "True_peak", "Silence", "Clipping")
    assert [found["clip005", name] for name in columns] == pytest.approx(wanted.tolist(), abs=1e-3)
    assert -40 < found["clip005", "LUFS"] < -5
    verdict = read_json(tmp_path / "judges.json")["judges"]["levels"]
    assert (verdict["weights_sha256"], verdict["good"]) == (VERSION, True)
    assert verdict["measures"].keys() == {METER_ERROR}
    # What the networks make of the sounds is not touched, and of log-mels no level is measured.
    for name in ("classifier", "clap", "imagebind", "synchformer"):
        assert (made / f"{name}.parquet").read_bytes() == (tmp_path / "before" / f"{name}.parquet").read_bytes()
    assert not (reference / "levels.parquet").exists()
