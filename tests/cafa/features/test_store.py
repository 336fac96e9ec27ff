"""The feature store gives back what was written, clip by clip."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cafa.common.errors import InputError, MissingClipError
from cafa.features.store import FeatureStore, open_features, write_features

ENCODER = {"name": "test", "weights": "abc", "settings": {"k": 1}}


def arrays_of(*clip_ids: str, shape: tuple[int, ...] = (5, 3)) -> dict[str, np.ndarray]:
    """An array for each clip, by its name."""
    return {clip_id: np.random.default_rng(sum(map(ord, clip_id))).normal(size=shape) for clip_id in clip_ids}


def write(path: Path, arrays: dict[str, np.ndarray], **options: object) -> Path:
    """Write with the usual settings."""
    given = {"kind": "latents", "shape": (5, 3), "dtype": "float16", "encoder": ENCODER, **options}
    assert write_features(path, arrays.items(), **given) == len(arrays)
    return path


def test_arrays_come_back(tmp_path: Path) -> None:
    one, two = arrays_of("c", "a"), arrays_of("b")
    store = FeatureStore([write(tmp_path / "0.arrow", one), write(tmp_path / "1.arrow", two)])
    assert store.clip_ids == ["a", "b", "c"]
    assert (len(store), store.kind, store.shape, store.dtype) == (3, "latents", (5, 3), np.float16)
    assert store.encoder == ENCODER
    for clip_id, array in (one | two).items():
        assert clip_id in store
        assert store[clip_id].dtype == np.float16
        assert np.array_equal(store[clip_id], array.astype(np.float16))
    assert [clip_id for clip_id, _ in store] == ["a", "b", "c"]
    assert np.array_equal(store.stack(["b", "a", "b"])[2], store["b"])


@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64"])
def test_types(tmp_path: Path, dtype: str) -> None:
    arrays = {"a": np.arange(24).reshape(2, 3, 4)}
    path = write(tmp_path / "f.arrow", arrays, shape=(2, 3, 4), dtype=dtype)
    assert np.array_equal(FeatureStore([path])["a"], arrays["a"])
    assert FeatureStore([path])["a"].dtype == dtype


def test_reading_is_a_view_of_the_file(tmp_path: Path) -> None:
    array = FeatureStore([write(tmp_path / "f.arrow", arrays_of("a"))])["a"]
    assert not array.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def test_an_empty_shard(tmp_path: Path) -> None:
    empty = write(tmp_path / "0.arrow", {})
    store = FeatureStore([empty, write(tmp_path / "1.arrow", arrays_of("a"))])
    assert store.clip_ids == ["a"]
    assert len(FeatureStore([empty])) == 0


def test_missing_clips(tmp_path: Path) -> None:
    store = FeatureStore([write(tmp_path / "f.arrow", arrays_of("a"))])
    with pytest.raises(MissingClipError, match="no latents for clip b"):
        store["b"]
    with pytest.raises(MissingClipError, match="clip b"):
        store.stack(["a", "b"])
    assert "b" not in store


def test_what_cannot_be_stored(tmp_path: Path) -> None:
    path = tmp_path / "f.arrow"
    for array, message in (
        (np.zeros((5, 4)), r"expected shape \(5, 3\), got \(5, 4\)"),
        (np.full((5, 3), np.nan), "not finite"),
        (np.full((5, 3), 1e5), "not finite in float16"),
    ):
        with pytest.raises(InputError, match=message), np.errstate(over="ignore"):
            write(path, {"a": np.zeros((5, 3)), "b": array})
        assert list(tmp_path.iterdir()) == []


def test_shards_must_agree(tmp_path: Path) -> None:
    one = write(tmp_path / "0.arrow", arrays_of("a"))
    with pytest.raises(InputError, match="two feature files"):
        FeatureStore([one, write(tmp_path / "1.arrow", arrays_of("a"))])
    other = write(tmp_path / "2.arrow", arrays_of("b"), encoder={**ENCODER, "weights": "other"})
    with pytest.raises(InputError, match="another encoder"):
        FeatureStore([one, other])
    digest = FeatureStore([one]).encoder_digest
    assert FeatureStore([one], encoder_digest=digest).clip_ids == ["a"]
    with pytest.raises(InputError, match="not the configured one"):
        FeatureStore([other], encoder_digest=digest)
    with pytest.raises(InputError, match="at least one file"):
        FeatureStore([])


def test_zeros_at_the_end_are_not_stored(tmp_path: Path) -> None:
    arrays = arrays_of("a", "b", "c")
    arrays["a"][2:] = 0
    arrays["b"][:] = 0
    arrays["c"][1] = 0  # inside: stored
    path = write(tmp_path / "t.arrow", arrays, trimmed=True)
    store = FeatureStore([path])
    for clip_id, array in arrays.items():
        assert np.array_equal(store[clip_id], array.astype(np.float16))
        with pytest.raises(ValueError, match="read-only"):
            store[clip_id][0, 0] = 1
    assert [len(store.stored(clip_id)) for clip_id in "abc"] == [2 * 3 * 2, 0, 5 * 3 * 2]


def test_rows_are_spread_over_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cafa.features.store.BATCH_BYTES", 100)
    arrays = arrays_of(*(f"clip{k}" for k in range(12)))
    digests = {clip_id: f"sha of {clip_id}" for clip_id in arrays}
    path = write(tmp_path / "f.arrow", arrays, sources=digests)
    assert len(open_features(path)[1]) == 3
    store = FeatureStore([path])
    assert all(np.array_equal(store[clip_id], array.astype(np.float16)) for clip_id, array in arrays.items())
    assert store.sources() == digests


def test_reading_takes_no_memory(tmp_path: Path) -> None:
    """Arrays are pages of the file, not copies."""
    path = write(tmp_path / "f.arrow", {"a": np.zeros((1000, 1000))}, shape=(1000, 1000))
    before = pa.total_allocated_bytes()
    store = FeatureStore([path])
    assert store["a"].nbytes == 2_000_000
    assert pa.total_allocated_bytes() - before < 10_000


def test_ids_of_any_length_are_told_apart(tmp_path: Path) -> None:
    store = FeatureStore([write(tmp_path / "f.arrow", arrays_of("ab", "abc"))])
    assert [name in store for name in ("ab", "abc", "a", "abcd", "", 7)] == [True, True, False, False, False, False]
    with pytest.raises(InputError, match="would be twice"):
        write_features(
            tmp_path / "g.arrow",
            [("a", np.zeros(1)), ("a", np.zeros(1))],
            kind="k",
            shape=(1,),
            dtype="float32",
            encoder={},
        )


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.arrow").write_text("no")
    with pytest.raises(InputError, match="is not a feature file"):
        FeatureStore([tmp_path / "text.arrow"])
    with pytest.raises(InputError, match="is not a feature file"):
        FeatureStore([tmp_path / "none.arrow"])
    with pa.OSFile(str(tmp_path / "other.arrow"), "wb") as sink, pa.ipc.new_file(sink, pa.schema([("a", pa.int8())])):
        pass
    with pytest.raises(InputError, match="no metadata of ours"):
        FeatureStore([tmp_path / "other.arrow"])
