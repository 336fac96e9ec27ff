"""Embeddings that evaluations share: made once, verified, never wrong, and safe under two processes and a kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest

from cafa.common.errors import InputError
from metrics.embedding.store import EmbeddingStore
from metrics.embedding.store_files import prune_store, show_store
from metrics.evaluation.evaluate import evaluate
from metrics.evaluation.pairs import Pairs
from metrics.judges.interface import PreparedAudio
from tests.evaluation_clips import QuickPanel
from tests.metrics.evaluation.evaluation_pairs import find, make_pairs, settings

ROOT = Path(__file__).resolve().parents[3]
NAMES = [f"clip{number}" for number in range(6)]
TABLES = ("table.csv", "table.md", "table.card.json", "clips.parquet", "embeddings/reference_set/classifier.parquet")
RUN = """
import os, signal, sys
from pathlib import Path
from metrics.evaluation.evaluate import evaluate
from tests.evaluation_clips import QuickPanel
from tests.metrics.evaluation.evaluation_pairs import NAMES, find, settings

folder, output, store, kill_after = sys.argv[1:]

class Panel(QuickPanel):
    def embed_audio(self, *given):
        self.embedded = getattr(self, "embedded", 0) + 1
        if self.embedded == int(kill_after):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed_audio(*given)

