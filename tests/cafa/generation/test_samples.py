import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from cafa.common.errors import ClipError, FolderInUseError, InputError
from cafa.common.resume import VARIABLE, ChangedError
from cafa.generation.samples import make_samples
from cafa.generation.samples_system import SamplesSystem
from cafa.generation.sound_sources import PublishedSounds, ReferenceSounds, other_clips
from cafa.generation.sources import PromptRow
from tests.two_runs import another_writer

RATE = 8000


class Tones:
    """A source whose sound tells its row; some rows have none; may be cut after some batches."""

    sample_rate = RATE

    def __init__(self, cut_after: int | None = None) -> None:
        self.batches: list[list[str]] = []
        self.cut_after = cut_after

    def sounds(self, rows: Sequence[PromptRow]) -> list[np.ndarray | ClipError]:
        if self.cut_after is not None and len(self.batches) == self.cut_after:
            raise KeyboardInterrupt
        self.batches.append([row.clip_id for row in rows])
        return [
            ClipError("missing_feature", "none") if row.clip_id == "clip4" else np.full(80, int(row.clip_id[4:]) / 100)
            for row in rows
        ]


def rows(count: int = 10) -> list[PromptRow]:
    return [PromptRow(f"clip{i}", "own", "a sound", "sound", "matched") for i in range(count)]


def make(folder: Path, source, *, shard=(0, 1), key="k", batch_size=3, which=None, alongside=False) -> pd.DataFrame:
    index = folder / f"{shard[0]}.parquet"
    make_samples(
        which or rows(),
        source,
        label="test",
        seed=1,
        batch_size=batch_size,
        shard=shard,
        folder=folder / str(shard[0]),
        index=index,
        key={"key": key},
        alongside=alongside,
    )
    return pd.read_parquet(index)


def test_every_row_ends_in_the_index_as_ok_or_with_its_reason(tmp_path):
    index = make(tmp_path, Tones())
    assert index["clip_id"].tolist() == [f"clip{i}" for i in range(10)]
    assert index["status"].value_counts().to_dict() == {"ok": 9, "missing_feature": 1}
    data, rate = soundfile.read(tmp_path / "0" / index["file"][7])
    assert rate == RATE
    assert data == pytest.approx(0.07, abs=1e-4)


def test_batches_and_samples_are_the_same_for_any_number_of_shards(tmp_path):
    whole = make(tmp_path / "one", Tones())
    sources = [Tones() for _ in range(3)]
    parts = [make(tmp_path / "three", source, shard=(k, 3)) for k, source in enumerate(sources)]
    one = Tones()
    make(tmp_path / "again", one)
    assert sorted(b for s in sources for b in s.batches) == sorted(one.batches)
    joined = pd.concat(parts).sort_values("clip_id").reset_index(drop=True)
    assert joined.equals(whole)


def test_an_interrupted_shard_continues_after_its_last_batch(tmp_path):
    whole = make(tmp_path / "whole", Tones())
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "cut", Tones(cut_after=2))
    again = Tones()
    resumed = make(tmp_path / "cut", again)
    assert len(again.batches) == 2
    assert resumed.equals(whole)


def test_a_damaged_sample_and_a_journal_of_another_key_are_not_trusted(tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, Tones(cut_after=3))
    next((tmp_path / "0").glob("clip0--*.flac")).write_bytes(b"cut short")
    again = Tones()
    make(tmp_path, again)
    assert again.batches[0] == ["clip0", "clip1", "clip2"]
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "other", Tones(cut_after=3), key="old")
    fresh = Tones()
    with pytest.raises(ChangedError, match='key: "old" -> "new"'):
        make(tmp_path / "other", fresh, key="new")
    monkeypatch.setenv(VARIABLE, "restart")
    make(tmp_path / "other", fresh, key="new")
    assert len(fresh.batches) == 4


def test_files_of_rows_no_longer_asked_for_are_removed(tmp_path):
    make(tmp_path, Tones())
    make(tmp_path, Tones(), which=rows(4))
    assert sorted(p.name[:5] for p in (tmp_path / "0").glob("*.flac")) == ["clip0", "clip1", "clip2", "clip3"]


def test_a_sound_beyond_full_scale_is_scaled_and_the_index_says_so(tmp_path):
    class Loud(Tones):
        def sounds(self, rows):
            return [1.25 * np.sin(np.arange(80)) for _ in rows]

    index = make(tmp_path, Loud(), which=rows(1))
    data, _ = soundfile.read(tmp_path / "0" / index["file"][0])
    assert np.abs(data).max() <= 1
    assert np.corrcoef(data, np.sin(np.arange(80)))[0, 1] > 0.99999
    assert "its peak was 1.2" in index["detail"][0]


