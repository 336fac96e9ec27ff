import numpy as np
import pytest
import torch

from cafa.common.errors import InputError
from metrics.judges.training.clips import read_clips


def test_clips_are_ordered_and_those_without_features_are_named(toy):
    manifest = toy.manifest.iloc[::-1].copy()
    manifest.iloc[0, manifest.columns.get_loc("clip_id")] = "elsewhere"
    clips = read_clips([toy.frames], [toy.mel], manifest)
    assert clips.absent == ["elsewhere"]
    assert clips.clip_ids == sorted(clips.clip_ids)
    assert [clips.labels[target] for target in clips.targets] == [toy.labels()[c] for c in clips.clip_ids]


def test_only_clips_of_the_split_are_taken(toy):
    manifest = toy.manifest.copy()
    manifest.loc[:5, "split"] = "validation"
    assert len(read_clips([toy.frames], [toy.mel], manifest, "train")) == 30
    with pytest.raises(InputError, match="none of 0 clips of the manifest in split 'test'"):
        read_clips([toy.frames], [toy.mel], manifest, "test")


def test_a_clip_without_a_label_is_refused(toy):
    manifest = toy.manifest.assign(label="")
    with pytest.raises(InputError, match="trained on labels"):
        read_clips([toy.frames], [toy.mel], manifest)


def test_the_digest_follows_captions_and_clips(toy):
    same = read_clips([toy.frames], [toy.mel], toy.manifest.sample(frac=1, random_state=1))
    other = read_clips([toy.frames], [toy.mel], toy.manifest.assign(caption="something"))
    assert same.digest == toy.clips.digest
    assert other.digest != toy.clips.digest


def test_contrastive_groups_hold_one_clip_of_each_label(toy):
    rows = toy.clips.draw_one_of_each(5, torch.Generator().manual_seed(0))
    assert np.array_equal(toy.clips.targets[rows].reshape(5, 3), np.tile([0, 1, 2], (5, 1)))
    assert len(set(rows)) > 3


def test_draws_follow_the_generator_alone(toy):
    first, again = (toy.clips.draw(6, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first == again
    assert first != toy.clips.draw(6, torch.Generator().manual_seed(4))
