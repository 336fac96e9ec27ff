import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from cafa.common.errors import ClipError, InputError, WeightsError
from cafa.common.files import sha256_file
from cafa.common.ledger import ledger_row, read_ledgers, write_ledger
from cafa.common.resume import VARIABLE, ChangedError
from cafa.features.encode import EncodeSettings, encode_shard
from cafa.features.from_video import video_encoding
from cafa.features.store import FeatureStore
from cafa.media.clip_reading import IngestedClip, black_padded
from cafa.media.frames import read_frames
from cafa.models.encoders.clip import ClipFeatures
from cafa.models.encoders.single_pictures import along_latents
from cafa.models.encoders.synchformer import SynchformerFeatures
from cafa.models.encoders.synchformer_network import SynchformerVisual

TINY = {"width": 8, "depth": 1, "heads": 2, "patch": 56}


@pytest.fixture(scope="module")
def synchformer() -> SynchformerFeatures:
    torch.manual_seed(0)
    network = SynchformerVisual(**TINY)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return SynchformerFeatures(network, "0" * 64, segments_per_pass=3)


@pytest.fixture(scope="module")
def first(synchformer: SynchformerFeatures) -> np.ndarray:
    return synchformer.encode([pictures(0)])


def pictures(seed: int, count: int = 250) -> np.ndarray:
    """Smooth moving pictures, squashed size."""
    t, y, x = np.ogrid[:count, :256, :256]
    wave = 120 + 60 * np.sin(x / 20 + t / 7 + seed) + 60 * np.cos(y / (15 + seed) - t / 5)
    return np.repeat(wave.astype(np.uint8)[..., None], 3, axis=3)


def test_features_have_the_published_geometry(synchformer: SynchformerFeatures, first: np.ndarray):
    frames, features = pictures(0), first
    assert features.shape == (1, 216, 8)
    # segment 26 starts at frame 26 * 9 = 234 and is seen through the middle 224 x 224
    segment = torch.from_numpy(frames[234:250, 16:240, 16:240]).permute(0, 3, 1, 2)[None, None]
    with torch.inference_mode():
        alone = synchformer.network.project(synchformer.network((segment / 255 - 0.5) / 0.5))
    np.testing.assert_allclose(features[0, -8:], alone[0, 0].numpy(), atol=1e-5)
    assert np.abs(features[0, :8] - features[0, 8:16]).max() > 1e-3


def test_features_of_a_clip_do_not_depend_on_its_batch(synchformer: SynchformerFeatures, first: np.ndarray):
    clips = [pictures(1), pictures(0)]
    together = synchformer.encode(clips)
    assert np.array_equal(first[0], together[1])
    assert np.abs(together[0] - together[1]).max() > 1e-3
    several = SynchformerFeatures(synchformer.network, "0" * 64, segments_per_pass=54).encode(clips)
    np.testing.assert_allclose(several, together, atol=1e-5)


def test_half_precision_is_close_and_another_identity(synchformer: SynchformerFeatures, first: np.ndarray):
    half = SynchformerFeatures(synchformer.network, "0" * 64, half=True, segments_per_pass=3)
    found = half.encode([pictures(0)])
    assert found.dtype == np.float32
    difference = np.abs(found - first).max() / np.abs(first).max()
    assert 0 < difference < 0.05
    assert half.encoder != synchformer.encoder


def test_wrong_input_is_refused(synchformer: SynchformerFeatures):
    with pytest.raises(InputError, match=r"expected \(250, 256, 256, 3\)"):
        synchformer.encode([np.zeros((249, 256, 256, 3), np.uint8)])
    with pytest.raises(InputError, match="must divide 27 or be a multiple"):
        SynchformerFeatures(synchformer.network, "", segments_per_pass=8)
    with pytest.raises(InputError, match="251 frames do not fit"):
        black_padded(np.zeros((251, 1, 1, 3), np.uint8), 250)


def card_of(places: dict[str, Path], files: dict[str, Path]) -> dict[str, Any]:
    """What a card says of an encoder's files."""
    settings = {"half": False, "segments_per_pass": 9}
    return {"places": places, "files": {name: sha256_file(path) for name, path in files.items()}, "settings": settings}


def load_synchformer(file: Path) -> SynchformerFeatures:
    return SynchformerFeatures.load(file.parent, card_of({"file": file}, {file.name: file}), "cpu")


def load_clip(folder: Path) -> ClipFeatures:
    files = {name: folder / name for name in ("config.json", "model.safetensors")}
    return ClipFeatures.load(folder, card_of({"source": folder}, files), "cpu")


def test_both_published_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(1)
    tensors = SynchformerVisual(**TINY).state_dict()
    full = SynchformerVisual.from_tensors
    monkeypatch.setattr(SynchformerVisual, "from_tensors", classmethod(lambda cls, t, **sizes: full(t, **TINY)))
    others = {"afeat_extractor.x": torch.zeros(1), "vfeat_extractor.patch_embed.proj.bias": torch.zeros(1)}
    torch.save({"model": {f"module.{k}": v for k, v in (tensors | others).items()}}, tmp_path / "avclip.pt")
    torch.save(tensors | others, tmp_path / "synchformer_state_dict.pth")
    for name in ("avclip.pt", "synchformer_state_dict.pth"):
        digest = sha256_file(tmp_path / name)
        encoder = load_synchformer(tmp_path / name)
        assert encoder.encoder["weights_sha256"] == digest
        found = encoder.network.state_dict()
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[key], value) for key, value in tensors.items())
    (tmp_path / "avclip.pt").rename(tmp_path / "away.pt")
    with pytest.raises(WeightsError, match="run `cafa weights get synchformer`, or name the file you have"):
        SynchformerFeatures.load(tmp_path, card_of({"file": tmp_path / "avclip.pt"}, {}), "cpu")


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(2)
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        projection_dim=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
    )
    folder = tmp_path_factory.mktemp("clip")
    CLIPVisionModelWithProjection(config).save_pretrained(folder)
    return folder


