"""A judge on a device computes there: from its first operation to the copy of its result nothing of the host comes in.

The device is torch's ``meta``, which has no values (:mod:`tests.accelerator`): an operation on tensors of two devices
raises RuntimeError, and only a copy from the device NotImplementedError.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from cafa.models.weights import read_weight_sources
from metrics.judges.kinds import JUDGES
from metrics.judges.published import RealJudges
from metrics.judges.published_files import find_weights, open_judges
from metrics.judges.published_judge import Columns, PublishedJudge
from tests.accelerator import META, without_autocast
from tests.evaluation_clips import write_video
from tests.later_judges import write_later_weights
from tests.metrics.judges.test_later_judges import SIZES as LATER
from tests.tiny_judges import SIZES, write_weights

SECONDS = 5.0


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of all judges, by their names in the table of weights."""
    folder = tmp_path_factory.mktemp("weights")
    write_later_weights(folder, LATER)
    write_weights(folder)
    return find_weights(folder, read_weight_sources(), list(JUDGES))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "a.mp4", 1, SECONDS)


def panel(weights: dict[str, Path], judge: str) -> RealJudges:
    sources = {
        name: type(row)(row.name, row.url, None, "", "", path=row.path) for name, row in read_weight_sources().items()
    }
    return RealJudges(open_judges(weights, sources, [judge], unverified=True, sizes={**LATER, **SIZES}), SECONDS)


def to_device(judge: PublishedJudge) -> None:
    """Networks are moved once they are open: opening some of them tries them on a few captions."""
    parts = [value for part in vars(judge).values() for value in (part, *getattr(part, "__dict__", {}).values())]
    networks = [part for part in parts if isinstance(part, nn.Module)]
    assert networks
    for network in networks:
        network.to(META)


def stays_there(work: Callable[[], Any]) -> None:
    """Nothing but the copy of the result to the host needs a value of the device."""
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor") as error:
        work()
    ours = [frame for frame in error.traceback if "/torch/" not in str(frame.path)]
    assert ".cpu()" in str(ours[-1].statement)


@pytest.mark.parametrize("judge", sorted(set(JUDGES) - {"levels"}))  # which has no network
def test_a_judge_computes_on_its_device(
    weights: dict[str, Path], clip: Path, monkeypatch: pytest.MonkeyPatch, judge: str
) -> None:
    without_autocast(monkeypatch)
    judges = panel(weights, judge)
    heard, frames, seen = judges.prepare_audio(clip, [judge]), {}, Columns()
    if judges.needs_video:
        frames = judges.decode_video(clip)
        seen = judges.embed_video(frames)
    to_device(judges.judges[judge])
    if judges.needs_video:
        stays_there(lambda: judges.embed_video(frames))
    stays_there(lambda: judges.embed_audio([heard, heard], [seen, seen], [judge]))
    if "text" in JUDGES[judge].parts and judge != "clap":  # transformers asks whether its mask is of use
        stays_there(lambda: judges.embed_text(["a dog barks"], judge))
