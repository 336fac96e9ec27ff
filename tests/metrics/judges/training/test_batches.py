import pytest
import torch

from cafa.common.errors import InputError
from metrics.encoders.miniature.synchformer import GRID, MEL_STEP, WINDOW
from metrics.judges.kinds import miniature_judges
from metrics.judges.training.augmentation import Augmentation
from metrics.judges.training.batches import SHIFTS, draw_pairs, draw_shifts
from metrics.judges.training.settings import judge_settings
from metrics.judges.training.train import batches_of

OFF = dict.fromkeys(Augmentation.model_fields, 0)


def test_pairs_stay_in_the_clip_and_mean_what_their_class_says():
    video, sound, target = draw_pairs(80, 5000, torch.Generator().manual_seed(0))
    assert int(video.min()) == int(sound.min()) == 0
    assert int(video.max()) == int(sound.max()) == 80 - WINDOW
    # An event in both windows is later in the sound's, by the offset, where that window starts earlier.
    assert torch.allclose((video - sound) * 0.04, torch.tensor(GRID)[target], atol=1e-6)


def test_every_offset_of_a_pair_is_equally_likely():
    target = draw_pairs(80, 50_000, torch.Generator().manual_seed(0))[2]
    share = torch.bincount(target, minlength=len(GRID)) / len(target)
    assert torch.allclose(share, torch.full_like(share, 1 / 25), atol=0.005)


def test_weights_make_every_offset_of_several_windows_equally_likely():
    video, sound, target, weight = draw_shifts(80, 50_000, 2, torch.Generator().manual_seed(0))
    assert torch.allclose((video[:, None] - sound) * 0.04, torch.tensor(GRID)[target], atol=1e-6)
    assert int(sound.min()) == 0
    assert int(sound.max()) == 80 - WINDOW
    assert float(weight.mean()) == pytest.approx(1, abs=0.02)
    share = torch.zeros(len(GRID)).index_add(0, target.flatten(), weight.flatten()) / target.numel()
    assert torch.allclose(share, torch.full_like(share, 1 / 25), atol=0.004)
    unweighted = torch.bincount(target.flatten(), minlength=25) / target.numel()
    assert unweighted[12] > 2 * unweighted[0]


def test_synchformer_windows_are_cut_where_the_classes_say(toy):
    settings = judge_settings("synchformer", {"loop": {"batch_size": 3}, "augmentation": OFF})
    silence = float(toy.clips.mel["clip000"].min()) - 1
    make_batch, _ = batches_of("synchformer")(toy.clips, settings, silence)
    pictures, sounds, target, _ = make_batch(0, torch.Generator().manual_seed(2))
    assert pictures.shape == (3, WINDOW, 16, 16, 3)
    assert sounds.shape == (3 * SHIFTS, MEL_STEP * WINDOW, 16)
    # The toy's flashes and bursts: shifted by its offset, one curve explains the other.
    flash = pictures.float().mean((2, 3, 4))
    flash = (flash - flash.median(1, keepdim=True).values > 5).float()
    burst = sounds.unflatten(1, (WINDOW, MEL_STEP)).amax((2, 3))
    burst = (burst > burst.amax(1, keepdim=True) - 1.5).float()
    for pair in range(len(sounds)):
        lag = round(GRID[int(target[pair])] / 0.04)
        seen, heard = flash[pair // SHIFTS], burst[pair]
        seen, heard = (seen[: WINDOW - lag], heard[lag:]) if lag >= 0 else (seen[-lag:], heard[: WINDOW + lag])
        assert (seen * heard).sum() >= 0.6 * max(seen.sum(), 1) - 1


@pytest.mark.parametrize("name", ["clap", "imagebind"])
def test_a_group_must_hold_every_label(toy, name):
    settings = judge_settings(name, {"loop": {"batch_size": 7}})
    with pytest.raises(InputError, match="multiple of the 3 labels"):
        batches_of(name)(toy.clips, settings, -9.2)


@pytest.mark.parametrize("name", miniature_judges())
def test_batches_follow_the_generator_alone(toy, name):
    make_batch, _ = batches_of(name)(toy.clips, judge_settings(name, {"loop": {"batch_size": 6}}), -9.2)
    first, again = (make_batch(step, torch.Generator().manual_seed(3)) for step in (0, 1))
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
