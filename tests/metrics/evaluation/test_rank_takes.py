"""Takes are ranked by the values that `cafa evaluate` finds; and what is said where a judge is missing."""

import doctest
import inspect
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cafa.cli import cli
from cafa.common.errors import ClipError, InputError
from cafa.common.judged_takes import NoJudgesError, Takes
from metrics.evaluation import rank_takes
from metrics.evaluation.from_files import JudgeChoice
from metrics.evaluation.rank_takes import TakePanel
from metrics.judges.interface import Columns, PreparedAudio

SOUNDS = (Path("0.wav"), Path("1.wav"), Path("2.wav"))
#: cosine with the prompt, place on the grid of offsets, logit of speech
FOUND = {"0.wav": (0.6, 1, -9.0), "1.wav": (0.9, 1, -9.0), "2.wav": (0.95, 1, 9.0)}


class Known:
    """A panel that finds what is written down."""

    kind, seconds, needs_video = "real", 8.0, True

    def __init__(self, judges: Collection[str]) -> None:
        identity = type("Identity", (), {"weights_sha256": "00"})()
        self.reported_classes = {"Speech": 0}
        self.judges = dict.fromkeys(judges, identity)

    def facts(self, judge: str) -> dict[str, Any]:
        return {"grid": (-0.2, 0.0, 0.2)}

    def decode_video(self, path: Path, start: float = 0.0) -> Any:
        return path

    def embed_video(self, frames: Any) -> Columns:
        return {}

    def prepare_audio(self, path: Path, judges: Collection[str]) -> PreparedAudio:
        if path.name not in FOUND:
            raise ClipError("short", "1 s of sound, 8 s are scored")
        return PreparedAudio({"name": np.array(path.name)}, 44100)

    def embed_audio(
        self, sounds: Sequence[PreparedAudio], video: Sequence[Columns], judges: Collection[str]
    ) -> dict[str, Columns]:
        cosine, place, speech = FOUND[str(sounds[0].arrays["name"])]
        offsets = np.eye(3)[[place]]
        columns = {
            "clap": {"embedding": np.array([[cosine, np.sqrt(1 - cosine**2)]])},
            "synchformer": {"logits_first": offsets, "logits_last": offsets},
            "classifier": {"logits": np.array([[speech]])},
        }
        return {judge: columns[judge] for judge in judges}

    def embed_text(self, captions: Sequence[str], judge: str = "clap") -> np.ndarray:
        return np.array([[1.0, 0.0]] * len(captions))


def takes(prompt: str = "a dog barks", seconds: float = 8.0, miniature: bool = False) -> Takes:
    return Takes(Path("v.mp4"), prompt, SOUNDS, seconds, miniature)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where the files of all judges seem to be, and judges that are not loaded from it."""

    def opened(choice: JudgeChoice, needed: frozenset[str]) -> Known:
        if choice.seconds is not None and choice.seconds < 5 and "synchformer" in needed:
            raise InputError("DeSync needs at least 5 s")
        return Known(needed)

    monkeypatch.setattr(JudgeChoice, "open", opened)
    monkeypatch.setattr("metrics.judges.published_files.find_weights", lambda folder, sources, judges: {})
    return tmp_path


def test_examples() -> None:
    assert doctest.testmod(rank_takes).failed == 0


def test_unasked_speech_counts_and_asked_speech_does_not(weights: Path) -> None:
    panel = TakePanel("real", weights)
    unasked = panel(takes())
    assert max(range(3), key=lambda k: unasked.scores[k].total) == 1
    assert unasked.scores[2].values["CLAP"] == pytest.approx(0.95)
    assert unasked.scores[2].total == pytest.approx(0.95 - 0.5, abs=1e-3)
    assert (unasked.notes, unasked.windows) == ((), 1)
    assert unasked.judges == {"clap": "00", "synchformer": "00", "classifier": "00"}
    asked = panel(takes("a man is talking"))
    assert max(range(3), key=lambda k: asked.scores[k].total) == 2


def test_sounds_too_short_for_synchronisation_are_judged_without_it(weights: Path) -> None:
    found = TakePanel("real", weights)(takes(seconds=3.0))
    assert set(found.scores[0].values) == {"CLAP", "Speech"}
    assert any("DeSync is not judged: DeSync needs at least 5 s" in note for note in found.notes)


def test_where_nobody_can_judge_the_reason_is_said(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(NoJudgesError, match="no judge is wanted"):
        TakePanel("none")(takes())
    strange = Takes(Path("v.mp4"), "dog", (Path("x.wav"),), 8.0, False)
    with pytest.raises(NoJudgesError, match="the judges cannot judge them: 1 s of sound"):
        TakePanel("real", weights)(strange)


def test_missing_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoJudgesError, match=r"no judge's weights are in .*cafa weights get --for evaluate"):
        TakePanel("auto", tmp_path)(takes())
    with pytest.raises(NoJudgesError, match="no verdict on the judges"):
        TakePanel("auto")(takes(miniature=True))


def test_judges_of_the_miniature_lie_beside_the_models_that_made_the_sounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoJudgesError, match=r"no verdict on the judges at second/judges\.json"):
        TakePanel("auto", models=Path("second/models"))(takes(miniature=True))


@pytest.mark.parametrize("words", [["generate", "film.mp4", "--prompt", "a dog"], ["serve"], ["demo"]])
def test_commands_say_which_models_make_the_sounds(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Seen(Exception):
        """What a command gave."""

    def seen(*values: Any, **named: Any) -> None:
        raise Seen(inspect.signature(TakePanel).bind(*values, **named).arguments.get("models"))

    monkeypatch.setattr("metrics.evaluation.rank_takes.TakePanel", seen)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "film.mp4").touch()
    (tmp_path / "second/models").mkdir(parents=True)
    result = CliRunner().invoke(cli, [*words, "--models", "second/models"])
    assert isinstance(result.exception, Seen), result.output
    assert result.exception.args == (Path("second/models"),)
