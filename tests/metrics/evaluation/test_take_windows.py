"""Takes that are longer than what judges take are judged over their whole length, in windows that all takes share."""

import doctest
import itertools
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cafa.generation.takes import TakesRecord, choose_takes
from metrics.evaluation import take_windows
from metrics.evaluation.from_files import JudgeChoice
from metrics.evaluation.rank_takes import TakePanel
from metrics.evaluation.take_windows import cut_sounds, windows_over
from metrics.judges.interface import Columns, PreparedAudio
from metrics.judges.media import decode_whole_sound, fill_up, sample_frames
from tests.evaluation_clips import RATE, Identity, write_video

LENGTH = 8.0


class Hearing:
    """Judges that hear: CLAP falls with the loudest sample; sound and picture are apart where their brightness is."""

    kind, seconds, needs_video = "real", LENGTH, True
    reported_classes: Mapping[str, int] = {}

    def __init__(self, judges: Collection[str]) -> None:
        self.judges = {name: Identity("00") for name in judges if name != "classifier"}
        self.seen: list[np.ndarray] = []

    def facts(self, judge: str) -> dict[str, Any]:
        return {"grid": (-0.2, 0.0, 0.2)}

    def decode_video(self, path: Path, start: float = 0.0) -> np.ndarray:
        rate = Fraction(25)
        return sample_frames(path, {rate: round(25 * LENGTH)}, lambda frame: frame[:8, -8:], start)[rate]

    def embed_video(self, frames: np.ndarray) -> Columns:
        self.seen.append(frames)
        return {}

    def prepare_audio(self, path: Path, judges: Collection[str]) -> PreparedAudio:
        samples, rate = decode_whole_sound(path)
        return PreparedAudio({"sound": fill_up(samples, rate, LENGTH)[:, : round(LENGTH * rate)]}, rate)

    def embed_audio(
        self, sounds: Sequence[PreparedAudio], video: Sequence[Columns], judges: Collection[str]
    ) -> dict[str, Columns]:
        cosine = 1 - np.abs(sounds[0].arrays["sound"]).max()
        offsets = np.eye(3)[[1]]
        columns = {
            "clap": {"embedding": np.array([[cosine, np.sqrt(1 - cosine**2)]])},
            "synchformer": {"logits_first": offsets, "logits_last": offsets},
        }
        return {judge: columns[judge] for judge in judges}

    def embed_text(self, captions: Sequence[str], judge: str = "clap") -> np.ndarray:
        return np.array([[1.0, 0.0]] * len(captions))


@pytest.fixture
def panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hearing:
    hearing = Hearing(("clap", "synchformer"))
    monkeypatch.setattr(JudgeChoice, "open", lambda choice, needed: hearing)
    monkeypatch.setattr("metrics.judges.published_files.find_weights", lambda folder, sources, judges: {})
    return hearing


def takes(seconds: float, loudness: float, fault_at: float | None = None) -> np.ndarray:
    """A quiet noise, (1, samples); with a loud click at a second."""
    noise = np.random.default_rng(0).uniform(-1, 1, round(seconds * RATE)).astype(np.float32)
    sound = loudness * noise
    if fault_at is not None:
        sound[round(fault_at * RATE) : round(fault_at * RATE) + 200] = 0.9
    return sound[None]


@pytest.mark.parametrize(("seconds", "windows"), [(20.0, 3), (16.0, 2)])
def test_a_fault_after_the_first_window_changes_the_choice(
    panel: Hearing, tmp_path: Path, seconds: float, windows: int
) -> None:
    picture, said = write_video(tmp_path / "v.mp4", 1, seconds, sound=False), []
    # Of the first 8 s the take with the fault is the better one.
    sounds = {3: (takes(seconds, 0.1, fault_at=12), RATE), 4: (takes(seconds, 0.2), RATE)}
    judges = TakePanel("real", tmp_path)
    chosen = choose_takes(sounds, 1, judges, picture, "a dog barks", miniature=False, say=said.append)
    assert chosen.seeds == (4,)
    assert chosen.windows == chosen.facts(4, 2)["windows"] == windows
    assert all(f"; mean of {windows} windows), " in line for line in said)
    assert len(said) == 2
    assert chosen.scores[4]["CLAP"] == pytest.approx(0.8, abs=1e-3)
    # Of 20 s the click is in the second window and in the third, which begins at 12 s; of 16 s in the second alone.
    share = sum(window.weight for window in windows_over(seconds, LENGTH) if window.start <= 12 < window.start + LENGTH)
    assert chosen.scores[3]["CLAP"] == pytest.approx(0.9 - share * 0.8, abs=1e-3)
    record = TakesRecord(tmp_path)
    record.add({"prompt": "dog"}, chosen)
    assert f'"windows": {windows}' in (tmp_path / "takes.json").read_text()


def test_sounds_no_longer_than_a_window_are_judged_as_before(panel: Hearing, tmp_path: Path) -> None:
    for seconds in (LENGTH, LENGTH + 0.03):
        picture, said = write_video(tmp_path / "v.mp4", 1, seconds, sound=False), []
        sounds = {3: (takes(seconds, 0.1, fault_at=6), RATE), 4: (takes(seconds, 0.2), RATE)}
        judges = TakePanel("real", tmp_path)
        chosen = choose_takes(sounds, 1, judges, picture, "a dog barks", miniature=False, say=said.append)
        assert (chosen.seeds, chosen.windows) == ((4,), 1)
        assert chosen.scores[3]["CLAP"] == pytest.approx(0.1, abs=1e-3)
        assert not any("windows" in line for line in said)


def test_each_window_is_judged_with_its_own_picture(panel: Hearing, tmp_path: Path) -> None:
    picture = write_video(tmp_path / "v.mp4", 1, 20, sound=False)
    sounds = {k: (takes(20, 0.1 + 0.1 * k), RATE) for k in range(2)}
    choose_takes(sounds, 1, TakePanel("real", tmp_path), picture, "a dog", miniature=False, say=lambda line: None)
    whole = sample_frames(picture, {Fraction(25): 500}, lambda frame: frame[:8, -8:])[Fraction(25)]
    assert len(panel.seen) == 3, "once for each window, whatever the number of takes"
    for seen, first in zip(panel.seen, (0, 200, 300), strict=True):
        np.testing.assert_array_equal(seen, whole[first : first + 200])


def test_windows_cover_every_second_and_every_second_counts_alike(tmp_path: Path) -> None:
    assert doctest.testmod(take_windows).failed == 0
    for seconds in (8.2, 15.9, 16.03, 16.1, 61.0, 119.99):
        windows = windows_over(seconds, LENGTH)
        assert windows[0].start == 0
        assert windows[-1].start == pytest.approx(seconds - LENGTH)
        assert sum(window.weight for window in windows) == pytest.approx(1)
        gaps = [after.start - before.start - LENGTH for before, after in itertools.pairwise(windows)]
        assert max(gaps) < 0.04
        assert len(windows) == np.ceil((seconds - 0.04) / LENGTH)
    path = tmp_path / "a.wav"
    soundfile.write(path, np.arange(20000, dtype=np.int16), 1000, subtype="PCM_16")
    (tmp_path / "cut").mkdir()
    (cut,) = cut_sounds([path], 12.0, LENGTH, tmp_path / "cut")
    np.testing.assert_array_equal(soundfile.read(cut, dtype="int16")[0], np.arange(12000, 20000))