names = sorted(path.stem for path in (Path(folder) / "ours").iterdir())
panel = Panel()
evaluate(find(Path(folder), names), panel, settings(), Path(output), {}, Path(store))
print(panel.opened)
"""


class Asked(QuickPanel):
    """Notes what it is asked to decode."""

    def __init__(self, judges: Collection[str] = ("classifier",)) -> None:
        super().__init__(judges)
        self.sounds: list[tuple[str, tuple[str, ...]]] = []
        self.pictures: list[str] = []

    def prepare_audio(self, path: Path, judges: Collection[str]) -> PreparedAudio:
        self.sounds.append((path.parent.name, tuple(judges)))
        return super().prepare_audio(path, judges)

    def decode_video(self, path: Path, start: float = 0.0) -> np.ndarray:
        self.pictures.append(path.stem)
        return super().decode_video(path, start)


def with_pictures(folder: Path) -> Pairs:
    make_pairs(folder, NAMES)
    for number, name in enumerate(NAMES):
        (folder / "reference" / f"{name}.mp4").write_bytes(bytes(range(number, number + 80)))
    return find(folder, NAMES)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_second_run_decodes_no_reference_and_gets_the_same_bytes(tmp_path: Path, batch_size: int) -> None:
    pairs, chosen = with_pictures(tmp_path), settings("FAD", "KL", "IB", "CLAP", batch_size=batch_size)
    judges, store = ("classifier", "clap", "imagebind"), tmp_path / "store"
    evaluate(pairs, QuickPanel(judges), chosen, tmp_path / "alone", {})
    first, second = Asked(judges), Asked(judges)
    evaluate(pairs, first, chosen, tmp_path / "first", {}, store)
    evaluate(pairs, second, chosen, tmp_path / "second", {}, store)
    assert (len(first.sounds), len(first.pictures)) == (12, 6)
    assert [system for system, _ in second.sounds] == ["ours"] * 6
    assert second.pictures == []
    for name in (*TABLES, "embeddings/text.parquet", "embeddings/reference_set/imagebind.parquet"):
        alone = (tmp_path / "alone" / name).read_bytes()
        assert (tmp_path / "first" / name).read_bytes() == alone
        assert (tmp_path / "second" / name).read_bytes() == alone


def test_a_judge_that_is_added_is_the_only_one_that_embeds_the_reference(tmp_path: Path) -> None:
    pairs, store = make_pairs(tmp_path, NAMES), tmp_path / "store"
    first, panel = Asked(["classifier"]), Asked(["classifier", "clap"])
    first.judges["classifier"] = panel.judges["classifier"]
    first.check["judges"]["classifier"] = panel.check["judges"]["classifier"]
    evaluate(pairs, first, settings(), tmp_path / "one", {}, store)
    evaluate(pairs, panel, settings("FAD", "FAD_CLAP"), tmp_path / "two", {}, store)
    assert {judges for system, judges in panel.sounds if system == "reference"} == {("clap",)}


@pytest.mark.parametrize("changed", ["bytes", "weights", "length"])
def test_what_is_stored_is_of_these_bytes_weights_and_lengths_alone(tmp_path: Path, changed: str) -> None:
    pairs, store = make_pairs(tmp_path, NAMES), tmp_path / "store"
    evaluate(pairs, QuickPanel(), settings(), tmp_path / "one", {}, store)
    panel = Asked()
    if changed == "weights":
        panel.judges["classifier"] = type(panel.judges["classifier"])("f" * 64)
        panel.check["judges"]["classifier"]["weights_sha256"] = "f" * 64
    elif changed == "length":
        panel.seconds = panel.settings["seconds"] = panel.audio_protocol["seconds"] = 0.4
    else:
        (tmp_path / "reference/clip0.wav").write_bytes((tmp_path / "ours/clip0.wav").read_bytes())
    evaluate(pairs, panel, settings(), tmp_path / "two", {}, store)
    assert sum(system == "reference" for system, _ in panel.sounds) == (1 if changed == "bytes" else 6)


@pytest.mark.parametrize("damage", [b"", b"\0" * 100, None])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: bytes | None) -> None:
    pairs, store = make_pairs(tmp_path, NAMES), EmbeddingStore(tmp_path / "store")
    evaluate(pairs, QuickPanel(), settings(), tmp_path / "one", {}, store.folder)
    entry = next(iter(store.entries()))
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if damage is None else damage)
    panel = Asked()
    with pytest.warns(UserWarning, match="is damaged and is made again"):
        evaluate(pairs, panel, settings(), tmp_path / "two", {}, store.folder)
    assert sum(system == "reference" for system, _ in panel.sounds) == 1
    assert entry.read_bytes() == whole
    assert (tmp_path / "one/table.csv").read_bytes() == (tmp_path / "two/table.csv").read_bytes()


def start(folder: Path, name: str, kill_after: int) -> subprocess.Popen[str]:
    words = [str(folder), str(folder / name), str(folder / "store"), str(kill_after)]
    script = RUN.replace("NAMES, ", "")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", script, *words], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )


def test_two_processes_share_it_and_one_that_was_killed_goes_on_to_equal_tables(tmp_path: Path) -> None:
    evaluate(make_pairs(tmp_path, NAMES), QuickPanel(), settings(), tmp_path / "whole", {})
    killed, other = start(tmp_path, "killed", 4), start(tmp_path, "other", 0)
    assert killed.wait(120) == -signal.SIGKILL
    assert other.wait(120) == 0
    assert not (tmp_path / "killed/table.csv").exists()
    again = start(tmp_path, "killed", 0)
    out, _ = again.communicate(timeout=120)
    assert again.returncode == 0
    # The system's six sounds, without those among its three that it had made: the reference's were stored by either.
    assert 3 <= int(out) <= 6
    for name in TABLES:
        for run in ("other", "killed"):
            assert (tmp_path / run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), (run, name)
    assert not list((tmp_path / "store").rglob("*.part"))


def test_what_was_not_used_is_removed_first(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    keys = [{"kind": "sound", "source": str(number)} for number in range(4)]
    for age, key in enumerate(keys):
        store.put(key, {"x": np.ones(100, np.float32)}, {})
        path = max(store.entries(), key=lambda entry: entry.stat().st_mtime)
        os.utime(path, (time.time() - 86400 * age,) * 2)
    stale = tmp_path / "sound/00/.x.part"
    stale.parent.mkdir(exist_ok=True)
    stale.write_bytes(b"x")
    os.utime(stale, (0, 0))
    assert store.get(keys[3]) is not None  # reading counts as use
    assert prune_store(tmp_path, days=1.5).startswith("1 entries removed")
    assert [store.get(key) is not None for key in keys] == [True, True, False, True]
    assert not stale.exists()
    assert "all                3 entries" in show_store(tmp_path)
    assert prune_store(tmp_path, gigabytes=0).startswith("3 entries removed")
    with pytest.raises(InputError, match="say what may go"):
        prune_store(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        show_store(tmp_path / "none")
