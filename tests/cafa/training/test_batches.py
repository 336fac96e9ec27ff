import threading

import numpy as np
import pytest
import torch

from cafa.common.errors import InputError, MissingClipError
from cafa.common.prefetch import ReadAhead
from cafa.models.folders import load_model
from cafa.training.batches import EpochOrder, clips_with_features
from cafa.training.objective import DiffusionSettings, draw_times, keep_mask, velocity_loss


def test_every_epoch_sees_every_clip_once():
    order = EpochOrder(count=10, batch_size=4, seed=5)
    seen = [p for index in range(5) for p in order.batch(index)]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]


def test_a_batch_does_not_depend_on_what_was_asked_before():
    straight, jumping = EpochOrder(10, 4, 5), EpochOrder(10, 4, 5)
    wanted = [straight.batch(index) for index in range(6)]
    assert [jumping.batch(index) for index in (5, 2, 4)] == [wanted[5], wanted[2], wanted[4]]


def test_a_batch_larger_than_the_set_is_refused():
    with pytest.raises(InputError, match="lower batch_size"):
        EpochOrder(3, 4, 0)


def test_clips_without_a_feature_are_left_out_and_none_left_is_an_error(world):
    manifest = world.manifest.copy()
    manifest.loc[0, "clip_id"] = "not-there"
    assert len(clips_with_features(manifest, "train", [world.latents])) == 7
    with pytest.raises(MissingClipError, match="validation"):
        clips_with_features(manifest, "validation", [world.latents])


@pytest.mark.parametrize("times", ["uniform", "logit_normal", "truncated_logit_normal"])
def test_times_lie_in_the_unit_interval_and_follow_their_law(times):
    t = draw_times(DiffusionSettings(times=times), 20_000, torch.Generator().manual_seed(0))
    assert t.min() >= 0
    assert t.max() <= 1
    # Medians: 0.5 by symmetry; the truncated one is flipped after a cut at 0.075 and rescaling.
    expected = {"uniform": 0.5, "logit_normal": 0.5, "truncated_logit_normal": 0.5385}[times]
    assert float(t.median()) == pytest.approx(expected, abs=0.01)


def test_share_of_dropped_captions():
    kept = keep_mask(0.25, 20_000, torch.Generator().manual_seed(0))
    assert float(kept.mean()) == pytest.approx(0.75, abs=0.01)


def test_the_true_velocity_has_no_loss():
    latents = torch.zeros(4, 2, 3)  # then z_t = sigma n and v = alpha n

    def velocity(noisy, time):
        return noisy / torch.tan(time * np.pi / 2).view(-1, 1, 1)

    loss = velocity_loss(velocity, latents, DiffusionSettings(), torch.Generator().manual_seed(0))
    assert float(loss) < 1e-9


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_batches_are_the_same_however_far_ahead_they_are_read(ahead):
    read = []
    reader = ReadAhead(lambda index: read.append(index) or index * 10, ahead, stop=6)
    try:
        assert [reader(index) for index in (2, 3, 4, 5)] == [20, 30, 40, 50]
        assert [reader(index) for index in (0, 5)] == [0, 50]
    finally:
        reader.close()
    assert set(read) <= set(range(6))


def test_batches_are_read_before_they_are_asked_for():
    read, second = [], threading.Event()

    def load(index):
        read.append(index)
        if index == 1:
            second.set()
        return index

    reader = ReadAhead(load, 2, stop=9)
    try:
        assert reader(0) == 0
        assert second.wait(10)
    finally:
        reader.close()
    assert read[:2] == [0, 1]


def test_a_fault_in_reading_is_raised_where_the_batch_is_asked_for():
    def load(index):
        if index == 1:
            raise MissingClipError("no features")
        return index

    reader = ReadAhead(load, 2, stop=9)
    try:
        assert reader(0) == 0
        with pytest.raises(MissingClipError, match="no features"):
            reader(1)
        assert reader(2) == 2
    finally:
        reader.close()


def test_what_is_trained_does_not_depend_on_reading_ahead(world):
    weights = [load_model(world.adapter(f"ahead_{ahead}", steps=3, read_ahead=ahead), "adapter")[0] for ahead in (0, 4)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
