"""The miniature's CLIP from files: trained, the same every time, and its features of the clips."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from cafa.cli import cli
from cafa.common.errors import InputError, MissingClipError
from cafa.common.files import read_json
from cafa.data.manifest import build_manifest, read_manifest
from cafa.features.store import FeatureStore, write_features
from cafa.features.text import write_text_features
from cafa.models.encoders.miniature_clip import CLIPEncoder, CLIPSettings
from cafa.models.encoders.miniature_text import TextSettings
from cafa.models.folders import load_model
from cafa.training.clip import CLIPTraining, train_clip
from cafa.training.generator import TrainingRun
from tests.cafa.training.tiny import loop

TEXT = TextSettings(dim=8, words=6)
SETTINGS = CLIPTraining(loop=loop(4, batch_size=2), model=CLIPSettings(dim=6, channels=(2, 2, 2), text_dim=8))
CLIPS = [f"clip{number}" for number in range(5)]


def write_frames(path: Path, seeds: dict[str, int]) -> FeatureStore:
    arrays = (
        (clip, np.random.default_rng(seed).integers(0, 256, (15, 32, 32, 3), dtype=np.uint8))
        for clip, seed in seeds.items()
    )
    sources = dict.fromkeys(seeds, "a" * 64)
    encoder = {"name": "frames"}
    write_features(path, arrays, kind="frames", shape=(15, 32, 32, 3), dtype="uint8", encoder=encoder, sources=sources)
    return FeatureStore([path])


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A manifest of five clips, the last held out, with their frames and text states."""
    rows = [f"{clip},{clip}.mp4,dog,sound number {k},{'train' if k < 4 else 'test'}\n" for k, clip in enumerate(CLIPS)]
    (tmp_path / "clips.csv").write_text("clip_id,uri,label,caption,split\n" + "".join(rows))
    build_manifest(tmp_path / "clips.csv", tmp_path, tmp_path / "m.parquet", tmp_path / "refused.parquet")
    write_frames(tmp_path / "frames.arrow", dict(zip(CLIPS, range(5), strict=True)))
    write_text_features(tmp_path / "text.arrow", [f"sound number {k}" for k in range(5)], TEXT)
    return tmp_path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(folder, "clip")[0]


def train(files: Path, name: str, frames: FeatureStore | None = None, rows: pd.DataFrame | None = None) -> Path:
    manifest = read_manifest(files / "m.parquet") if rows is None else rows
    given, text = frames or FeatureStore([files / "frames.arrow"]), FeatureStore([files / "text.arrow"])
    train_clip(SETTINGS, manifest, given, text, TrainingRun(1, files / name))
    return files / name


def test_only_the_split_decides_and_always_the_same(files: Path) -> None:
    first = weights(train(files, "first"))
    again = weights(train(files, "again"))
    held_out = write_frames(files / "other.arrow", {**dict(zip(CLIPS, range(5), strict=True)), "clip4": 99})
    without = weights(train(files, "without", held_out))
    seen = write_frames(files / "seen.arrow", {**dict(zip(CLIPS, range(5), strict=True)), "clip0": 99})
    other = weights(train(files, "other", seen))
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name])
        assert torch.equal(tensor, without[name])
    assert not torch.equal(first["pictures.space.0.weight"], other["pictures.space.0.weight"])
    card = read_json(files / "first" / "card.json")
    assert card["clips"] == 4
    assert set(card["inputs"]) == {"frames", "text"}
    losses = pd.read_parquet(files / "first" / "loss.parquet")
    assert len(losses) == 4


def test_commands_train_it_and_cache_its_features(files: Path) -> None:
    def run(*words: str) -> None:
        done = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output

    frames, output = str(files / "frames.arrow"), str(files / "clip.arrow")
    given = ["--frames", frames, "--text", str(files / "text.arrow"), "--manifest", str(files / "m.parquet")]
    settings = ["--settings", SETTINGS.model_dump_json(), "--seed", "1", "--output", str(files / "model")]
    run("train", "clip", *given, *settings)
    run("features", "clip", "--frames", frames, "--model", str(files / "model"), "--output", output)
    store, encoder = FeatureStore([output]), CLIPEncoder(files / "model")
    assert (store.kind, store.shape, store.dtype) == ("clip", (15, 6), np.float16)
    assert store.clip_ids == CLIPS
    assert store.encoder == encoder.encoder
    assert set(store.sources().values()) == {"a" * 64}
    for clip, pictures in FeatureStore([frames]):
        np.testing.assert_array_equal(store[clip], encoder.encode(pictures).astype(np.float16))


def test_what_it_cannot_be_trained_on_is_refused(files: Path) -> None:
    rows = read_manifest(files / "m.parquet")
    with pytest.raises(MissingClipError, match="1 captions have no text states, for example 'a dog'"):
        train(files, "untold", rows=rows.assign(caption=["a dog", *rows["caption"][1:]]))
    wide = CLIPTraining(loop=loop(), model=CLIPSettings(text_dim=48))
    text = FeatureStore([files / "text.arrow"])
    with pytest.raises(InputError, match="text states have width 8, text_dim of the settings is 48"):
        train_clip(wide, rows, FeatureStore([files / "frames.arrow"]), text, TrainingRun(1, files / "wide"))
