"""The demonstration of `tests.scale.damaged`, short: 60 clips of which 15 are damaged, two kills."""

from pathlib import Path

from tests.scale.damage import WAYS
from tests.scale.damaged import run_all


def test_damaged_clips_and_kills(shared: Path, tmp_path: Path) -> None:
    figures = run_all(
        tmp_path, shared, clips=60, small=None, kills=2, workers=1, kinds={"media"}, every=4, sources_wanted=3
    )
    reasons = figures["whole"]["reasons"]
    assert sum(reasons.values()) == 60
    assert reasons["ok"] == 45
    assert set(reasons) == {"ok", *(way.reason for way in WAYS.values())}
    assert figures["files_compared"] == 45 * 2 + 2
