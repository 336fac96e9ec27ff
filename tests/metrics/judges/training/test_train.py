import pandas as pd
import pytest

from cafa.common.errors import InputError
from cafa.common.files import read_json, sha256_file
from metrics.judges.training.clips import read_clips
from metrics.judges.training.settings import judge_settings
from metrics.judges.training.train import architecture_of, train_judge


def short(name: str, steps: int = 3) -> object:
    return judge_settings(name, {"loop": {"steps": steps, "batch_size": 6}})


@pytest.mark.parametrize("name", ["clap", "synchformer"])
def test_the_seed_decides_every_bit(toy, tmp_path, name):
    digests = []
    for run, seed in enumerate((1, 1, 2)):
        train_judge(name, toy.clips, short(name), seed=seed, output=tmp_path / str(run))
        digests.append(sha256_file(tmp_path / str(run) / "model.safetensors"))
    assert digests[0] == digests[1] != digests[2]


def test_a_cut_run_continues_exactly(toy, tmp_path, monkeypatch):
    settings = judge_settings("classifier", {"loop": {"steps": 6, "batch_size": 4, "save_every_seconds": 0}})
    train_judge("classifier", toy.clips, settings, seed=1, output=tmp_path / "whole")
    drawn = []
    draw = type(toy.clips).draw

    def cut(clips, count, generator):
        drawn.append(count)
        if len(drawn) == 4:
            raise KeyboardInterrupt
        return draw(clips, count, generator)

    monkeypatch.setattr(type(toy.clips), "draw", cut)
    with pytest.raises(KeyboardInterrupt):
        train_judge("classifier", toy.clips, settings, seed=1, output=tmp_path / "cut")
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    train_judge("classifier", toy.clips, settings, seed=1, output=tmp_path / "cut")
    assert len(drawn) == 4 + 3
    same = [sha256_file(tmp_path / run / "model.safetensors") for run in ("whole", "cut")]
    assert same[0] == same[1]
    assert not (tmp_path / "cut" / ".resume").exists()


def test_the_card_says_what_was_trained_on_what(toy):
    card = read_json(toy.judges / "classifier" / "card.json")
    assert card["kind"] == "classifier"
    assert card["labels"] == ["bell", "drum", "whistle"]
    assert card["clips"] == 36
    assert card["mel"]["bins"] == 16
    assert card["weights_sha256"] == sha256_file(toy.judges / "classifier" / "model.safetensors")
    losses = pd.read_parquet(toy.judges / "classifier" / "loss.parquet")
    assert len(losses) == card["settings"]["loop"]["steps"]
    assert losses["loss"].iloc[-5:].mean() < 0.5 * losses["loss"].iloc[:5].mean()


def test_features_without_a_floor_are_refused(toy):
    clips = read_clips([toy.frames], [toy.mel], toy.manifest)
    del clips.mel.encoder["floor"]
    with pytest.raises(InputError, match="names no floor"):
        architecture_of("clap", clips)
