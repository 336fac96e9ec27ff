"""Manifests, files and controls of the rendered world."""

import av
import numpy as np
import pytest

from cafa.common.errors import InputError
from cafa.world.categories import CATEGORIES
from cafa.world.clips import clip_id_of, event_times, parse_clip_id, plan, render_clip, scene_of, sound_of
from cafa.world.controls import oracle_sound, shuffled_sound
from cafa.world.difficulty import Difficulty
from cafa.world.events import MIN_GAP


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    clip_id = clip_id_of("world_test", "hammering nails", 3)
    path = tmp_path_factory.mktemp("world") / f"{clip_id}.mp4"
    render_clip(clip_id, 0, path)
    return clip_id, path


def test_the_file_is_what_the_contract_says(clip):
    _, path = clip
    with av.open(str(path)) as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (audio.codec_context.name, audio.codec_context.sample_rate, audio.channels) == ("aac", 16_000, 1)
        times = [frame.pts * frame.time_base for frame in file.decode(video)]
    assert len(times) == 80
    assert np.allclose(np.array(times, float), np.arange(80) / 25)


def test_same_bytes_on_a_second_run_and_nothing_else_left(clip, tmp_path):
    clip_id, path = clip
    other = clip_id_of("world_test", "dog barking", 0)
    render_clip(other, 0, tmp_path / "other.mp4")
    render_clip(clip_id, 0, tmp_path / "again.mp4")
    assert (tmp_path / "again.mp4").read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.mp4", "other.mp4"]


def test_sound_survives_encoding_at_its_place(clip):
    clip_id, path = clip
    made = sound_of(clip_id, 0)
    with av.open(str(path)) as file:
        frames = list(file.decode(audio=0))
    heard = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    size = 1 << 17
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(made, size))
    lag = int(np.fft.irfft(product, size).argmax())
    lag = lag - size if lag > size // 2 else lag
    assert abs(float(frames[0].pts * frames[0].time_base) + lag / 16_000) < 0.002
    assert np.corrcoef(heard[: len(made)], made[: len(heard)])[0, 1] > 0.95


def test_decoded_pictures_are_the_drawn_ones(clip):
    from cafa.world.scene import render_frames

    clip_id, path = clip
    drawn = render_frames(scene_of(clip_id, 0))
    with av.open(str(path)) as file:
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
    assert decoded.shape == drawn.shape
    assert np.abs(decoded.astype(int) - drawn).mean() < 10


def test_a_manifest_does_not_depend_on_its_length_or_on_other_data_sets():
    short, long = plan("a", 2, 0, validation_per_category=1), plan("a", 5, 0, validation_per_category=1)
    assert long.head(len(short)).equals(short)
    assert list(short.columns) == ["clip_id", "uri", "start", "duration", "label", "caption", "split", "licence"]
    assert not set(long.clip_id) & set(plan("b", 5, 0).clip_id)
    assert (short.groupby("label").split.value_counts() == 1).all()
    assert set(short.split) == {"train", "validation"}
    assert short.clip_id.is_unique
    assert short.clip_id.str.fullmatch(r"[A-Za-z0-9._-]{1,80}").all()


def test_same_index_in_another_data_set_or_seed_is_another_clip():
    first = scene_of("a-dog-barking-00000", 0).event_times
    assert not np.array_equal(first, scene_of("b-dog-barking-00000", 0).event_times)
    assert not np.array_equal(first, scene_of("a-dog-barking-00000", 1).event_times)
    assert not np.array_equal(sound_of("a-dog-barking-00000", 0), sound_of("b-dog-barking-00000", 0))


def test_truth_keeps_the_order_asked_for_and_the_law():
    ids = plan("a", 4, 0).clip_id.tolist()
    table = event_times(ids, 0)
    assert table.clip_id.tolist() == ids
    assert event_times(ids[::-1], 0).iloc[::-1].reset_index(drop=True).equals(table)
    for row in table.itertuples():
        assert 2 <= len(row.event_times) == len(row.event_levels) <= 4
        everything = np.sort(np.array(row.event_times + row.feint_times))
        assert np.diff(everything).min() >= MIN_GAP - 1e-9
        assert everything[0] >= 0
        assert everything[-1] < 3.2
        assert row.event_times == sorted(row.event_times)


@pytest.mark.parametrize("category", CATEGORIES)
def test_clip_ids_round_trip(category):
    assert parse_clip_id(clip_id_of("dog-barking", category, 42)) == ("dog-barking", category, 42)


@pytest.mark.parametrize(
    "bad", ["dog-barking-00001", "a-cat-meowing-00001", "a-dog-barking-1", "../a-dog-barking-00001"]
)
def test_foreign_clip_ids_are_refused(bad):
    with pytest.raises(InputError, match="not a clip of the rendered world"):
        parse_clip_id(bad)


def test_bad_plans_are_refused():
    with pytest.raises(InputError, match="data set"):
        plan("a/b", 1, 0)
    with pytest.raises(InputError, match="at least one"):
        plan("a", 0, 0)
    with pytest.raises(InputError, match="validation_per_category"):
        plan("a", 2, 0, validation_per_category=3)


def _onsets(sound: np.ndarray, quiet: float = 0.1) -> np.ndarray:
    loud = np.flatnonzero(np.abs(sound) > quiet * np.abs(sound).max()) / 16_000
    return loud[np.concatenate([[True], np.diff(loud) > 0.12])]


def test_oracle_is_on_time_and_shuffled_is_not():
    quiet = Difficulty(noise_db=(80.0, 80.0))
    clip_id = "t-lions-roaring-00002"
    row = event_times([clip_id], 0).iloc[0]
    args = (row.event_times, row.event_levels)
    sound = oracle_sound(clip_id, "c1", "hammering nails", *args, seed=0, difficulty=quiet)
    assert np.allclose(_onsets(sound), row.event_times, atol=0.005)
    assert np.array_equal(sound, oracle_sound(clip_id, "c1", "hammering nails", *args, seed=0, difficulty=quiet))
    assert not np.array_equal(sound, oracle_sound(clip_id, "c2", "hammering nails", *args, seed=0, difficulty=quiet))
    other = _onsets(shuffled_sound(clip_id, "c1", "hammering nails", seed=0, difficulty=quiet))
    assert np.abs(other[:, None] - np.array(row.event_times)).min(axis=1).max() > 0.05