def test_published_samples_are_found_by_pattern_and_none_outside_the_folder(tmp_path):
    soundfile.write(tmp_path / "clip1__a_sound.wav", np.zeros(RATE), RATE)
    source = PublishedSounds(SamplesSystem(folder=str(tmp_path), pattern="{clip_id}__{caption}.wav"), RATE, 1.0)
    found, missing = source.sounds(rows(3)[1:])
    assert found.samples.shape == (1, RATE)
    assert (missing.reason, missing.detail) == ("missing_sample", "clip2__a_sound.wav is not there")
    with pytest.raises(ValueError, match="below the folder"):
        SamplesSystem(folder=str(tmp_path), pattern="../{clip_id}.wav")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/clip0.wav").symlink_to(tmp_path / "clip1__a_sound.wav")
    (outside,) = PublishedSounds(
        SamplesSystem(folder=str(tmp_path / "set"), pattern="{clip_id}.wav"), RATE, 1.0
    ).sounds(rows(1))
    assert (outside.reason, "leads outside" in outside.detail) == ("bad_path", True)
    with pytest.raises(InputError, match="is not there"):
        PublishedSounds(SamplesSystem(folder=str(tmp_path / "none")), RATE, 1.0)


def test_a_reference_that_is_too_short_says_so(tmp_path):
    (tmp_path / "0").mkdir()
    soundfile.write(tmp_path / "0" / "clip0.flac", np.zeros(RATE // 2), RATE)
    (short,) = ReferenceSounds(tmp_path, {"clip0": "0"}, RATE, 1.0).sounds(rows(1))
    assert short.reason == "short"


def test_shuffled_references_are_the_sounds_of_other_clips(tmp_path):
    (tmp_path / "0").mkdir()
    names = [f"clip{number}" for number in range(5)]
    for number, name in enumerate(names):
        soundfile.write(tmp_path / "0" / f"{name}.flac", np.full(RATE, number / 10), RATE)
    partners = other_clips(names, seed=3)
    assert sorted(partners.values()) == names
    assert all(clip != other for clip, other in partners.items())
    assert other_clips(reversed(names), seed=3) == partners != other_clips(names, seed=4)
    folders = dict.fromkeys(names, "0")
    heard = ReferenceSounds(tmp_path, folders, RATE, 1.0, partners).sounds(rows(5))
    wanted = [names.index(partners[row.clip_id]) / 10 for row in rows(5)]
    np.testing.assert_allclose([np.max(sound.samples) for sound in heard], wanted, atol=1e-3)


def test_a_single_clip_has_no_other(tmp_path):
    with pytest.raises(InputError, match="at least two"):
        other_clips(["clip0"], seed=0)


def test_ids_that_are_no_plain_names_never_become_paths(tmp_path):
    bad = [PromptRow("../clip1", "own", "a sound", "sound", "matched")]
    with pytest.raises(InputError, match="id must be"):
        make(tmp_path, Tones(), which=bad)


def test_a_folder_or_an_index_in_use_is_refused_before_a_sound_is_made(tmp_path):
    for place in ({"folder": tmp_path / "0"}, {"file": tmp_path / "0.parquet"}):
        tones = Tones()
        with another_writer(**place), pytest.raises(FolderInUseError, match="another run writes to"):
            make(tmp_path, tones)
    assert not list(tmp_path.rglob("*.flac"))
    assert (make(tmp_path, Tones())["status"] == "ok").any()


def test_a_sound_that_is_not_finite_is_lost_alone(tmp_path):
    class Odd(Tones):
        def sounds(self, rows):
            sounds = super().sounds(rows)
            return [sound if n or isinstance(sound, ClipError) else sound * np.nan for n, sound in enumerate(sounds)]

    good, odd = make(tmp_path / "good", Tones(), batch_size=5), make(tmp_path / "odd", Odd(), batch_size=5)
    lost = odd[odd["status"] == "not_finite"]
    assert len(lost) == 2
    assert lost["detail"].str.contains(r"values are not finite, the first at 0\.000 s").all()
    rest = odd.index.difference(lost.index)
    pd.testing.assert_series_equal(odd.loc[rest, "sha256"], good.loc[rest, "sha256"])


def test_batches_finished_alongside_are_the_same_files_and_index(tmp_path):
    plain = make(tmp_path / "plain", Tones())
    beside = make(tmp_path / "beside", Tones(), alongside=True)
    assert beside.equals(plain)
    files = {path.name: path.read_bytes() for path in (tmp_path / "plain" / "0").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "beside" / "0").iterdir()}


def test_a_shard_that_is_cut_while_a_batch_is_written_keeps_that_batch(tmp_path):
    whole = make(tmp_path / "whole", Tones())
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "cut", Tones(cut_after=2), alongside=True)
    again = Tones()
    assert make(tmp_path / "cut", again, alongside=True).equals(whole)
    assert len(again.batches) == 2


def test_a_batch_that_cannot_be_written_alongside_ends_the_job(tmp_path, monkeypatch):
    def full(*given):
        raise OSError("no space left on device")

    monkeypatch.setattr("cafa.generation.samples.write_sound", full)
    with pytest.raises(OSError, match="no space left"):
        make(tmp_path, Tones(), alongside=True)
    assert not (tmp_path / "0.parquet").exists()


def test_what_a_source_begins_is_finished_in_another_thread(tmp_path):
    threads: dict[str, set[int]] = {"begin": set(), "finish": set()}

    class Begun(Tones):
        def begin(self, rows):
            threads["begin"].add(threading.get_ident())

            def finish():
                threads["finish"].add(threading.get_ident())
                return self.sounds(rows)

            return finish

    assert make(tmp_path / "begun", Begun(), alongside=True).equals(make(tmp_path / "plain", Tones()))
    assert threads["begin"] == {threading.get_ident()}
    assert not threads["begin"] & threads["finish"]
