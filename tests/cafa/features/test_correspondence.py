"""The filter by correspondence: scores, kept clips, a row for every clip."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cafa.common.errors import MissingClipError
from cafa.common.ledger import read_ledgers
from cafa.data.correspondence_scores import read_scores
from cafa.data.manifest import build_manifest, read_manifest
from cafa.features.correspondence import CorrespondenceSettings, filter_clips
from cafa.features.store import FeatureStore, write_features
from cafa.models.encoders.miniature_av_clip import KIND, AVClip, AVClipSettings
from cafa.models.folders import save_model

CLIPS = ("a", "b", "c", "d")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Manifest of four clips, features of three of them, and an untrained AV-CLIP."""
    (tmp_path / "clips.csv").write_text("clip_id,uri,label\n" + "".join(f"{c},{c}.mp4,dog\n" for c in CLIPS))
    build_manifest(tmp_path / "clips.csv", tmp_path, tmp_path / "m.parquet", tmp_path / "refused.parquet")
    rng = np.random.default_rng(0)
    made = {"frames": ((16, 32, 32, 3), "uint8"), "mel": ((32, 64), "float16")}
    for kind, (shape, dtype) in made.items():
        arrays = [(clip_id, rng.integers(0, 5, shape).astype(dtype)) for clip_id in CLIPS[:3]]
        sources = dict.fromkeys(CLIPS[:3])
        encoder = {"name": kind}
        output = tmp_path / f"{kind}.arrow"
        write_features(output, arrays, kind=kind, shape=shape, dtype=dtype, encoder=encoder, sources=sources)
    torch.manual_seed(0)
    inputs = {kind: FeatureStore([tmp_path / f"{kind}.arrow"]).encoder_digest for kind in made}
    card = {"kind": KIND, "settings": AVClipSettings().model_dump(mode="json"), "inputs": inputs}
    save_model(tmp_path / "model", AVClip(AVClipSettings()).state_dict(), card)
    return {name: tmp_path / name for name in ("m.parquet", "frames.arrow", "mel.arrow", "model")}


def filter_at(files: dict[str, Path], least: float, folder: Path) -> str:
    """Run the filter with a threshold."""
    manifest, frames, mel, model = files.values()
    written = {name: folder / f"{name}.parquet" for name in ("output", "scores", "ledger")}
    return filter_clips(manifest, [frames], [mel], model, CorrespondenceSettings(at_least=least), **written)


def test_every_clip_is_kept_or_has_a_reason(files: dict[str, Path], tmp_path: Path) -> None:
    filter_at(files, -1.0, tmp_path)
    scores = read_scores(tmp_path / "scores.parquet").set_index("clip_id")["correspondence"]
    best = scores.idxmax()
    assert filter_at(files, float(scores.max()), tmp_path).startswith("1 of 4 clips")
    assert read_manifest(tmp_path / "output.parquet")["clip_id"].tolist() == [best]
    ledger = read_ledgers([tmp_path / "ledger.parquet"]).set_index("clip_id")
    expected = {c: "ok" if c == best else "low_correspondence" for c in CLIPS[:3]} | {"d": "missing_feature"}
    assert ledger["status"].to_dict() == expected
    low = next(c for c in CLIPS[:3] if c != best)
    assert f"{scores[low]:.3f}" in ledger.loc[low, "detail"]


def test_a_threshold_that_keeps_nothing_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(MissingClipError, match="lower `at_least`"):
        filter_at(files, 1.0, tmp_path)
    assert not (tmp_path / "output.parquet").exists()
