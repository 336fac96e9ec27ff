"""Sounds that are no sounds, or that nobody can hear, in an evaluation."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from cafa.common.errors import InputError
from cafa.common.files import read_json
from metrics.embedding.cache import EmbeddingCache
from metrics.embedding.embedder import Embedder, SoundItem
from metrics.embedding.located import Located
from metrics.embedding.reading import CLIP_KEY
from metrics.embedding.writing import open_tables
from metrics.evaluation.evaluate import evaluate
from tests.evaluation_clips import RATE, QuickPanel, sound_of
from tests.metrics.evaluation.evaluation_pairs import find, make_pairs, settings

NAMES = [f"clip{number:02}" for number in range(10)]


def write(path: Path, samples: np.ndarray) -> None:
    soundfile.write(path, samples.T, RATE, subtype="FLOAT")


def reasons(output: Path) -> dict[str, str]:
    return pd.read_csv(output / "missing.csv").set_index("clip_id")["reason"].to_dict()


def test_a_sound_with_values_that_are_not_finite_is_lost_alone(tmp_path: Path):
    make_pairs(tmp_path, NAMES)
    evaluate(find(tmp_path, NAMES), QuickPanel(), settings(), tmp_path / "whole", {})
    for name, folder, place in (("clip03", "ours", 100), ("clip05", "reference", 7)):
        sound = sound_of(3, 0.5)[0].astype(np.float32)
        sound[place] = np.nan
        write(tmp_path / folder / f"{name}.wav", sound)
    write(tmp_path / "ours" / "clip06.wav", np.full(RATE // 2, np.nan, np.float32))
    after = np.append(soundfile.read(tmp_path / "ours" / "clip07.wav")[0], [np.nan] * 100).astype(np.float32)
    write(tmp_path / "ours" / "clip07.wav", after)
    evaluate(find(tmp_path, NAMES), QuickPanel(), settings(max_loss=0.4), tmp_path / "out", {})
    assert reasons(tmp_path / "out") == dict.fromkeys(["clip03", "clip05", "clip06"], "not_finite")
    details = pd.read_csv(tmp_path / "out" / "missing.csv").set_index("clip_id")["detail"]
    assert details["clip03"] == "clip03.wav: 1 of 8000 values are not finite, the first at 0.006 s"
    assert details["clip05"].startswith("the clip's own sound: clip05.wav: 1 of 8000 values are not finite")
    good, bad = (
        pd.read_parquet(tmp_path / part / "clips.parquet").set_index("clip_id")["KL"] for part in ("whole", "out")
    )
    assert bad["clip07"] == good["clip07"]  # what is not judged does not matter
    assert bad.notna().sum() == 7


def test_judges_that_give_values_that_are_not_finite_lose_that_sound(tmp_path: Path):
    class Odd(QuickPanel):
        def embed_audio(self, sounds, video, judges):
            found = super().embed_audio(sounds, video, judges)
            if self.opened == 14:
                found["classifier"]["logits"] = found["classifier"]["logits"] * np.nan
            return found

    evaluate(make_pairs(tmp_path, NAMES), Odd(), settings(max_loss=0.4, workers=0), tmp_path / "out", {})
    assert reasons(tmp_path / "out") == {"clip03": "not_finite"}


def test_a_picture_that_judges_give_values_that_are_not_finite_loses_its_clip(tmp_path: Path):
    class Odd(QuickPanel):
        def embed_video(self, data):
            values = super().embed_video(data)["imagebind_video"]
            return {"imagebind_video": values * (np.nan if b"bad" in data.tobytes() else 1)}

    pictures = {name: Located(tmp_path / name, "") for name in ("good", "bad")}
    for name, located in pictures.items():
        located.path.write_bytes(name.encode() * 20)
    write(tmp_path / "a.wav", sound_of(3, 0.5))
    items = [SoundItem(f"sound/{name}", name, Located(tmp_path / "a.wav", "")) for name in pictures]
    for _ in range(2):  # the second time it is known
        with EmbeddingCache(tmp_path / "cache", {}) as cache:
            embedder = Embedder(Odd(("classifier", "imagebind")), cache, 2)
            embedder.embed_video(pictures)
            embedder.embed_audio(items, ["classifier"], "sounds")
            assert embedder.outcomes["sound/good"].status == "ok"
            for item in ("picture/bad", "sound/bad"):
                assert embedder.outcomes[item].status == "not_finite"
                assert "what the judges gave for the picture holds values that" in embedder.outcomes[item].detail


def test_no_file_of_embeddings_holds_values_that_are_not_finite(tmp_path: Path):
    path, panel = tmp_path / "classifier.parquet", QuickPanel()
    arrays = {"classifier": {"embedding": np.float32([[0.0, 1.0], [np.inf, 2.0]])}}
    with (
        pytest.raises(InputError, match=r"classifier gave values that are not finite \(embedding\) for clip07"),
        open_tables(panel, CLIP_KEY, {"classifier": path}, {"classifier": ("embedding",)}) as tables,
    ):
        tables.add({"clip_id": ["clip06", "clip07"]}, arrays)
    assert not path.exists()


def test_a_sound_without_its_scale_is_lost_and_a_small_overshoot_is_counted(tmp_path: Path):
    make_pairs(tmp_path, NAMES)
    write(tmp_path / "ours" / "clip03.wav", 3000 * sound_of(3, 0.5))
    write(tmp_path / "ours" / "clip04.wav", 4 * sound_of(3, 0.5))
    evaluate(find(tmp_path, NAMES), QuickPanel(), settings(max_loss=0.4), tmp_path / "out", {})
    assert reasons(tmp_path / "out") == {"clip03": "out_of_scale"}
    card = read_json(tmp_path / "out" / "table.card.json")
    assert card["notes"]["findings"] == {"ours": {"over_full_scale": 1}}
    assert "too loud: ours 1 over_full_scale" in (tmp_path / "out" / "table.md").read_text()


@pytest.mark.parametrize(("silent", "bold"), [(10, False), (1, False), (0, True)])
def test_a_system_of_silent_sounds_is_marked_and_never_the_best(tmp_path: Path, silent: int, bold: bool):
    pairs = make_pairs(tmp_path, NAMES)
    pairs.samples["copies"] = {key: pairs.sounds[key[0]] for key in pairs.samples["ours"]}  # FAD of 0
    for name in NAMES[:silent]:
        write(tmp_path / "reference" / f"{name}.wav", np.zeros(RATE))
    evaluate(pairs, QuickPanel(), settings("FAD"), tmp_path / "out", {})
    text = (tmp_path / "out" / "table.md").read_text()
    row = next(line for line in text.split("\n") if line.startswith("| copies"))
    assert row.startswith("| copies † |" if silent else "| copies |")
    assert ("**0" in row) == bold
    assert (f"Warning: {silent / 10:.1%} of the sounds of copies are silent or constant" in text) == bool(silent)
    better = set(pd.read_csv(tmp_path / "out" / "table.differences.csv")["better"])
    assert better == {"not compared" if silent else "copies"}
    clips = pd.read_parquet(tmp_path / "out" / "clips.parquet")
    assert (clips[clips["system"] == "copies"]["finding"] == "silent").sum() == silent


def test_channels_that_cancel_are_not_called_silence(tmp_path: Path):
    pairs = make_pairs(tmp_path, NAMES)
    tone = sound_of(3, 0.5)[0]
    write(tmp_path / "ours" / "clip03.wav", np.stack([tone, -tone]))
    write(tmp_path / "ours" / "clip04.wav", np.full((2, RATE), 0.2))
    evaluate(pairs, QuickPanel(), settings(), tmp_path / "out", {})
    card = read_json(tmp_path / "out" / "table.card.json")
    assert card["notes"]["findings"] == {"ours": {"constant": 1, "antiphase": 1}}
    assert "† ours: 1 constant, 1 antiphase of 10 sounds" in (tmp_path / "out" / "table.md").read_text()


def names_of(folder: Path, change) -> None:
    for path in sorted((folder / "ours").glob("*.wav")):
        target = folder / "ours" / change(path.name)
        target.parent.mkdir(exist_ok=True)
        path.rename(target)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda name: f"x/{name}", r"for 10 of them: the file lies in x/ below the folder \(clip00 -> x/clip00\.wav, "),
        (
            lambda name: name.replace("c", "C"),
            r"for 10 of them: small and capital letters differ \(clip00 -> Clip00\.wav",
        ),
        (
            lambda name: name.replace(".wav", ".mp4.wav"),
            r"for 10 of them: the file has two suffixes \(clip00 -> clip00\.mp4",
        ),
        (lambda name: "other" + name, "it holds 10 sounds and pictures, none with a similar name"),
    ],
)
def test_where_all_are_missing_the_message_counts_what_is_there(tmp_path: Path, change, said: str):
    make_pairs(tmp_path, NAMES)
    names_of(tmp_path, change)
    with pytest.raises(InputError, match=rf"none of the 10 clips has a file in .*ours, e\.g\. clip00\.\*; {said}"):
        find(tmp_path, NAMES)


def test_ids_with_a_suffix_are_named_at_once(tmp_path: Path):
    make_pairs(tmp_path, NAMES)
    said = r"for 10 of them: the id ends in \.mp4, which belongs to a file's name, .* \(clip00\.mp4 -> clip00\.wav"
    with pytest.raises(InputError, match=said):
        find(tmp_path, [f"{name}.mp4" for name in NAMES])


def test_one_missing_sound_has_its_neighbour_in_the_ledger(tmp_path: Path):
    make_pairs(tmp_path, NAMES)
    (tmp_path / "ours" / "clip03.wav").rename(tmp_path / "ours" / "Clip03.wav")
    evaluate(find(tmp_path, NAMES), QuickPanel(), settings(max_loss=0.4), tmp_path / "out", {})
    missing = pd.read_csv(tmp_path / "out" / "missing.csv")
    assert missing["reason"].tolist() == ["missing_sample"]
    assert missing["detail"][0].endswith("; there is Clip03.wav: small and capital letters differ")