def test_clip_embeddings_are_laid_along_the_latents(clip_folder: Path):
    encoder = load_clip(clip_folder)
    clips = [np.random.default_rng(seed).integers(0, 255, (50, 32, 32, 3), dtype=np.uint8) for seed in range(2)]
    features = encoder.encode(clips)
    assert features.shape == (2, *encoder.shape) == (2, 216, 8)
    assert not features[:, :8].any()
    assert not features[:, -8:].any()
    assert np.abs(features[:, 8:-8]).min(axis=2).max() > 0
    assert np.array_equal(encoder.encode(clips[1:])[0], features[1])
    with pytest.raises(InputError, match="expected"):
        encoder.encode([clips[0][:49]])
    with pytest.raises(WeightsError, match="lacks"):
        ClipFeatures.load(clip_folder, card_of({"source": clip_folder.parent}, {}), "cpu")


def test_interpolation_is_linear_and_keeps_the_centre_of_time():
    ramp = torch.arange(50.0).view(1, 50, 1)
    laid = along_latents(ramp, interpolated=200, latents=216)[0, :, 0]
    inner = laid[8 + 2 : 208 - 2]  # the first and last half frame are held
    torch.testing.assert_close(inner.diff(), torch.full((195,), 0.25), rtol=0, atol=1e-5)
    assert laid[8:208].mean().item() == pytest.approx(24.5, abs=1e-4)
    with pytest.raises(InputError, match="217 interpolated"):
        along_latents(ramp, interpolated=217, latents=216)


def write_mp4(path: Path, frames: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, 25)
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def test_features_of_a_shard_account_for_every_clip(
    synchformer: SynchformerFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clips = tmp_path / "clips"
    clips.mkdir()
    for clip_id, count in (("whole", 250), ("brief", 40)):
        write_mp4(clips / f"{clip_id}.mp4", pictures(3, count)[:, :96, :128])
    manifest = pd.DataFrame({"clip_id": ["whole", "brief", "refused", "gone"]})
    facts = {"whole": 10.0, "brief": 1.6, "gone": 10.0}
    rows = [
        ledger_row(name, "ingest", detail=json.dumps({"seconds": s, "video_sha256": name, "sound_sha256": name}))
        for name, s in facts.items()
    ]
    write_ledger(tmp_path / "ingest.parquet", [*rows, ledger_row("refused", "ingest", "corrupt", "no picture")])

    def statuses(**options: object) -> dict[str, str]:
        settings = EncodeSettings(batch_size=2, workers=0, **options)
        encode_shard(
            [video_encoding(synchformer, clips, settings)],
            manifest,
            tmp_path / "ingest.parquet",
            (0, 1),
            {"av_clip": tmp_path / "out.arrow"},
            tmp_path / "ledger.parquet",
            settings=settings,
        )
        return dict(read_ledgers([tmp_path / "ledger.parquet"])[["clip_id", "status"]].to_numpy())

    lost = {"refused": "missing_feature", "gone": "missing_file"}
    assert statuses() == {"whole": "ok", "brief": "short", **lost}
    with pytest.raises(ChangedError, match=r"settings\.pad_short: false -> true"):
        statuses(pad_short=True)
    monkeypatch.setenv(VARIABLE, "restart")
    assert statuses(pad_short=True) == {"whole": "ok", "brief": "ok", **lost}
    store = FeatureStore([tmp_path / "out.arrow"])
    assert store.clip_ids == ["brief", "whole"]
    assert (store.kind, store.shape, store.encoder) == ("av_clip", (216, 8), synchformer.encoder)
    assert store.settings == {"seconds": 10.0, "pad_short": True}
    padded = synchformer.reader(clips, pad_short=True)(IngestedClip("brief", 1.6, "", ""))
    assert padded.shape == (250, 256, 256, 3)
    assert padded[:40].any(axis=(1, 2, 3)).all()
    assert not padded[40:].any()
    np.testing.assert_allclose(store["brief"], synchformer.encode([padded])[0], atol=2e-3)
    with pytest.raises(ClipError, match="short"):
        synchformer.reader(clips)(IngestedClip("brief", 1.6, "", ""))


def test_clip_is_given_every_fifth_frame(clip_folder: Path, tmp_path: Path):
    encoder = load_clip(clip_folder)
    write_mp4(tmp_path / "c.mp4", pictures(2)[:, :96, :128])
    frames = encoder.reader(tmp_path)(IngestedClip("c", 10.0, "", ""))
    assert np.array_equal(frames, read_frames(tmp_path / "c.mp4", seconds=10, size=(32, 32))[::5])
    brief = encoder.reader(tmp_path, pad_short=True)(IngestedClip("c", 1.0, "", ""))
    assert np.array_equal(brief[:5], frames[:5])
    assert brief.shape == frames.shape
    assert not brief[5:].any()


def test_safetensors_of_the_visual_tower_are_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    full = SynchformerVisual.from_tensors
    monkeypatch.setattr(SynchformerVisual, "from_tensors", classmethod(lambda cls, t, **sizes: full(t, **TINY)))
    save_file(SynchformerVisual(**TINY).state_dict(), tmp_path / "tower.safetensors")
    assert load_synchformer(tmp_path / "tower.safetensors").shape == (216, 8)
