import shutil
from pathlib import Path

import pandas as pd
import pytest

from metrics.evaluation.evaluate import evaluate
from metrics.evaluation.pairs import read_pairs
from tests.evaluation_clips import QuickPanel, write_wav
from tests.metrics.evaluation.evaluation_pairs import settings

NAMES = [f"clip{number:02}" for number in range(12)]


@pytest.fixture(scope="session")
def _evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluated")
    for number, name in enumerate(NAMES):
        write_wav(root / "reference" / f"{name}.wav", number, 0.5)
        write_wav(root / "ours" / f"{name}.wav", 100 + number, 0.5)
        write_wav(root / "their_s" / f"{name}.wav", 200 + number, 0.5)
    (root / "their_s" / "clip07.wav").write_bytes(b"no sound")
    captions = [f"sound {number}" for number in range(11)] + ["</script><img src=x onerror=document.title='bad'>"]
    columns = {
        "own_caption": [f"own {n}" for n in NAMES],
        "label": ["dog", "<b>rain</b>"] * 6,
        "own_label": ["cat"] * 12,
    }
    pd.DataFrame({"clip_id": NAMES, "caption": captions, **columns}).to_csv(root / "prompts.csv", index=False)
    folders = {name: root / name for name in ("ours", "their_s")}
    pairs = read_pairs(root / "prompts.csv", root / "reference", folders)
    chosen = settings("FAD", "KL", "CLAP", controls=True, max_loss=0.2)
    evaluate(pairs, QuickPanel(("classifier", "clap")), chosen, root / "out", {"list_sha256": "a" * 64})
    shutil.rmtree(root / "out" / "cache")
    return root


@pytest.fixture
def evaluated(_evaluated: Path, tmp_path: Path) -> Path:
    """Output of an evaluation of two systems on twelve clips, one sound of which is broken; to be changed at will."""
    shutil.copytree(_evaluated / "out", tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def sounds(_evaluated: Path) -> Path:
    """What was evaluated: prompts.csv, reference, ours, their_s."""
    return _evaluated
