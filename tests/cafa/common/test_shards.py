"""Shards and batches: every item once, and nothing depends on the count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafa.common.errors import InputError
from cafa.common.seeds import seed_for
from cafa.common.shards import batches_of_shard, parse_shard, shard_of


@given(st.text("abcXYZ019._-", min_size=1, max_size=20), st.integers(1, 50))
def test_shard_is_stable_and_in_range(clip_id: str, shards: int) -> None:
    assert 0 <= shard_of(clip_id, shards) < shards
    assert shard_of(clip_id, shards) == shard_of(clip_id, shards)
    assert shard_of(clip_id, 1) == 0


def test_known_shards() -> None:
    """They must be the same on every machine: a shard's files would be taken for another's."""
    assert [shard_of(f"clip{k}", 8) for k in range(6)] == [0, 2, 7, 6, 0, 1]
    counts = [0] * 8
    for k in range(4000):
        counts[shard_of(f"{k:06d}", 8)] += 1
    assert min(counts) > 400


@given(st.lists(st.integers(), max_size=60), st.integers(1, 7), st.integers(1, 5))
def test_batches_are_dealt_out_once(items: list[int], batch_size: int, shards: int) -> None:
    dealt = [batches_of_shard(items, batch_size, shard, shards) for shard in range(shards)]
    alone = batches_of_shard(items, batch_size, 0, 1)
    together = [
        batch for turn in range(len(alone)) for batch in dealt[turn % shards][turn // shards : turn // shards + 1]
    ]
    assert together == alone  # the same batches, whatever the number of shards
    assert [item for batch in alone for item in batch] == items


def test_parse() -> None:
    assert parse_shard("0/1") == (0, 1)
    assert parse_shard("11/12") == (11, 12)
    for wrong in ("", "1", "1/1", "2/1", "-1/2", "a/b", "0/0", "0/1/2", " 0/1", "0.0/1"):
        with pytest.raises(InputError, match="shard must look like 0/4"):
            parse_shard(wrong)


def test_seeds_depend_on_content() -> None:
    assert seed_for(1, "a", "b") == 8130363559398102941
    seeds = {seed_for(1, "a", "b"), seed_for(1, "ab"), seed_for(1, "b", "a"), seed_for(2, "a", "b"), seed_for(1, "a")}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
