import pytest
import torch

from metrics.judges.training.augmentation import Augmentation, vary_pictures, vary_sound

SILENCE = -9.0
OFF = Augmentation(**dict.fromkeys(Augmentation.model_fields, 0))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def mel() -> torch.Tensor:
    return SILENCE + 5 * torch.rand(4, 40, 16, generator=generator(9))


@pytest.fixture
def frames() -> torch.Tensor:
    return torch.randint(0, 256, (4, 5, 8, 8, 3), dtype=torch.uint8, generator=generator(8))


def test_nothing_changes_where_all_is_off(mel, frames):
    assert torch.equal(vary_sound(mel, SILENCE, OFF, generator()), mel)
    assert torch.equal(vary_pictures(frames, OFF, generator()), frames)


@pytest.mark.parametrize("name", ["gain", "tilt", "noise", "grain", "blur", "band_limit", "mirror_bands"])
def test_each_variation_changes_the_sound_and_stays_above_silence(mel, name):
    varied = vary_sound(mel, SILENCE, OFF.model_copy(update={name: 1.0}), generator())
    assert varied.shape == mel.shape
    assert not torch.equal(varied, mel)
    assert varied.min() >= SILENCE
    assert torch.isfinite(varied).all()


def test_the_generator_decides(mel, frames):
    settings = Augmentation(mirror_bands=0.5)
    for vary, what in (
        (lambda x, g: vary_sound(x, SILENCE, settings, g), mel),
        (lambda x, g: vary_pictures(x, settings, g), frames),
    ):
        assert torch.equal(vary(what, generator(1)), vary(what, generator(1)))
        assert not torch.equal(vary(what, generator(1)), vary(what, generator(2)))


def test_silence_stays_finite():
    varied = vary_sound(torch.full((3, 20, 16), SILENCE), SILENCE, Augmentation(), generator())
    assert torch.isfinite(varied).all()


def test_pictures_of_a_clip_move_together(frames):
    still = frames[:, :1].expand(-1, 5, -1, -1, -1)
    varied = vary_pictures(still, Augmentation(), generator())
    assert varied.dtype == torch.uint8
    assert torch.equal(varied, varied[:, :1].expand_as(varied))


def test_mirroring_is_left_to_right(frames):
    varied = vary_pictures(frames, OFF.model_copy(update={"mirror_picture": 1.0}), generator())
    assert torch.equal(varied, frames.flip(3))
